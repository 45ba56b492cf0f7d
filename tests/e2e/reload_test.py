"""SIGHUP: the config is read anew, by one process and by workers, and no connection and no request is lost."""

import asyncio
import os
import signal
import socket
import ssl
import tempfile
import time
import unittest
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.api import wait_until
from tests.helpers.live import config
from tests.helpers.load import KeptConnection
from tests.helpers.processes import PATIENCE, ServiceProcess, children
from tests.helpers.raw import Peer, peer, request
from tests.helpers.running import (
    READER, TOKENS, WRITER, bearer, make_certificate, running, samples, total, write_config)
from tests.helpers.logs import parse

TASK = b'{"title": "a"}'
LAST = b'{"title": "the last"}'


class ReloadCase(unittest.TestCase):

    options: tuple[str, ...] = ()
    server = "taskservice"

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.store: Mapping[str, Any] = {"sqlite": str(self.folder / "tasks.db")}
        self.reloads = 0

    @property
    def processes(self) -> int:
        """How many processes reload: workers, and their parent."""
        return 3 if self.options else 1

    def start(self, **http: Any) -> ServiceProcess:
        service = self.enterContext(
            running(self.folder, self.store, *self.options, http={"server": self.server, **http}))
        self.service = service
        wait_until(lambda: self.count("STARTING") == self.processes, "all processes")
        return service

    def count(self, message: str) -> int:
        return sum(f'message="{message}"' in line for line in list(self.service.stdout))

    def hang_up(self, message: str, times: int | None = None) -> None:
        """Send SIGHUP, and wait until all processes have said this, or `times` of them."""
        expected = self.count(message) + (times or self.processes)
        self.service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.count(message) >= expected, f"{message} in {self.service.stdout}")

    def reload(self, http: Mapping[str, Any] = {}, **sections: Any) -> None:
        """Have the service reload such a config."""
        task_db = sections.pop("task_db", self.store)
        write_config(self.folder, task_db, http={"server": self.server, **http}, **sections)
        self.hang_up("RELOADED")

    def last(self, message: str) -> Mapping[str, Any]:
        """Return what the last such line says."""
        return parse([line for line in list(self.service.stdout) if f'message="{message}"' in line][-1])

    def end(self) -> None:
        """End the service, which has said nothing on standard error."""
        self.assertEqual(self.service.stop(), 0)
        self.assertEqual(self.service.stderr, [])


class ReloadTest(ReloadCase):

    def test_tokens(self) -> None:
        with closing(Peer(self.start().port)) as kept:
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            self.reload(auth={"tokens": TOKENS})
            self.assertEqual(kept.ask("GET", "/tasks")[0], 401)
            self.assertEqual(kept.ask("GET", "/tasks", b"", **bearer(READER))[0], 200)
            self.assertEqual(kept.ask("POST", "/tasks", TASK, **bearer(READER))[0], 403)
            self.assertEqual(kept.ask("POST", "/tasks", TASK, **bearer(WRITER))[0], 201)
            self.reload(auth={"tokens": TOKENS[:1]})
            self.assertEqual(kept.ask("POST", "/tasks", TASK, **bearer(WRITER))[0], 401)
        self.assertEqual(self.last("RELOADED")["changed"], "auth.tokens")
        self.end()

    def test_a_key_from_before_there_were_tokens(self) -> None:
        """A client that got no answer, and then a token, makes no second task."""
        with closing(Peer(self.start().port)) as kept:
            first = kept.ask("POST", "/tasks", TASK, Idempotency_Key='"a"')
            self.reload(auth={"tokens": TOKENS})
            again = kept.ask("POST", "/tasks", TASK, Idempotency_Key='"a"', **bearer(WRITER))
        self.assertEqual([answer[0] for answer in (first, again)], [201, 201])
        self.assertEqual(again[1]["location"], first[1]["location"])
        self.end()

    def test_an_event_stream_ends_with_its_token(self) -> None:
        """Before what its client may not see any more; the other goes on."""
        service = self.start()
        self.reload(auth={"tokens": TOKENS})
        with closing(self.follow_as(READER)) as revoked, closing(self.follow_as(WRITER)) as other:
            self.reload(auth={"tokens": TOKENS[1:]})
            with peer(service.port) as client:
                self.assertEqual(client.ask("POST", "/tasks", TASK, **bearer(WRITER))[0], 201)
            self.assertFalse(any(line.startswith(b"data:") for line in revoked.makefile("rb")))
            self.assertTrue(any(line.startswith(b"data:") for line in other.makefile("rb")))
        self.end()

    def follow_as(self, token: str) -> socket.socket:
        """Return a connection on which an event stream has begun."""
        follower = socket.create_connection(("127.0.0.1", self.service.port), PATIENCE)
        follower.sendall(request("GET", "/changes", Accept="text/event-stream", Connection="close", **bearer(token)))
        came = b""
        while b"\nid:" not in came:
            came += follower.recv(1)
        return follower

    def test_hosts_origins_and_proxies(self) -> None:
        origin = "https://app.example"
        fields = {"Host": "tasks.example", "Origin": origin, "X_Forwarded_For": "192.0.2.1"}
        with closing(Peer(self.start().port)) as kept:
            self.assertEqual(kept.ask("GET", "/tasks", b"", **fields)[0], 421)
            self.reload({"hosts": ["tasks.example"], "cors-origins": [origin], "trusted-proxies": ["127.0.0.1"]})
            code, headers, _ = kept.ask("POST", "/tasks", TASK, **fields)
            self.assertEqual((code, headers["access-control-allow-origin"]), (201, origin))
            wait_until(lambda: self.count("RESPONSE") == 2, "its line")
            self.assertEqual(self.last("RESPONSE")["ip"], "192.0.2.1")
            self.reload()
            self.assertEqual(kept.ask("GET", "/tasks", b"", **fields)[0], 421)
        self.end()

    def test_limits(self) -> None:
        with closing(Peer(self.start().port)) as kept:
            body = b'{"title": "a", "description": "%b"}' % (b"x" * 3000)
            self.assertEqual(kept.ask("POST", "/tasks", body)[0], 201)
            self.reload({"max-body": 2000})
            with peer(self.service.port) as new:
                self.assertEqual(new.ask("POST", "/tasks", body)[0], 413)
            self.assertEqual(kept.ask("POST", "/tasks", TASK)[0], 201)
            self.reload({"max-body": 4000, "require-if-match": True})
            code, headers, _ = kept.ask("POST", "/tasks", body)
            self.assertEqual(code, 201)
            self.assertEqual(kept.ask("PUT", headers["location"], TASK)[0], 428)
        self.assertEqual(self.last("RELOADED")["changed"], "http.require-if-match http.max-body")
        self.end()

    def test_a_certificate(self) -> None:
        tls, other = make_certificate(self.folder), make_certificate(self.folder, "other")
        trusting = ssl.create_default_context(cafile=tls["certificate"])
        trusting_other = ssl.create_default_context(cafile=other["certificate"])
        trusting_other.check_hostname = False
        with closing(Peer(self.start(tls=tls).port, trusting)) as kept:
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            for name in tls:  # as certbot does it: the same names, and another content
                os.replace(other[name], tls[name])
            self.hang_up("RELOADED")
            self.assertEqual(self.last("RELOADED")["changed"], "")
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            for halted in children(self.service.process.pid) or {0}:  # by each worker, as the other is halted
                with paused(halted), peer(self.service.port, trusting_other) as new:
                    self.assertEqual(new.ask("GET", "/tasks")[0], 200)
            Path(tls["certificate"]).write_text("no certificate", "ascii")
            self.hang_up("RELOAD FAILED")
            self.assertIn(tls["certificate"], self.last("RELOAD FAILED")["reason"])
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            with peer(self.service.port, trusting_other) as new:
                self.assertEqual(new.ask("GET", "/tasks")[0], 200)
        self.end()

    def test_the_logging(self) -> None:
        """A plain file is opened anew, as after logrotate moved it away; the format and the level change."""
        service = self.start()
        log = self.folder / "log"
        handler = {"class": "logging.FileHandler", "filename": str(log), "formatter": "f"}
        section = {
            "version": 1, "formatters": {"f": {"format": "%(levelname)s|%(message)s"}},
            "handlers": {"file": handler}, "root": {"level": "INFO", "handlers": ["file"]}}
        write_config(self.folder, self.store, http={"server": self.server}, logging=section)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.exists() and log.read_text().count('INFO|message="RELOADED"') == self.processes, "all")
        with closing(Peer(service.port)) as kept:
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            wait_until(lambda: "INFO|req_id=" in log.read_text(), "its line")
            log.rename(self.folder / "log.1")
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: log.exists() and log.read_text().count("RELOADED") == self.processes, "a new file")
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
        self.assertEqual(self.count("RELOADED"), 0, "the console is no handler any more")
        self.end()

    def test_what_is_wrong_is_named_and_changes_nothing(self) -> None:
        service = self.start()
        path = self.folder / "config.yaml"
        gone = {"version": 1, "root": {"handlers": ["f"]},
                "handlers": {"f": {"class": "logging.FileHandler", "filename": "/none/there"}}}
        with closing(Peer(service.port)) as kept:
            for text, said in (
                    ("http: [", f"{path}: not YAML"),
                    (config(self.store, http={"max-bod": 1}), "http.max-bod: unknown key, did you mean max-body?"),
                    (config(self.store, http={"hosts": ["${NOT_THERE}"]}), "http.hosts.0: the environment variable"),
                    (config(self.store, http={"tls": {"certificate": "/none", "key": "/none"}}),
                     "http.tls.certificate: /none: No such file or directory"),
                    (yaml.safe_dump({"http": {"hosts": ["x"]}, "logging": gone}), "logging: Unable to configure")):
                with self.subTest(said):
                    path.write_text(text, "utf-8")
                    self.hang_up("RELOAD FAILED")
                    self.assertIn(said, self.last("RELOAD FAILED")["reason"])
                    self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            path.unlink()
            self.hang_up("RELOAD FAILED")
            self.assertEqual(self.last("RELOAD FAILED")["reason"], f"{path}: No such file or directory")
            self.assertEqual(kept.ask("GET", "/tasks")[0], 200)
            self.reload({"hosts": ["localhost", "tasks.example"]})
            self.assertEqual(kept.ask("GET", "/tasks", b"", Host="tasks.example")[0], 200)
            found = samples(kept.ask("GET", "/metrics")[2].decode())
        counted = found["taskservice_config_reloads_total"]
        serving = max(self.processes - 1, 1)
        self.assertEqual((total(counted, result="failed"), total(counted, result="ok")), (6 * serving, serving))
        self.assertEqual([*found["taskservice_config_last_reload_successful"].values()], [1])
        [read] = found["taskservice_config_last_reload_success_timestamp_seconds"].values()
        self.assertGreaterEqual(read, path.stat().st_mtime - 1)
        self.end()

    def test_what_needs_a_restart_stays_as_it_is(self) -> None:
        with closing(Peer(self.start().port)) as kept:
            path = kept.ask("POST", "/tasks", TASK)[1]["location"]
            other = {"taskservice": "tornado", "tornado": "taskservice"}[self.server]
            self.reload({"server": other, "hosts": ["localhost", "tasks.example"]}, task_db={"memory": None})
            wait_until(lambda: self.count("RESTART NEEDED") == self.processes, "each says it")
            self.assertEqual(self.last("RESTART NEEDED")["keys"], "task-db http.server")
            self.assertEqual(self.last("RELOADED")["changed"], "http.hosts")
            self.assertEqual(kept.ask("GET", path, b"", Host="tasks.example")[0], 200)
            with peer(self.service.port) as new:
                self.assertEqual(new.ask("GET", path)[0], 200)
        self.end()

    def test_lines_of_the_end_have_the_name_in_force(self) -> None:
        self.start()
        self.reload(service={"name": "Renamed"})
        self.end()
        for message in "SHUTTING DOWN", "STOPPED":
            lines = [line for line in self.service.stdout if f'"{message}"' in line]
            self.assertEqual({parse(line)["service_name"] for line in lines}, {"Renamed"}, message)

    def test_files_of_values_are_read_again(self) -> None:
        secret = self.folder / "host"
        secret.write_text("one.example\n", "utf-8")
        with closing(Peer(self.start(hosts=[f"${{file:{secret}}}", "localhost"]).port)) as kept:
            self.assertEqual(kept.ask("GET", "/tasks", b"", Host="two.example")[0], 421)
            secret.write_text("two.example\n", "utf-8")
            self.hang_up("RELOADED")
            self.assertEqual(kept.ask("GET", "/tasks", b"", Host="two.example")[0], 200)
            self.assertEqual(kept.ask("GET", "/tasks", b"", Host="one.example")[0], 421)
        self.end()

    def test_no_request_fails_and_no_connection_is_closed(self) -> None:
        """Clients write and read all the time, and one follows the changes, while the config changes back and forth."""
        service = self.start()
        outcome = asyncio.run(self.load(service, 10))
        self.assertEqual(set(outcome), {200, 201})
        self.assertEqual(self.count("RELOADED"), 10 * self.processes)
        self.assertEqual(self.count("RELOAD FAILED"), 10 * self.processes)
        self.end()

    async def load(self, service: ServiceProcess, reloads: int) -> list[int]:
        """Reload again and again under load; return the statuses of all answers."""
        clients = [KeptConnection(service.port) for _ in range(8)]
        over = asyncio.Event()
        statuses: list[int] = []

        async def work(client: KeptConnection) -> int:
            count = 0
            while not over.is_set():
                made = await client.ask("POST", "/tasks", TASK, Origin=f"http://localhost:{service.port}",
                                        Host=f"localhost:{service.port}")
                read = await client.ask("GET", made.headers["location"])
                statuses.extend((made.status, read.status))
                count += 1
            return count

        stream, ports = KeptConnection(service.port), []
        follower = asyncio.create_task(self.follow(service.port))
        for client in (*clients, stream):
            await client.connect()
            ports.append(local_port(client))
        tasks = [asyncio.create_task(work(client)) for client in clients]
        for number in range(reloads):
            http = {"max-connections": 500 + number, "hosts": ["localhost", f"h{number}.example"],
                    "idle-timeout": 60 + number}
            await asyncio.to_thread(self.reload, http)
            (self.folder / "config.yaml").write_text("http: {max-header: many}", "utf-8")
            await asyncio.to_thread(self.hang_up, "RELOAD FAILED")
        over.set()
        made = sum(await asyncio.gather(*tasks))
        await stream.ask("POST", "/tasks", LAST)
        self.assertEqual([local_port(client) for client in (*clients, stream)], ports, "a connection was made anew")
        for client in (*clients, stream):
            client.close()
        self.assertEqual(await asyncio.wait_for(follower, PATIENCE), made + 1)
        return statuses

    async def follow(self, port: int) -> int:
        """Follow the changes on one connection; return how many came until that of LAST, which is one of them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("GET", "/changes?since=0", Accept="text/event-stream"))
        events, line = 0, b""
        while LAST not in line:
            line = await reader.readline()
            self.assertTrue(line, "the stream ended")
            events += line.startswith(b"data:")
        writer.close()
        return events


class ReloadOnTornadoTest(ReloadTest):

    server = "tornado"


class ReloadOfWorkersTest(ReloadTest):
    """The parent has its workers reload, too."""

    options = ("--workers", "2")

    def test_a_worker_that_dies_comes_back_with_what_is_in_use(self) -> None:
        """Whatever the file says: the others have the same store, and the service goes on where the file is wrong."""
        service = self.start()
        with peer(service.port) as client:
            path = client.ask("POST", "/tasks", TASK)[1]["location"]
        other_store = {"sqlite": str(self.folder / "other.db")}
        self.reload({"hosts": ["localhost", "tasks.example"], "base-path": "/other"}, task_db=other_store)
        self.assert_replaced(path)
        (self.folder / "config.yaml").write_text("http: [", "ascii")
        self.hang_up("RELOAD FAILED")
        self.assert_replaced(path)
        self.end()

    def assert_replaced(self, path: str) -> None:
        """Kill each worker, and ask those that come in their place for a task."""
        expected = self.count("STARTING") + 2
        for worker in (workers := children(self.service.process.pid)):
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: self.count("STARTING") >= expected, f"new workers in {self.service.stdout}")
        self.assertFalse(workers & children(self.service.process.pid))
        with peer(self.service.port) as client:
            self.assertEqual(client.ask("GET", path, b"", Host="tasks.example")[0], 200)

    def test_a_signal_to_one_worker(self) -> None:
        service = self.start()
        worker, other = children(service.process.pid)
        asked = time.time()
        os.kill(worker, signal.SIGHUP)
        wait_until(lambda: self.count("RELOADED") == 1, "it reloads")
        self.assertLess(self.measured()["taskservice_config_last_reload_success_timestamp_seconds"], asked,
                        "the other has the config of the start")
        (self.folder / "config.yaml").write_text("http: [", "ascii")
        os.kill(other, signal.SIGHUP)
        wait_until(lambda: self.count("RELOAD FAILED") == 1, "it fails")
        self.assertEqual(self.measured()["taskservice_config_last_reload_successful"], 0, "though one did not")
        self.assertEqual(children(service.process.pid), {worker, other})
        self.end()

    def measured(self) -> dict[str, float]:
        """Return what is measured and has no labels."""
        with peer(self.service.port) as client:
            found = samples(client.ask("GET", "/metrics")[2].decode())
        return {name: value for name, values in found.items() for labels, value in values.items() if not labels}


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Halt a process, none if it is 0."""
    if pid:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if pid:
            os.kill(pid, signal.SIGCONT)


def local_port(client: KeptConnection) -> int:
    """Return the port of a client's connection, which another one would not have."""
    assert client._writer is not None
    port: int = client._writer.get_extra_info("sockname")[1]
    return port


if __name__ == "__main__":
    unittest.main()
