-- Housekeeping that one Broker at a time may do. A lease in a row, because session locks fail behind transaction poolers.

-- Up Migration
create table maintenance_leases (
  job text primary key,
  owner uuid not null,
  leased_until timestamptz not null
);

-- Down Migration
drop table maintenance_leases;
