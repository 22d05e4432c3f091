-- Agents have tokens of their own, and see the zones that their tokens name.

-- Up Migration
create table zones (
  name text primary key check (name ~ '^[a-z0-9-]{1,64}$'),
  created_at timestamptz not null default now(),
  -- a removed zone is kept while connections of it are: its name opens none of them to whoever gets it next
  removed_at timestamptz,
  -- set while connections of a removed zone are still to be disconnected
  disconnect_requested_at timestamptz
);
insert into zones (name) values ('root');

update connections set zone = 'root' where zone <> 'root';
alter table connections add constraint connections_zone_fkey foreign key (zone) references zones;
-- listing by zone, and finding what is left of a removed one
create index connections_zone on connections (zone, created_at, id);

create table agent_tokens (
  id uuid primary key,
  -- the eight hex digits by which a token finds its row
  lookup text not null unique check (lookup ~ '^[0-9a-f]{8}$'),
  -- SHA-256 of the whole token, which is random and known to nobody but its holder
  token_hash bytea not null check (octet_length(token_hash) = 32),
  name text not null,
  owner text not null,
  -- the first of its zones, under which its name is unique; root for an administrator without any
  first_zone text not null references zones,
  is_admin boolean not null,
  -- what is read before it is shown
  prefix text not null,
  created_at timestamptz not null default now(),
  created_by text,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  -- of agent_changes, when the token or its zones last changed
  changed_seq bigint not null
) with (fillfactor = 85);
create unique index agent_tokens_name on agent_tokens (first_zone, name) where revoked_at is null;
create index agent_tokens_created on agent_tokens (created_at, id);
create index agent_tokens_changed on agent_tokens (changed_seq);

create table agent_token_zones (
  token_id uuid not null references agent_tokens on delete cascade,
  zone text not null references zones,
  permissions text not null check (permissions ~ '^(r?w?c?|rwxc?)$' and permissions <> ''),
  -- their order as they were named: the first counts
  place integer not null,
  primary key (token_id, zone)
);
create index agent_token_zones_zone on agent_token_zones (zone);

-- One row. Whatever takes something away from a token raises seq in the same transaction, and every Broker reads it each
-- second: its row lock makes the order of numbers the order of commits.
create table agent_changes (
  only_one boolean primary key default true check (only_one),
  seq bigint not null
);
insert into agent_changes (seq) values (0);

-- Down Migration
drop table agent_changes;
drop table agent_token_zones;
drop table agent_tokens;
drop index connections_zone;
alter table connections drop constraint connections_zone_fkey;
drop table zones;
