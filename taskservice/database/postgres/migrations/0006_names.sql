-- Tables and columns have the names that they have in SQLite. What came of a key also has another
-- form for many tasks (see kept_keys.py), which an earlier version that still runs must not read.
ALTER TABLE idempotency_keys RENAME COLUMN made TO outcome;
