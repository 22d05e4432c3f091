-- A connection that is purged takes its idempotency keys along: without an index each one would read all of them.

-- Up Migration
create index idempotency_keys_connection on idempotency_keys (connection_id);

-- Down Migration
drop index idempotency_keys_connection;
