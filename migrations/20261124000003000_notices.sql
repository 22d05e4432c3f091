-- The outbox of webhooks: written in the transaction of what it tells of, deleted when it was delivered.

-- Up Migration
create table notices (
  id uuid primary key,
  type text not null,
  data jsonb not null,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);
create index notices_due on notices (next_attempt_at);

-- Down Migration
drop table notices;
