-- A deletion has an expiry of its own: its revision tells no time once the clock was ahead.
ALTER TABLE tombstones ADD COLUMN expires bigint;
UPDATE tombstones SET expires =
    least(revision, (extract(epoch FROM now()) * 1000000)::bigint) + 7 * 24 * 3600 * 1000000::bigint;
ALTER TABLE tombstones ALTER COLUMN expires SET NOT NULL;
CREATE INDEX tombstones_by_expiry ON tombstones (expires);
