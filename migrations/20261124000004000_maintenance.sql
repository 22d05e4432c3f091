-- Housekeeping that one Broker at a time may do. A lease in a row, because session locks fail behind transaction poolers.

-- Up Migration
create table maintenance_leases (
  job text primary key,
  owner uuid not null,
  leased_until timestamptz not null
);

-- what every sweep looks for, among all the attempts that have no secrets any more
create index handshake_attempts_secrets on handshake_attempts (expires_at) where secrets is not null;

-- Down Migration
drop index handshake_attempts_secrets;
drop table maintenance_leases;
