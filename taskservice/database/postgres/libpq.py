"""Options of libpq that asyncpg lacks: implemented here, or refused by name."""

import configparser
import getpass
import os
import re
import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from taskservice.errors import ConfigError

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem")
"""Where systems keep the authorities they trust, if OpenSSL does not know; Go's crypto/x509 looks there, too."""

_SOCKET_FOLDERS = ("/tmp", "/run/postgresql", "/var/run/postgresql")
"""Where servers have their Unix sockets by default: that of PostgreSQL itself, and those of Debian and Red Hat."""

_FIELD = re.compile(r"((?:\\.|[^:\\]|\\$)*)(?::|$)")
"""A field of a password file and what ends it; a backslash escapes a colon or a backslash (libpq-pgpass)."""


def options(dsn: str) -> dict[str, str]:
    """Return the options after the `?` of a DSN; raises ValueError if they are malformed."""
    return dict(parse_qsl(urlsplit(dsn).query, strict_parsing=True))


def driver_dsn(dsn: str) -> tuple[str, float | None]:
    """Return the DSN in asyncpg's terms, and connect_timeout in seconds, None if it is not limited.

    Raises ConfigError, naming the option, for a value that cannot be honoured.
    """
    given = options(dsn)
    wanted = dict(given)
    if "service" not in wanted and (name := os.environ.get("PGSERVICE")):
        wanted["service"] = name
    found = _with_service(wanted)
    _check_channel_binding(found.get("channel_binding", os.environ.get("PGCHANNELBINDING", "prefer")))
    timeout = _seconds(found.get("connect_timeout", os.environ.get("PGCONNECT_TIMEOUT", "0")))
    if found.get("sslrootcert", os.environ.get("PGSSLROOTCERT")) == "system":
        mode = found.get("sslmode") or os.environ.get("PGSSLMODE") or "verify-full"
        if mode != "verify-full":
            raise _error(f"sslmode={mode} is too weak for sslrootcert=system: use verify-full")
        wanted |= {"sslmode": mode, "sslrootcert": _system_authorities()}
    hosts = urlsplit(dsn).netloc.rpartition("@")[2]
    if not hosts and "," in found.get("host", os.environ.get("PGHOST", "")):
        raise _error("several hosts: expected them in the address, as postgresql://user@one:5432,two:5432/database")
    if "," in hosts and not found.get("target_session_attrs") and "PGTARGETSESSIONATTRS" not in os.environ:
        wanted["target_session_attrs"] = "read-write"  # on a standby reads would be stale, and no write succeeds
    for name in ("channel_binding", "connect_timeout"):  # asyncpg would send them to the server as settings
        wanted.pop(name, None)
    base = dsn.partition("?")[0]
    if urlsplit(dsn).path == "/":  # asyncpg takes it for a database without a name, and asks no service for one
        base = base.removesuffix("/")
    elif wanted == given:
        return dsn, timeout
    return base + ("?" if wanted else "") + urlencode(wanted, quote_via=quote), timeout


def _error(reason: str) -> ConfigError:
    return ConfigError(f"task-db.postgres.dsn: {reason}")


def _check_channel_binding(value: str) -> None:
    if value == "require":
        raise _error("channel_binding=require is not supported: the driver does not bind a login to the TLS "
                     "connection; leave it out, and have the server verified by sslmode=verify-full")
    if value not in ("disable", "prefer"):
        raise _error("channel_binding: expected disable or prefer")


def _seconds(value: str) -> float | None:
    try:
        seconds = int(value)
    except ValueError:
        raise _error("connect_timeout: expected whole seconds") from None
    return seconds if seconds > 0 else None


def _system_authorities() -> str:
    for file in (ssl.get_default_verify_paths().cafile, *_BUNDLES):
        if file and Path(file).exists():
            return file
    raise _error("sslrootcert=system: this system has no file of authorities: set sslrootcert to one")


def _with_service(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return these options, and those of the service that they name."""
    return {**_service(given["service"]), **given} if "service" in given else given


def _service(name: str) -> Mapping[str, str]:
    """Return the options of a service from the service file, read as asyncpg does."""
    file = os.environ.get("PGSERVICEFILE") or os.path.expanduser("~/.pg_service.conf")
    parser = configparser.ConfigParser()
    try:
        parser.read(file)
        known = name in parser.sections()
        found = dict(parser.items(name)) if known else {}
    except (configparser.Error, OSError, ValueError):  # it may quote a password
        raise _error(f"service {name}: {file} cannot be read; a % is written %%") from None
    if not known:
        raise _error(f"service {name}: {file} has no such section")
    return found


def password(dsn: str) -> str | None:
    """Return the password from the password file for a DSN that `driver_dsn` returned; None if another source has it.

    asyncpg reads the file as well, but does not undo escapes.
    """
    given, environment = options(dsn), os.environ
    found = _with_service(given)
    parts = urlsplit(dsn)
    login, _, server = parts.netloc.rpartition("@")
    name, _, secret = login.partition(":")
    if secret or found.get("password") or "PGPASSWORD" in environment:
        return None
    file = found.get("passfile") or environment.get("PGPASSFILE") or os.path.expanduser("~/.pgpass")
    user = unquote(name) or found.get("user") or environment.get("PGUSER") or getpass.getuser()
    database = (unquote(parts.path[1:]) or found.get("dbname") or found.get("database")
                or environment.get("PGDATABASE") or user)
    hosts = server or found.get("host") or environment.get("PGHOST") or "localhost"
    port = found.get("port") or environment.get("PGPORT") or "5432"
    places = [place for host in hosts.split(",") for place in _places(unquote(host), port)]
    for where in places:
        for *fields, word in _entries(file):
            if all(field in ("*", value) for field, value in zip(fields, (*where, database, user), strict=True)):
                return word
    return None


def _places(host: str, port: str) -> list[tuple[str, str]]:
    """Return the hosts, and their port, by which entries name a host; that may include its port, or be a folder.

    An entry names the folder of a Unix socket, and localhost if it is a default one (libpq-pgpass).
    """
    if host.startswith("/"):
        names = [host, "localhost"] if host in _SOCKET_FOLDERS else [host]
        return [(name, port) for name in names]
    match = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?|([^:]*)(?::(\d+))?", host)
    if match is None:
        return [(host, port)]
    return [(match[1] or match[3] or "localhost", match[2] or match[4] or port)]


def _entries(file: str) -> Iterator[list[str]]:
    """Yield host, port, database, user and password of each entry of a file that only its owner may read."""
    try:
        if os.stat(file).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return  # asyncpg warns of it
        lines = Path(file).read_text("utf-8").split("\n")
    except (OSError, ValueError):
        return
    for line in lines:
        fields = [re.sub(r"\\(.)", r"\1", field) for field in _FIELD.findall(line)[:5]]
        if len(fields) == 5 and fields[-1] and not line.startswith("#"):
            yield fields
