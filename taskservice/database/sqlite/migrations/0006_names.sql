-- Tables and columns have the names that they have in PostgreSQL. What came of a key also has another
-- form for many tasks (see kept_keys.py), which an earlier version that still runs must not read.
ALTER TABLE deletions RENAME TO tombstones;
DROP INDEX deletions_expires;
CREATE INDEX tombstones_by_expiry ON tombstones (expires);
ALTER TABLE idempotency_keys RENAME COLUMN result TO outcome;
