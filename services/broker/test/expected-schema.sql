create table agent_changes (
  only_one boolean not null default true,
  seq bigint not null,
  constraint agent_changes_only_one_check CHECK (only_one),
  constraint agent_changes_pkey PRIMARY KEY (only_one)
);

create table agent_token_zones (
  token_id uuid not null,
  zone text not null,
  permissions text not null,
  place integer not null,
  constraint agent_token_zones_permissions_check CHECK (((permissions ~ '^(r?w?c?|rwxc?)$'::text) AND (permissions <> ''::text))),
  constraint agent_token_zones_pkey PRIMARY KEY (token_id, zone),
  constraint agent_token_zones_token_id_fkey FOREIGN KEY (token_id) REFERENCES agent_tokens(id) ON DELETE CASCADE,
  constraint agent_token_zones_zone_fkey FOREIGN KEY (zone) REFERENCES zones(name)
);
CREATE INDEX agent_token_zones_zone ON public.agent_token_zones USING btree (zone);

create table agent_tokens (
  id uuid not null,
  lookup text not null,
  token_hash bytea not null,
  name text not null,
  owner text not null,
  first_zone text not null,
  is_admin boolean not null,
  prefix text not null,
  created_at timestamp with time zone not null default now(),
  created_by text,
  expires_at timestamp with time zone,
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  changed_seq bigint not null,
  constraint agent_tokens_first_zone_fkey FOREIGN KEY (first_zone) REFERENCES zones(name),
  constraint agent_tokens_lookup_check CHECK ((lookup ~ '^[0-9a-f]{8}$'::text)),
  constraint agent_tokens_lookup_key UNIQUE (lookup),
  constraint agent_tokens_pkey PRIMARY KEY (id),
  constraint agent_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32))
) with (fillfactor=85);
CREATE INDEX agent_tokens_changed ON public.agent_tokens USING btree (changed_seq);
CREATE INDEX agent_tokens_created ON public.agent_tokens USING btree (created_at, id);
CREATE UNIQUE INDEX agent_tokens_name ON public.agent_tokens USING btree (first_zone, name) WHERE (revoked_at IS NULL);

create table audit_events (
  id uuid not null,
  at timestamp with time zone not null,
  event text not null,
  outcome text not null,
  zone text,
  actor_kind text not null,
  actor_id text,
  connection_id uuid,
  provider_id uuid,
  token_version integer,
  address text,
  user_agent text,
  request_id text,
  data jsonb not null default '{}'::jsonb,
  constraint audit_events_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['agent'::text, 'operator'::text, 'gateway'::text, 'browser'::text, 'system'::text]))),
  constraint audit_events_pkey PRIMARY KEY (at, id)
) partition by RANGE (at);
CREATE INDEX audit_events_connection ON ONLY public.audit_events USING btree (connection_id, at DESC);
CREATE INDEX audit_events_event ON ONLY public.audit_events USING btree (event, at DESC);

create table audit_reads (
  id uuid not null,
  at timestamp with time zone not null,
  event text not null,
  outcome text not null,
  zone text,
  actor_kind text not null,
  actor_id text,
  connection_id uuid,
  provider_id uuid,
  token_version integer,
  address text,
  user_agent text,
  request_id text,
  data jsonb not null default '{}'::jsonb,
  constraint audit_events_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['agent'::text, 'operator'::text, 'gateway'::text, 'browser'::text, 'system'::text]))),
  constraint audit_reads_pkey PRIMARY KEY (at, id)
) partition by RANGE (at);
CREATE INDEX audit_reads_connection ON ONLY public.audit_reads USING btree (connection_id, at DESC);
CREATE INDEX audit_reads_event ON ONLY public.audit_reads USING btree (event, at DESC);

create table connections (
  id uuid not null,
  zone text not null,
  workspace_id text not null,
  provider_id uuid not null,
  status text not null,
  status_reason text,
  scopes text[] not null,
  granted_scopes text[],
  account_issuer text,
  account_subject text,
  account_label text,
  metadata json not null,
  pending_until timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  last_used_at timestamp with time zone,
  completion text,
  constraint connections_completion_check CHECK ((completion = 'app'::text)),
  constraint connections_pkey PRIMARY KEY (id),
  constraint connections_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES provider_profiles(id),
  constraint connections_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'active'::text, 'attention_required'::text, 'failed'::text, 'expired'::text, 'revoked'::text]))),
  constraint connections_zone_fkey FOREIGN KEY (zone) REFERENCES zones(name)
) with (fillfactor=85);
CREATE INDEX connections_created ON public.connections USING btree (created_at, id);
CREATE INDEX connections_over ON public.connections USING btree (updated_at) WHERE (status = ANY (ARRAY['failed'::text, 'expired'::text, 'revoked'::text]));
CREATE INDEX connections_pending ON public.connections USING btree (pending_until) WHERE (status = 'pending'::text);
CREATE INDEX connections_provider ON public.connections USING btree (provider_id, created_at, id);
CREATE INDEX connections_status ON public.connections USING btree (status, created_at, id);
CREATE INDEX connections_workspace ON public.connections USING btree (workspace_id, created_at, id);
CREATE INDEX connections_zone ON public.connections USING btree (zone, created_at, id);
CREATE INDEX connections_zone_status ON public.connections USING btree (zone, status) INCLUDE (pending_until);

create table encryption_keys (
  key_id bytea not null,
  canary bytea not null,
  created_at timestamp with time zone not null default now(),
  retired_at timestamp with time zone,
  constraint encryption_keys_key_id_check CHECK ((octet_length(key_id) = 4)),
  constraint encryption_keys_pkey PRIMARY KEY (key_id)
);

create table handshake_attempts (
  id uuid not null,
  handshake_id uuid not null,
  jti_hash bytea not null,
  cookie_hash bytea not null,
  redirect_uri text,
  secrets bytea,
  key_id bytea,
  expires_at timestamp with time zone not null,
  consumed_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  completion_hash bytea,
  constraint handshake_attempts_check CHECK (((secrets IS NULL) = (key_id IS NULL))),
  constraint handshake_attempts_completion_hash_key UNIQUE (completion_hash),
  constraint handshake_attempts_handshake_id_fkey FOREIGN KEY (handshake_id) REFERENCES handshakes(id) ON DELETE CASCADE,
  constraint handshake_attempts_jti_hash_key UNIQUE (jti_hash),
  constraint handshake_attempts_pkey PRIMARY KEY (id)
);
CREATE INDEX handshake_attempts_handshake ON public.handshake_attempts USING btree (handshake_id, created_at);
CREATE INDEX handshake_attempts_key_id ON public.handshake_attempts USING btree (key_id);
CREATE INDEX handshake_attempts_secrets ON public.handshake_attempts USING btree (expires_at) WHERE (secrets IS NOT NULL);

create table handshakes (
  id uuid not null,
  connection_id uuid not null,
  purpose text not null,
  ticket_hash bytea not null,
  return_url text,
  profile_digest bytea not null,
  expires_at timestamp with time zone not null,
  acceptance_id uuid,
  accepted_at timestamp with time zone,
  outcome text,
  outcome_error text,
  created_at timestamp with time zone not null default now(),
  scopes text[],
  metadata json,
  allow_account_change boolean not null default false,
  request_jti_hash bytea,
  confirm boolean not null default false,
  completion text,
  held_until timestamp with time zone,
  tries integer not null default 0,
  accepted_attempt_id uuid,
  constraint handshakes_completion_check CHECK ((completion = 'app'::text)),
  constraint handshakes_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connections(id) ON DELETE CASCADE,
  constraint handshakes_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'error'::text]))),
  constraint handshakes_pkey PRIMARY KEY (id),
  constraint handshakes_purpose_check CHECK ((purpose = ANY (ARRAY['oauth'::text, 'capture'::text, 'reconnect'::text]))),
  constraint handshakes_request_jti_hash_key UNIQUE (request_jti_hash),
  constraint handshakes_ticket_hash_key UNIQUE (ticket_hash)
);
CREATE INDEX handshakes_connection ON public.handshakes USING btree (connection_id);
CREATE INDEX handshakes_expires ON public.handshakes USING btree (expires_at);
CREATE INDEX handshakes_held ON public.handshakes USING btree (held_until) WHERE (held_until IS NOT NULL);

create table idempotency_keys (
  caller text not null,
  key_hash bytea not null,
  body_hash bytea not null,
  connection_id uuid not null,
  created_at timestamp with time zone not null default now(),
  handshake_id uuid,
  constraint idempotency_keys_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connections(id) ON DELETE CASCADE,
  constraint idempotency_keys_pkey PRIMARY KEY (caller, key_hash)
);
CREATE INDEX idempotency_keys_connection ON public.idempotency_keys USING btree (connection_id);
CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at);

create table maintenance_leases (
  job text not null,
  owner uuid not null,
  leased_until timestamp with time zone not null,
  constraint maintenance_leases_pkey PRIMARY KEY (job)
);

create table notices (
  id uuid not null,
  type text not null,
  data jsonb not null,
  attempts integer not null default 0,
  next_attempt_at timestamp with time zone not null default now(),
  created_at timestamp with time zone not null default now(),
  constraint notices_pkey PRIMARY KEY (id)
);
CREATE INDEX notices_due ON public.notices USING btree (next_attempt_at);

create table provider_aliases (
  alias text not null,
  provider_id uuid not null,
  constraint provider_aliases_alias_check CHECK ((alias = lower(alias))),
  constraint provider_aliases_pkey PRIMARY KEY (alias),
  constraint provider_aliases_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES provider_profiles(id) ON DELETE CASCADE
);
CREATE INDEX provider_aliases_provider_id ON public.provider_aliases USING btree (provider_id);

create table provider_profiles (
  id uuid not null,
  name text not null,
  auth_type text not null,
  zones text[] not null default '{}'::text[],
  settings json not null,
  client_secret bytea,
  client_secret_version integer not null default 0,
  key_id bytea,
  revision integer not null default 1,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  alarm text,
  alarm_since timestamp with time zone,
  rotates boolean not null default false,
  disconnect_requested_at timestamp with time zone,
  constraint provider_profiles_check CHECK (((client_secret IS NULL) = (key_id IS NULL))),
  constraint provider_profiles_pkey PRIMARY KEY (id)
);
CREATE INDEX provider_profiles_key_id ON public.provider_profiles USING btree (key_id);
CREATE UNIQUE INDEX provider_profiles_living_name ON public.provider_profiles USING btree (name) WHERE (deleted_at IS NULL);

create table revocations (
  id uuid not null,
  connection_id uuid not null,
  provider_id uuid not null,
  zone text not null,
  tokens bytea not null,
  key_id bytea not null,
  refresh_token_outcome jsonb,
  attempts integer not null default 0,
  next_attempt_at timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  constraint revocations_pkey PRIMARY KEY (id),
  constraint revocations_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES provider_profiles(id)
);
CREATE INDEX revocations_connection ON public.revocations USING btree (connection_id);
CREATE INDEX revocations_due ON public.revocations USING btree (provider_id, next_attempt_at);
CREATE INDEX revocations_key_id ON public.revocations USING btree (key_id);

create table tokens (
  connection_id uuid not null,
  provider_id uuid not null,
  credentials bytea not null,
  key_id bytea not null,
  version integer not null,
  has_refresh_token boolean not null,
  issued_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  refresh_at timestamp with time zone,
  next_attempt_at timestamp with time zone,
  last_refresh_at timestamp with time zone,
  failure_count integer not null default 0,
  lease_owner uuid,
  lease_until timestamp with time zone,
  lease_epoch bigint not null default 0,
  sent_epoch bigint,
  sent_at timestamp with time zone,
  outcome_unknown boolean not null default false,
  attempt_outcome text,
  attempt_epoch bigint,
  constraint tokens_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connections(id) ON DELETE CASCADE,
  constraint tokens_pkey PRIMARY KEY (connection_id),
  constraint tokens_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES provider_profiles(id)
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.02);
CREATE INDEX tokens_due ON public.tokens USING btree (provider_id, GREATEST(refresh_at, next_attempt_at)) WHERE (refresh_at IS NOT NULL);
CREATE INDEX tokens_key_id ON public.tokens USING btree (key_id, connection_id);
CREATE INDEX tokens_sent ON public.tokens USING btree (sent_at) WHERE (sent_epoch IS NOT NULL);

create table zones (
  name text not null,
  created_at timestamp with time zone not null default now(),
  removed_at timestamp with time zone,
  disconnect_requested_at timestamp with time zone,
  constraint zones_name_check CHECK ((name ~ '^[a-z0-9-]{1,64}$'::text)),
  constraint zones_pkey PRIMARY KEY (name)
);
