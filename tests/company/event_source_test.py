"""A standard EventSource client over a rolling restart: it goes on at the other backend, and misses no change."""

import json
import shutil
import signal
import threading
import unittest
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.company.harness import Proxy, ProxyCase, needs_haproxy, needs_nginx, nginx_of_deploy
from tests.company.proxies import haproxy
from tests.helpers.api import wait_until
from tests.helpers.npm import need_command, node_modules
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.raw import peer
from tests.helpers.running import samples, total

HERE = Path(__file__).resolve().parent


class Writer:
    """Makes tasks with the titles 0, 1, … at the port that is in `port`, until the end of the block."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.made = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._over.wait(0.02):
            with peer(self.port) as client:
                code, _, body = client.ask("POST", "/tasks", b'{"title": "%d"}' % self.made)
            assert code == 201, body
            self.made += 1

    def go_on(self) -> None:
        """Wait for some more tasks."""
        before = self.made
        wait_until(lambda: self.made > before + 5, "more tasks")


class EventSourceTest(ProxyCase):

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "node_modules").symlink_to(node_modules(HERE))
        shutil.copy(HERE / "follow.js", self.folder)
        (self.folder / "package.json").write_text('{"type": "module"}', "ascii")

    def follow(self, port: int) -> ServiceProcess:
        """Start the client, and return when its stream is open."""
        client = self.enterContext(closing(ServiceProcess(
            (need_command("node", "nodejs"), str(self.folder / "follow.js"), f"http://localhost:{port}/changes"))))
        client.wait_for_line("open")
        return client

    def assert_nothing_is_missed(self, proxy: Proxy, delay: float) -> None:
        http = {"shutdown-delay": delay}
        services = [self.start(name, free_port(), **http) for name in ("first", "second")]
        ports = [service.port for service in services]
        port = self.enterContext(proxy(*ports))
        client = self.follow(port)
        with Writer(ports[0]) as writer:
            for number in range(2):
                writer.go_on()
                [old] = [at for at, service in enumerate(services) if streams(service) == 1]
                writer.port = ports[1 - old]
                writer.go_on()  # so that it has nothing at the other any more
                opened = said(client).count({"open": True})
                services[old].process.send_signal(signal.SIGTERM)
                self.assertEqual(services[old].process.wait(PATIENCE), 0)
                wait_until(lambda: said(client).count({"open": True}) > opened, "the client is back")
                self.assertEqual(streams(services[1 - old]), 1)
                services[old] = self.start(f"again {number}", ports[old], **http)
                wait_until(lambda: self.asked(port, services[old]), "the proxy has found it")
            writer.go_on()
        wait_until(lambda: {"title": str(writer.made - 1)} in said(client), "the last change")
        titles = [line["title"] for line in said(client) if "title" in line]
        self.assertEqual(titles, [str(number) for number in range(writer.made)])
        self.assertNotIn({"gave_up": True}, said(client))

    def asked(self, port: int, service: ServiceProcess) -> bool:
        """Ask the proxy; return whether the service has been asked by it."""
        with peer(port) as client:
            self.assertEqual(client.ask("GET", "/tasks?limit=1")[0], 200)
        return any('uri="/tasks?limit=1"' in line for line in list(service.stdout))

    @needs_nginx
    def test_through_nginx(self) -> None:
        self.assert_nothing_is_missed(nginx_of_deploy, 0)

    @needs_haproxy
    def test_through_haproxy(self) -> None:
        self.assert_nothing_is_missed(haproxy, 4)


def said(client: ServiceProcess) -> list[dict[str, Any]]:
    """Return what the client has printed."""
    return [json.loads(line) for line in list(client.stdout)]


def streams(service: ServiceProcess) -> float:
    """Return how many event streams a service has."""
    with peer(service.port) as client:
        return total(samples(client.ask("GET", "/metrics")[2].decode())["taskservice_event_streams"])


if __name__ == "__main__":
    unittest.main()
