-- Refresh by many Brokers: what they must agree on beyond lease and version.

-- Up Migration
-- The moment a row is due is one value, so that rows that wait for a provider to recover are not read over again: after a
-- failure next_attempt_at lies ahead, after a success it is null (and greatest passes over nulls).
drop index tokens_due;
create index tokens_due on tokens (provider_id, greatest(refresh_at, next_attempt_at)) where refresh_at is not null;

alter table tokens
  -- a presentation of this version's refresh token may have been answered without our seeing it
  add column outcome_unknown boolean not null default false,
  -- what became of the last attempt that changed no version, for those who waited for it on other Brokers
  add column attempt_outcome text,
  add column attempt_epoch bigint;

alter table provider_profiles
  -- the provider refuses our client: only the operator can mend that
  add column alarm text,
  add column alarm_since timestamptz,
  -- seen to answer a refresh with a new refresh token
  add column rotates boolean not null default false;

-- Down Migration
alter table provider_profiles drop column alarm, drop column alarm_since, drop column rotates;
alter table tokens drop column outcome_unknown, drop column attempt_outcome, drop column attempt_epoch;
drop index tokens_due;
create index tokens_due on tokens (provider_id, refresh_at) where refresh_at is not null;
