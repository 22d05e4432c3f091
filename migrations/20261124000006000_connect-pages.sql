-- Credentials that a person types in, pages that ask before anybody leaves for the provider, and apps that confirm whose
-- account it is.

-- Up Migration
alter table handshakes
  -- of the state that came with the link: it opens the capture routes of this handshake
  add column request_jti_hash bytea unique,
  add column confirm boolean not null default false,
  add column completion text check (completion in ('app')),
  -- while what its person brought waits for the app
  add column held_until timestamptz;
create index handshakes_held on handshakes (held_until) where held_until is not null;

alter table connections
  -- asked for with it, no later link of the connection goes without
  add column completion text check (completion in ('app'));

alter table handshake_attempts
  -- a form sends nobody anywhere
  alter column redirect_uri drop not null,
  -- of the code with which the app asks for what is held
  add column completion_hash bytea unique;

-- as the operator wrote it: the fields of a credential schema are asked for in their order, which jsonb forgets
alter table provider_profiles alter column settings type json using settings::json;

-- Down Migration
alter table provider_profiles alter column settings type jsonb using settings::jsonb;
alter table connections drop column completion;
alter table handshake_attempts drop column completion_hash;
delete from handshake_attempts where redirect_uri is null;
alter table handshake_attempts alter column redirect_uri set not null;
drop index handshakes_held;
alter table handshakes
  drop column held_until, drop column completion, drop column confirm, drop column request_jti_hash;
