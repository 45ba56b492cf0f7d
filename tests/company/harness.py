"""What the tests of proxies share: services that have one store, clients that count what they get."""

import shutil
import tempfile
import threading
import time
import unittest
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.company.proxies import DEFAULT_NGINX, example, nginx
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.raw import Answer, Peer
from tests.helpers.running import running

needs_nginx = unittest.skipUnless(shutil.which("nginx"), "needs nginx")
needs_haproxy = unittest.skipUnless(shutil.which("haproxy"), "needs haproxy")
needs_apache = unittest.skipUnless(shutil.which("apache2"), "needs apache2")
needs_varnish = unittest.skipUnless(shutil.which("varnishd"), "needs varnishd (Debian: varnish)")
needs_caddy = unittest.skipUnless(shutil.which("caddy"), "needs caddy")

PAUSE = 0.005
"""Seconds between two requests of a client, which shares its machine with all the others."""

TASK = b'{"title": "a"}'
Ask = Callable[[Peer], Answer]
Proxy = Callable[[int, int], AbstractContextManager[int]]


def nginx_of_deploy(first: int, second: int) -> AbstractContextManager[int]:
    """Run nginx as in deploy/nginx.conf, before these two ports."""
    return nginx(example("nginx.conf", {
        "127.0.0.1:8081": f"127.0.0.1:{first}", "127.0.0.1:8082": f"127.0.0.1:{second}"}))


def default_nginx(first: int, _second: int) -> AbstractContextManager[int]:
    """Run nginx with proxy_pass and nothing else."""
    return nginx(DEFAULT_NGINX.replace("8081", str(first)))


class ProxyCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start(self, name: str = "first", port: int = 0, /, **http: Any) -> ServiceProcess:
        """Start a service; all of a test share a store."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        http = {"hosts": ["localhost", "tasks.example.com"], "trusted-proxies": ["127.0.0.1"], **http}
        return self.enterContext(running(folder, {"sqlite": str(self.folder / "tasks.db")}, port=port, http=http))


class Load:
    """Clients that ask one request after the other, and count what they get; `pause` is in seconds."""

    def __init__(self, port: int, clients: int, ask: Ask, fresh: bool, pause: float = PAUSE) -> None:
        self.outcomes: Counter[object] = Counter()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(port, ask, fresh, pause)) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, port: int, ask: Ask, fresh: bool, pause: float) -> None:
        client = None
        while not self._over.is_set():
            try:
                client = client or Peer(port)
                code, headers, _ = ask(client)
                self.outcomes[code] += 1
                over = fresh or headers.get("connection") == "close"
            except (EOFError, OSError, ValueError) as error:
                self.outcomes[f"{type(error).__name__}: {error}"[:80]] += 1
                over = True
            if over and client is not None:
                client.close()
                client = None
            time.sleep(pause)
        if client is not None:
            client.close()


def get(client: Peer) -> Answer:
    """Read some tasks."""
    return client.ask("GET", "/tasks?limit=5")


def post(client: Peer) -> Answer:
    """Make a task."""
    return client.ask("POST", "/tasks", TASK)
