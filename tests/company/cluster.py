"""PostgreSQL with a synchronous standby, of Debian's programs; the test does what a cluster's manager does."""

import signal
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tests.helpers.postgres import PostgresServer
from tests.helpers.timing import PATIENCE

PROGRAMS = max(
    (program.parent for program in Path("/usr/lib/postgresql").glob("*[0-9]/bin/pg_rewind")),
    key=lambda folder: float(folder.parent.name), default=Path("/nowhere"))
"""The newest PostgreSQL server of Debian."""

_SETTINGS = {"max_connections": "100", "wal_retrieve_retry_interval": "100ms"}


class Member(PostgresServer):
    """One of the two servers; `source` is the one that it is a copy of at first."""

    def __init__(self, name: str, source: "Member | None" = None) -> None:
        self.name, self._source = name, source
        super().__init__(fsync=False, settings=_SETTINGS, programs=PROGRAMS)

    def follow(self, primary: "Member") -> None:
        """Start as the standby of another one."""
        primary.psql(
            f"SELECT pg_create_physical_replication_slot('{self.name}') WHERE NOT EXISTS "
            f"(SELECT FROM pg_replication_slots WHERE slot_name = '{self.name}')")
        conninfo = f"host=127.0.0.1 port={primary.port} user=postgres application_name={self.name}"
        (self._data / "postgresql.auto.conf").write_text(
            f"primary_conninfo = '{conninfo}'\nprimary_slot_name = '{self.name}'\n", "utf-8")
        (self._data / "standby.signal").touch()
        self.start()

    def wait_for(self, standby: "Member") -> None:
        """Acknowledge nothing from now on that is not on this standby as well."""
        self.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{standby.name}'")
        self.psql("SELECT pg_reload_conf()")
        self.wait_until(f"SELECT FROM pg_stat_replication WHERE application_name = '{standby.name}' "
                        "AND sync_state = 'sync'")

    def wait_until(self, question: str) -> None:
        """Wait until a query has a row."""
        deadline = time.monotonic() + PATIENCE
        while self.psql(f"SELECT EXISTS ({question})") != "t\n":
            assert time.monotonic() < deadline, f"{question}\n{self.log}"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill all its processes (-9), of which a receiver that lived on could still confirm a write."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # or its children would be nobody's before they are found
        psutil = import_module("psutil")
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait(PATIENCE)
        psutil.wait_procs(children, PATIENCE)
        self._process = None

    def rewind(self, primary: "Member") -> None:
        """Take back what it has and the one that was promoted has not."""
        primary.psql("CHECKPOINT")  # before its first one pg_rewind does not see that it was promoted
        self._run("pg_rewind", "--no-sync", "-D", str(self._data), "--source-server", primary.dsn())

    def _make_data(self) -> None:
        if self._source is None:
            super()._make_data()
            with open(self._data / "postgresql.conf", "a", encoding="utf-8") as config:
                config.write("wal_log_hints = on\nwal_keep_size = 512MB\n")  # pg_rewind needs them, and reads them here
        else:
            self._run(
                "pg_basebackup", "--no-sync", "--checkpoint=fast", "-D", str(self._data), "-d", self._source.dsn())


class Cluster:
    """A primary and its synchronous standby; both keep their ports when they change places."""

    def __init__(self) -> None:
        first = Member("member_a")
        self.members = [first]
        try:
            first.start()
            second = Member("member_b", first)
            self.members.append(second)
            self.primary, self.standby = first, second
            self._join()
        except BaseException:
            self.close()
            raise

    def promote(self) -> None:
        """Make the standby the primary; until the other one is back it waits for nobody (as Patroni does)."""
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Have the one that was the primary, and does not run, come back as the standby."""
        self.standby.rewind(self.primary)
        self._join()

    def _join(self) -> None:
        self.standby.follow(self.primary)
        self.primary.wait_for(self.standby)

    def close(self) -> None:
        """Stop both."""
        for member in self.members:
            member.close()
