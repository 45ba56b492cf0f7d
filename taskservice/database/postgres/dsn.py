"""The parts of a DSN that are checked before anything connects: the server's address, and the files for TLS."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from taskservice.database.postgres import libpq
from taskservice.errors import ConfigError

_HOST = r"(\[[^\]]*\]|[^:\[\]]*)(:\d+)?"
_UNVERIFIED = (None, "allow", "prefer")
"""The values of sslmode, None being the default, with which asyncpg reads no authorities."""


def location(dsn: str) -> str:
    """Return host and port of a DSN, for messages; raises ConfigError for what is no DSN.

    No part of a password may get into a message, and one that is not percent-encoded could end up
    in any part of the DSN: so what is not understood is not shown either.
    """
    try:
        parts = urlsplit(dsn)
        options = libpq.options(dsn)
        _, at, hosts = parts.netloc.rpartition("@")
        for host in hosts.split(","):
            host.encode("idna")  # as getaddrinfo does
    except ValueError:
        raise _malformed() from None
    stray = dsn.count("@") > len(at)
    if parts.scheme not in ("postgres", "postgresql") or stray or not re.fullmatch(
            f"{_HOST}(,{_HOST})*", hosts):
        raise _malformed()
    if any(int(port) > 65535 for port in re.findall(r":(\d+)(?:,|$)", hosts)):
        raise ConfigError("task-db.postgres.dsn: expected a port up to 65535")
    return hosts or options.get("host", "the default address")


def host_dsns(dsn: str) -> Sequence[str]:
    """Return a DSN for each host of this one, in order; PGPORT may have a port for each."""
    parts = urlsplit(dsn)
    user, at, netloc = parts.netloc.rpartition("@")
    hosts, ports = netloc.split(","), os.environ.get("PGPORT", "").split(",")
    if len(hosts) == 1:
        return [dsn]
    if len(ports) == len(hosts):
        hosts = [host if re.search(r":\d+$", host) else f"{host}:{port}" for host, port in zip(hosts, ports)]
    return [parts._replace(netloc=f"{user}{at}{host}").geturl() for host in hosts]


def _malformed() -> ConfigError:
    return ConfigError(
        "task-db.postgres.dsn: expected postgresql://user:password@host:port/database, with "
        "special characters in the password percent-encoded")


def check_certificates(dsn: str) -> None:
    """Raise ConfigError, naming the file, for one that TLS needs and that cannot be used.

    asyncpg reads them for each connection, and its errors do not say which file it was.
    """
    options = libpq.options(dsn)
    mode = options.get("sslmode") or os.environ.get("PGSSLMODE")
    if mode == "disable":
        return
    files = _files(options, ("sslcert", "sslkey"))
    if mode not in _UNVERIFIED:
        files = _files(options, ("sslrootcert", "sslcrl")) | files
    for name, file in files.items():
        with _named(f"{name}: {file}"):
            Path(file).read_bytes()
    if not files:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in files.keys() & {"sslrootcert", "sslcrl"}:
        with _named(f"{name}: {files[name]}"):
            context.load_verify_locations(files[name])
    if "sslcert" in files:
        with _named(", ".join(files[name] for name in ("sslcert", "sslkey") if name in files)):
            context.load_cert_chain(
                files["sslcert"], files.get("sslkey"), lambda: options.get("sslpassword", ""))


def _files(options: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the files that the DSN or, as for libpq, the environment names."""
    found = {name: options.get(name) or os.environ.get(f"PG{name.upper()}") for name in names}
    return {name: file for name, file in found.items() if file}


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ssl.SSLError is one: no PEM, another's key
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"task-db.postgres.dsn: {what}: {reason}") from error
