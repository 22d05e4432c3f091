-- Connections are listed and counted by their status: among many that are active, the few that want attention.

-- Up Migration
create index connections_status on connections (status, created_at, id);
create index connections_zone_status on connections (zone, status) include (pending_until);

-- Down Migration
drop index connections_status;
drop index connections_zone_status;
