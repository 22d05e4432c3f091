-- A form that asks the provider about whatever is typed into it tells who holds stolen keys which of them work.

-- Up Migration
alter table handshakes
  -- how often what was typed in was tried at the provider
  add column tries int not null default 0;

-- Down Migration
alter table handshakes drop column tries;
