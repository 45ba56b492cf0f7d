"""Connections that a proxy keeps idle, 40 ms away from the service: none is used just as the service closes it."""

import re
import threading
import time
import unittest
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from itertools import chain

from taskservice.config import HttpConfig
from tests.company.harness import Proxy, ProxyCase, needs_haproxy, needs_nginx, nginx_of_deploy, post
from tests.company.proxies import example, haproxy, nginx
from tests.company.relay import slow_network
from tests.helpers.processes import PATIENCE
from tests.helpers.raw import Peer
from tests.helpers.timing import FULL

CLIENTS = 16


def around(*seconds: float) -> Sequence[float]:
    """Return pauses around these, closer to them than a round trip."""
    return [second + step for second in seconds for step in (-0.06, -0.02, 0.02)]


def nginx_that_keeps(seconds: str) -> Proxy:
    """Return nginx as in deploy/nginx.conf, but with idle connections kept so long."""
    def proxy(first: int, second: int) -> AbstractContextManager[int]:
        return nginx(example("nginx.conf", {
            "127.0.0.1:8081": f"127.0.0.1:{first}", "127.0.0.1:8082": f"127.0.0.1:{second}",
            "keepalive_timeout 60s": f"keepalive_timeout {seconds}"}))
    return proxy


class ExamplesTest(unittest.TestCase):

    def test_they_keep_idle_connections_shorter_than_the_service(self) -> None:
        for name, key in ("nginx.conf", "keepalive_timeout"), ("haproxy.cfg", "timeout http-keep-alive"):
            [seconds] = re.findall(rf"^ *{key} (\d+)s;?$", example(name, {}), re.M)
            self.assertLess(int(seconds), HttpConfig().idle_timeout, name)


class BurstsTest(ProxyCase):

    def bursts(self, port: int, pauses: Sequence[float]) -> Counter[int]:
        """Send a burst of writes after each pause; return the statuses of the answers.

        Each client sends two: HAProxy takes no connection that was idle for the first of a client.
        """
        def ask(_: int) -> list[int]:
            with closing(Peer(port)) as client:
                return [post(client)[0] for _ in range(2)]

        statuses = Counter[int]()
        with ThreadPoolExecutor(CLIENTS) as pool:
            for pause in (0, *pauses):
                time.sleep(pause)
                statuses.update(chain.from_iterable(pool.map(ask, range(CLIENTS))))
        return statuses

    def assert_no_error(self, proxy: Proxy, pauses: Sequence[float], **http: float) -> None:
        """Check the answers to bursts through a proxy that is a slow network away from a service."""
        service = self.start(**http)
        port = self.enterContext(slow_network(service.port))
        self.assertEqual(set(self.bursts(self.enterContext(proxy(port, port)), pauses)), {201})

    @needs_nginx
    def test_nginx_closes_first(self) -> None:
        if FULL:
            self.assert_no_error(nginx_of_deploy, around(60, 75))
        else:
            self.assert_no_error(nginx_that_keeps("1s"), around(1, 3), **{"idle-timeout": 3})

    @needs_haproxy
    def test_haproxy_closes_first(self) -> None:
        self.assert_no_error(haproxy, around(60, 75) if FULL else around(5))  # it looks for idle ones each 5 s

    @needs_nginx
    def test_a_write_that_crosses_the_end_of_its_connection_is_an_error(self) -> None:
        """So a proxy has to close first."""
        service, held = self.start(**{"idle-timeout": 2}), threading.Event()
        port = self.enterContext(slow_network(service.port, held))
        proxy = self.enterContext(nginx_that_keeps("60s")(port, port))
        with closing(Peer(proxy)) as client:
            self.assertEqual(post(client)[0], 201)
            self.assertTrue(held.wait(PATIENCE))
            self.assertEqual([post(client)[0] for _ in range(2)], [502, 201])


if __name__ == "__main__":
    unittest.main()
