-- What operators say of each identity provider. The profile's settings are one document, written only through the
-- contract's schema; what SQL decides by has columns of its own.

-- Up Migration
create table provider_profiles (
  id uuid primary key,
  name text not null,
  auth_type text not null,
  zones text[] not null default '{}',
  settings jsonb not null,
  client_secret bytea,
  -- the version is part of the ciphertext's AAD: it moves only in the statement that writes the ciphertext
  client_secret_version integer not null default 0,
  key_id bytea,
  revision integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  check ((client_secret is null) = (key_id is null))
);
create unique index provider_profiles_living_name on provider_profiles (name) where deleted_at is null;
create index provider_profiles_key_id on provider_profiles (key_id);

create table provider_aliases (
  alias text primary key check (alias = lower(alias)),
  provider_id uuid not null references provider_profiles on delete cascade
);
create index provider_aliases_provider_id on provider_aliases (provider_id);

-- Down Migration
drop table provider_aliases;
drop table provider_profiles;
