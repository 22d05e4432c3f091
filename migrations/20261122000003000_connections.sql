-- A connection links a workspace (a user of some app) to an account at a provider.

-- Up Migration
create table connections (
  id uuid primary key,
  zone text not null,
  workspace_id text not null,
  provider_id uuid not null references provider_profiles,
  status text not null check (status in ('pending', 'active', 'attention_required', 'failed', 'expired', 'revoked')),
  status_reason text,
  scopes text[] not null,
  granted_scopes text[],
  account_issuer text,
  account_subject text,
  account_label text,
  -- json, not jsonb: given back as it came, and never longer than it came (jsonb writes 1e300 out)
  metadata json not null,
  -- a pending connection reads as expired from here on, swept or not
  pending_until timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_used_at timestamptz
) with (fillfactor = 85);
create index connections_created on connections (created_at, id);
create index connections_workspace on connections (workspace_id, created_at, id);
create index connections_provider on connections (provider_id, created_at, id);
create index connections_pending on connections (pending_until) where status = 'pending';

-- The answer to a repeated Idempotency-Key: the same connection for the same body.
create table idempotency_keys (
  caller text not null,
  key_hash bytea not null,
  body_hash bytea not null,
  connection_id uuid not null references connections on delete cascade,
  created_at timestamptz not null default now(),
  primary key (caller, key_hash)
);
create index idempotency_keys_created on idempotency_keys (created_at);

-- Down Migration
drop table idempotency_keys;
drop table connections;
