-- The vault of live grants: one sealed credential set per connection, and the state of its refresh.

-- Up Migration
create table tokens (
  connection_id uuid primary key references connections on delete cascade,
  provider_id uuid not null references provider_profiles,
  credentials bytea not null,
  key_id bytea not null,
  -- part of the ciphertext's AAD: moves only in the statement that writes the ciphertext
  version integer not null,
  has_refresh_token boolean not null,
  issued_at timestamptz not null,
  expires_at timestamptz,
  refresh_at timestamptz,
  next_attempt_at timestamptz,
  last_refresh_at timestamptz,
  failure_count integer not null default 0,
  lease_owner uuid,
  lease_until timestamptz,
  lease_epoch bigint not null default 0,
  -- set before a refresh token is presented, cleared when the answer is stored: an open one tells of a crash in between
  sent_epoch bigint,
  sent_at timestamptz
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index tokens_due on tokens (provider_id, refresh_at) where refresh_at is not null;
create index tokens_sent on tokens (sent_at) where sent_epoch is not null;
create index tokens_key_id on tokens (key_id);

-- Down Migration
drop table tokens;
