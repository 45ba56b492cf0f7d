-- A deletion has an expiry of its own: its revision tells no time once the clock was ahead. The table is
-- made anew, as a column that is added needs a default: with one, a process of an earlier version that
-- still runs would write deletions that are forgotten at once, where now its write fails.
ALTER TABLE deletions RENAME TO deletions_without_expiry;
CREATE TABLE deletions (
    revision INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    expires INTEGER NOT NULL
) STRICT;
INSERT INTO deletions (revision, id, expires)
SELECT revision, id, min(revision, unixepoch() * 1000000) + 7 * 24 * 3600 * 1000000
  FROM deletions_without_expiry ORDER BY revision;
DROP TABLE deletions_without_expiry;
CREATE INDEX deletions_expires ON deletions (expires);
