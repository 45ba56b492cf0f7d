"""An examination of a PostgreSQL database before its tables are made or migrated; nothing is changed."""

from collections.abc import Mapping
from typing import Any

from taskservice.database.postgres.hosts import Connection
from taskservice.database.sql.migration import migrations
from taskservice.errors import ConfigError, StoreReadOnlyError, StoreUnavailableError

_STATE = """
SELECT current_setting('server_version') AS server, pg_is_in_recovery() AS standby,
       current_setting('default_transaction_read_only')::boolean AS read_only,
       to_regclass('store_version') IS NOT NULL AS ours,
       to_regclass(quote_ident(current_schema()) || '.tasks') IS NOT NULL AS tasks,
       quote_ident(current_schema()) AS schema, quote_ident($1::text) AS wanted,
       has_schema_privilege(current_schema(), 'CREATE') AS may_create,
       EXISTS (SELECT FROM pg_namespace WHERE nspname = $1::text) AS exists,
       quote_ident(current_user) AS role, current_setting('search_path') AS path,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schema"""


async def examine(connection: Connection, where: str, schema: str | None) -> str:
    """Describe what a start would find; raises StoreError and ConfigError if it would fail.

    `schema` is that of the config.
    """
    await check_encoding(connection)
    state = await _state(connection, where, schema)
    if state["standby"] or state["read_only"]:
        raise read_only_error(where, state["standby"])
    version = await connection.fetchval("SELECT version FROM store_version") if state["ours"] else 0
    plan = ""
    if migrations("postgres", version):
        what = "schema and tables" if _check_place(state, where, schema) else "tables"
        plan = f", whose {what} would be " + ("migrated" if version else "made")
    return f"version {state['server']}{plan}"


async def check_place(connection: Connection, where: str, schema: str | None) -> bool:
    """Return whether the schema of the config has to be created first.

    Raises ConfigError and StoreUnavailableError if the tables of a new store cannot be created.
    """
    state = await _state(connection, where, schema)
    return not state["ours"] and _check_place(state, where, schema)


async def _state(connection: Connection, where: str, schema: str | None) -> Mapping[str, Any]:
    [state] = await connection.fetch(_STATE, schema)
    if schema and state["path"].strip('"') != schema:
        raise ConfigError(
            f"PostgreSQL at {where} ignores the search_path of task-db.postgres.schema: behind "
            "PgBouncer, set task-db.postgres.pgbouncer to true")
    return dict(state)


def _check_place(state: Mapping[str, Any], where: str, schema: str | None) -> bool:
    if schema and not state["exists"]:
        if not state["may_create_schema"]:
            raise ConfigError(
                f"PostgreSQL at {where} has no schema {state['wanted']}, and this role may not make it: "
                f"CREATE SCHEMA {state['wanted']} AUTHORIZATION {state['role']}")
        return True
    found = state["schema"]
    if found is None:
        raise StoreUnavailableError(
            f"PostgreSQL at {where}: this role may use no schema: "
            f"GRANT CREATE, USAGE ON SCHEMA {state['wanted'] or 'public'} TO {state['role']}")
    if state["tasks"] and not state["ours"]:
        raise ConfigError(
            f"PostgreSQL at {where}: the schema {found} has a table tasks of something else; "
            "set task-db.postgres.schema to another one, or use another database")
    if not state["may_create"]:
        raise StoreUnavailableError(
            f"PostgreSQL at {where}: this role may not make tables: "
            f"GRANT CREATE, USAGE ON SCHEMA {found} TO {state['role']}")
    return False


def read_only_error(where: str, standby: bool) -> StoreReadOnlyError:
    """Return the error for a server that takes no writes."""
    reason = "it is a standby" if standby else "default_transaction_read_only is on"
    return StoreReadOnlyError(f"PostgreSQL at {where} takes no writes: {reason}")


async def check_encoding(connection: Connection) -> None:
    """Raise ConfigError for a database in which not every text can be stored."""
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise ConfigError(
            f"task-db.postgres: the database has the encoding {encoding}, expected UTF8: make one "
            "with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'")
