"""The optional search index of a SQLite store: FTS5's trigrams find the texts that may have a word.

Triggers maintain it, so it is complete whatever process writes, of whatever config or version. Its rows have numbers of
their own, since VACUUM may change those of a table without an INTEGER PRIMARY KEY.
"""

import logging
from collections.abc import Sequence

import apsw

from taskservice import LOGGER_NAME
from taskservice.database.sql.migration import PORTION, Progress
from taskservice.database.sqlite.connection import begin
from taskservice.errors import ConfigError
from taskservice.utils import logutils

TRIGRAM = 3

EXISTS = "SELECT count(*) FROM sqlite_schema WHERE name = 'search_index'"

# With detail=none it knows of each trigram only in which texts it is, which is all that is asked.
# Texts are folded already, so that it need not. It merges later than by default, and never a lot at
# once: that halves what a write costs, and a search has some more lists to read.
_CREATE = """
CREATE VIRTUAL TABLE search_index USING fts5(
    search_text, content='', contentless_delete=1, detail=none,
    tokenize='trigram case_sensitive 1');
INSERT INTO search_index (search_index, rank) VALUES ('automerge', 16);
INSERT INTO search_index (search_index, rank) VALUES ('crisismerge', 64);
CREATE TABLE search_numbers (
    number INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER search_added AFTER INSERT ON texts BEGIN
    INSERT INTO search_numbers (id) VALUES (new.id);
    INSERT INTO search_index (rowid, search_text) VALUES (last_insert_rowid(), new.search_text);
END;
CREATE TRIGGER search_changed AFTER UPDATE OF search_text ON texts BEGIN
    UPDATE search_index SET search_text = new.search_text
     WHERE rowid = (SELECT number FROM search_numbers WHERE id = new.id);
END;
CREATE TRIGGER search_removed AFTER DELETE ON texts BEGIN
    DELETE FROM search_index WHERE rowid = (SELECT number FROM search_numbers WHERE id = old.id);
    DELETE FROM search_numbers WHERE id = old.id;
END;
INSERT INTO search_numbers (id) SELECT id FROM texts ORDER BY id"""

_FILL = """
INSERT INTO search_index (rowid, search_text)
SELECT number, search_text FROM search_numbers CROSS JOIN texts USING (id)
 WHERE number > $1 AND number <= $2"""

_DROP = """
DROP TRIGGER search_added;
DROP TRIGGER search_changed;
DROP TRIGGER search_removed;
DROP TABLE search_numbers;
DROP TABLE search_index"""

_CANDIDATES = (
    "id IN (SELECT search_numbers.id FROM search_index CROSS JOIN search_numbers "
    "ON number = search_index.rowid WHERE search_index MATCH {})")


def switch(connection: apsw.Connection, wanted: bool) -> None:
    """Build the index if it is wanted and missing, drop it if it exists and is not wanted.

    It is one transaction, which other processes that start wait for. Raises ConfigError if this SQLite has no FTS5 with
    trigrams.
    """
    if connection.execute(EXISTS).get == wanted:
        return
    begin(connection)
    if connection.execute(EXISTS).get != wanted:  # else another process has done it
        logutils.log(
            logging.getLogger(LOGGER_NAME), logging.INFO,
            message="SEARCH INDEX", store=connection.filename, action="build" if wanted else "drop")
        if wanted:
            _build(connection)
        else:
            connection.execute(_DROP)
    connection.execute("COMMIT")


def _build(connection: apsw.Connection) -> None:
    try:
        connection.execute(_CREATE)
    except apsw.SQLError as error:
        raise ConfigError(
            "task-db.sqlite.search-index: expected a SQLite of version 3.43 or later with FTS5, this "
            f"is {apsw.sqlite_lib_version()}: {error}") from error
    last = connection.execute("SELECT coalesce(max(number), 0) FROM search_numbers").get
    progress = Progress(connection.filename)
    for start in range(0, last, PORTION):
        connection.execute(_FILL, (start, start + PORTION))
        progress.add(connection.changes())
    connection.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")


def candidates(words: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return the condition that a text has the trigrams of the words."""
    trigrams = dict.fromkeys(
        word[start:start + TRIGRAM]
        for word in words for start in range(len(word) - TRIGRAM + 1))
    quoted = [f'"{trigram}"' for trigram in (each.replace('"', '""') for each in trigrams)]
    return [(_CANDIDATES, " AND ".join(quoted))] if quoted else []
