-- Rotation walks the rows of a key in the order of their ids, past those it has sealed anew. By the key alone, each step
-- would read again what all steps before it left behind in the index, until that is vacuumed.

-- Up Migration
drop index tokens_key_id;
create index tokens_key_id on tokens (key_id, connection_id);

-- Down Migration
drop index tokens_key_id;
create index tokens_key_id on tokens (key_id);
