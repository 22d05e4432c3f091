-- Which master keys may seal. A row is a promise: whoever starts must be able to open its canary.

-- Up Migration
create table encryption_keys (
  key_id bytea primary key check (octet_length(key_id) = 4),
  canary bytea not null,
  created_at timestamptz not null default now(),
  retired_at timestamptz
);

-- Down Migration
drop table encryption_keys;
