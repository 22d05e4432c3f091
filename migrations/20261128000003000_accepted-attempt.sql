-- Which opening of a link was accepted: one in another browser may be somebody else's, and is not told that all went well.

-- Up Migration
alter table handshakes add accepted_attempt_id uuid;

-- Down Migration
alter table handshakes drop accepted_attempt_id;
