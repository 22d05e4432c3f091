-- A request for consent, and each opening of its link. Tickets, jtis and cookies are stored as SHA-256 only.

-- Up Migration
create table handshakes (
  id uuid primary key,
  connection_id uuid not null references connections on delete cascade,
  purpose text not null check (purpose in ('oauth', 'capture', 'reconnect')),
  ticket_hash bytea not null unique,
  return_url text,
  profile_digest bytea not null,
  expires_at timestamptz not null,
  -- set by the one callback that may present its code, to an id of its own making; the outcome follows
  acceptance_id uuid,
  accepted_at timestamptz,
  outcome text check (outcome in ('success', 'error')),
  outcome_error text,
  created_at timestamptz not null default now()
);
create index handshakes_connection on handshakes (connection_id);
create index handshakes_expires on handshakes (expires_at);

create table handshake_attempts (
  id uuid primary key,
  handshake_id uuid not null references handshakes on delete cascade,
  jti_hash bytea not null unique,
  cookie_hash bytea not null,
  redirect_uri text not null,
  -- code verifier and nonce; gone once the attempt is over
  secrets bytea,
  key_id bytea,
  expires_at timestamptz not null,
  consumed_at timestamptz,
  created_at timestamptz not null default now(),
  check ((secrets is null) = (key_id is null))
);
create index handshake_attempts_handshake on handshake_attempts (handshake_id, created_at);
create index handshake_attempts_key_id on handshake_attempts (key_id);

-- Down Migration
drop table handshake_attempts;
drop table handshakes;
