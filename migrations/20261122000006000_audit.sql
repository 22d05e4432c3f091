-- Append-only records, by month and (for reads of credentials) by day. No foreign keys: probes of unknown ids are
-- recorded too. The partitions themselves are made ahead by `migrate up`, at start and by the sweeper.

-- Up Migration
create table audit_events (
  id uuid not null,
  at timestamptz not null,
  event text not null,
  outcome text not null,
  zone text,
  actor_kind text not null check (actor_kind in ('agent', 'operator', 'gateway', 'browser', 'system')),
  actor_id text,
  connection_id uuid,
  provider_id uuid,
  token_version integer,
  address text,
  user_agent text,
  request_id text,
  data jsonb not null default '{}',
  primary key (at, id)
) partition by range (at);
create index audit_events_connection on audit_events (connection_id, at desc);
create index audit_events_event on audit_events (event, at desc);

create table audit_reads (
  like audit_events including defaults including constraints,
  primary key (at, id)
) partition by range (at);
create index audit_reads_connection on audit_reads (connection_id, at desc);
create index audit_reads_event on audit_reads (event, at desc);

-- Down Migration
drop table audit_reads;
drop table audit_events;
