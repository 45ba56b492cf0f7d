"""The optional search index of a PostgreSQL store: pg_trgm finds the texts that may have a word.

The server maintains it, whatever process writes. It knows a word by its letters and digits, and only by those that the
locale of the database knows: with the locale C, those of ASCII.
"""

import logging
import re
from collections.abc import Sequence

import asyncpg

from taskservice import LOGGER_NAME
from taskservice.database.postgres.hosts import Connection
from taskservice.database.sql.pages import Candidates
from taskservice.errors import ConfigError
from taskservice.utils import logutils

_EXISTS = "SELECT to_regclass('texts_by_trigram') IS NOT NULL"

_SCHEMA = """
SELECT quote_ident(nspname) AS name, has_schema_privilege(pg_namespace.oid, 'USAGE') AS usable,
       quote_ident(current_user) AS role
  FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
 WHERE extname = 'pg_trgm'"""

# By default it would go to the schema of the tables, which may be one of several and be dropped.
_INSTALL = "CREATE EXTENSION pg_trgm"
_PUBLIC = "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'public'"

# A search also reads the pending list, which a write merges into the index at this size, in kB.
_CREATE = """
CREATE INDEX texts_by_trigram ON texts USING gin (search_text {schema}.gin_trgm_ops)
  WITH (gin_pending_list_limit = 512)"""

_DROP = "DROP INDEX texts_by_trigram"

# The parts of a word that pg_trgm makes a trigram of: three letters, or fewer at its beginning or end.
_KNOWN = re.compile(r"[^\W_]{3}|[\W_][^\W_]|[^\W_]{2}[\W_]")
_KNOWN_ASCII = re.compile(_KNOWN.pattern, re.ASCII)

_ESCAPED = str.maketrans({char: f"\\{char}" for char in "\\%_"})
"""The characters that LIKE treats as a pattern."""

_UNDER_C = "SELECT {schema}.show_trgm('\u03b1\u03b2\u03b3') = '{{}}'"


async def switch(connection: Connection, wanted: bool, where: str) -> Candidates | None:
    """Build the index if it is wanted and missing, drop it if it exists and is not wanted.

    Call it in the transaction of the start, which other processes that start wait for. Returns how a search asks the
    index, and raises ConfigError if pg_trgm is not available.
    """
    exists = await connection.fetchval(_EXISTS)
    schema = await _extension(connection) if wanted else None
    if exists != wanted:
        logutils.log(
            logging.getLogger(LOGGER_NAME), logging.INFO,
            message="SEARCH INDEX", store=where, action="build" if wanted else "drop")
        await connection.execute(_CREATE.format(schema=schema) if wanted else _DROP)
    if not wanted:
        return None
    known = _KNOWN_ASCII if await connection.fetchval(_UNDER_C.format(schema=schema)) else _KNOWN

    def candidates(words: Sequence[str]) -> Sequence[tuple[str, str]]:
        return [("search_text LIKE {}", _pattern(word)) for word in words if known.search(word)]

    return candidates


async def _extension(connection: Connection) -> str:
    """Return the schema of pg_trgm, which is installed if it is missing: in public, so that others can use it too."""
    if not (found := await connection.fetch(_SCHEMA)):
        public = " SCHEMA public" if await connection.fetchval(_PUBLIC) else ""
        try:
            await connection.execute(_INSTALL + public)
        except asyncpg.PostgresError as error:
            raise ConfigError(
                "task-db.postgres.search-index: expected the extension pg_trgm, which an owner of the "
                f"database installs with {_INSTALL}{public}: {error}") from error
        found = await connection.fetch(_SCHEMA)
    [extension] = found
    if not extension["usable"]:
        raise ConfigError(
            "task-db.postgres.search-index: this role may not use the extension pg_trgm: "
            f"GRANT USAGE ON SCHEMA {extension['name']} TO {extension['role']}")
    return str(extension["name"])


def _pattern(word: str) -> str:
    return f"%{word.translate(_ESCAPED)}%"
