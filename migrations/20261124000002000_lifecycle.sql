-- Disconnecting, reconnecting and forgetting.

-- Up Migration
-- Tokens that nobody uses any more and that still live at their provider. No reference to the connection: what is owed
-- outlives a connection that is purged.
create table revocations (
  id uuid primary key,
  connection_id uuid not null,
  provider_id uuid not null references provider_profiles,
  zone text not null,
  tokens bytea not null,
  key_id bytea not null,
  -- what became of the refresh token, once that is certain: the access token alone is owed from then on
  refresh_token_outcome jsonb,
  attempts integer not null default 0,
  -- ahead while somebody attempts it: whoever is killed meanwhile leaves it due again
  next_attempt_at timestamptz not null,
  created_at timestamptz not null default now()
);
create index revocations_due on revocations (provider_id, next_attempt_at);
create index revocations_connection on revocations (connection_id);
create index revocations_key_id on revocations (key_id);

alter table handshakes
  -- what becomes the connection's own only when its person has consented
  add column scopes text[],
  add column metadata json,
  add column allow_account_change boolean not null default false;

alter table idempotency_keys
  -- of a reconnect: the link that its first request made
  add column handshake_id uuid;

alter table provider_profiles
  -- its connections are to be disconnected in the background
  add column disconnect_requested_at timestamptz;

create index connections_over on connections (updated_at) where status in ('failed', 'expired', 'revoked');

-- Down Migration
drop index connections_over;
alter table provider_profiles drop column disconnect_requested_at;
alter table idempotency_keys drop column handshake_id;
alter table handshakes drop column scopes, drop column metadata, drop column allow_account_change;
drop table revocations;
