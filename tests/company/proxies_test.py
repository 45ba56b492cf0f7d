"""The service behind nginx, HAProxy and Caddy: event streams, who the client is, and backends that stop one by one."""

import json
import re
import shlex
import signal
import subprocess
import time
import unittest
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from tests.helpers.api import NDJSON, wait_until
from tests.company.harness import (
    TASK, Ask, Load, Proxy, ProxyCase, default_nginx, get, needs_apache, needs_caddy, needs_haproxy, needs_nginx,
    needs_varnish, nginx_of_deploy, post)
from tests.company.proxies import Nginx, apache, caddy, example, haproxy, nginx, running_nginx, varnish
from tests.helpers.app import ROOT
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.raw import Peer, request
from tests.helpers.running import running

OPERATING = ROOT / "docs" / "operating.md"


class ThroughTest(ProxyCase):

    def through(self, proxy: Proxy) -> int:
        service = self.start()
        self.service = service
        return self.enterContext(proxy(service.port, service.port))

    def assert_events_arrive_at_once(self, proxy: Proxy) -> None:
        """Nothing else is sent that could push an event out of a buffer."""
        port = self.through(proxy)
        with closing(Peer(port)) as stream, closing(Peer(port)) as writer:
            stream.send(request("GET", "/changes", Accept="text/event-stream"))
            stream.read_until(b"retry:")
            for number in range(3):
                started = time.monotonic()
                self.assertEqual(writer.ask("POST", "/tasks", b'{"title": "number %d"}' % number)[0], 201)
                stream.read_until(b"number %d" % number)
                self.assertLess(time.monotonic() - started, 10, "before the next comment")

    @needs_nginx
    def test_events_through_a_default_nginx(self) -> None:
        self.assert_events_arrive_at_once(default_nginx)

    @needs_nginx
    def test_events_through_nginx(self) -> None:
        self.assert_events_arrive_at_once(nginx_of_deploy)

    @needs_haproxy
    def test_events_through_haproxy(self) -> None:
        self.assert_events_arrive_at_once(haproxy)

    @needs_caddy
    def test_events_through_caddy(self) -> None:
        self.assert_events_arrive_at_once(caddy)

    @needs_apache
    def test_events_through_apache(self) -> None:
        self.assert_events_arrive_at_once(apache)

    @needs_varnish
    def test_events_through_varnish(self) -> None:
        self.assert_events_arrive_at_once(varnish)

    def assert_a_refused_upload_is_answered(self, proxy: Proxy) -> None:
        """The client sends all of a body that is too large, and gets the answer, not a cut connection."""
        with closing(Peer(self.through(proxy))) as client:
            code, _, body = client.ask("POST", "/tasks", b'{"title": "%b"}' % (b"x" * 900_000))
            self.assertEqual((code, json.loads(body)["code"]), (413, 413))

    @needs_nginx
    def test_a_refused_upload_through_a_default_nginx(self) -> None:
        self.assert_a_refused_upload_is_answered(default_nginx)

    @needs_haproxy
    def test_a_refused_upload_through_haproxy(self) -> None:
        self.assert_a_refused_upload_is_answered(haproxy)

    @needs_caddy
    def test_a_refused_upload_through_caddy(self) -> None:
        self.assert_a_refused_upload_is_answered(caddy)

    @needs_apache
    def test_a_refused_upload_through_apache(self) -> None:
        self.assert_a_refused_upload_is_answered(apache)

    @needs_varnish
    def test_a_refused_upload_through_varnish(self) -> None:
        self.assert_a_refused_upload_is_answered(varnish)

    def assert_the_api_works(self, proxy: Proxy) -> None:
        """Conditions, a bulk larger than a proxy's own default, answers of every kind."""
        port = self.through(proxy)
        with closing(Peer(port)) as client:
            name = "tasks.example.com"
            code, headers, _ = client.ask("POST", "/tasks", TASK, Host=name, Origin=f"http://{name}")
            self.assertEqual(code, 201)
            path, etag = headers["location"], headers["etag"]
            self.assertEqual(client.ask("GET", path, b"", If_None_Match=etag)[0], 304)
            self.assertEqual(client.ask("PUT", path, TASK, If_Match=etag)[0], 204)
            code, headers, body = client.ask("PUT", path, TASK, If_Match=etag)
            self.assertEqual((code, json.loads(body)["code"]), (412, 412))
            self.assertEqual(client.ask("GET", "/tasks", b"", Host="evil.example.com")[0], 421)
            lines = b'{"title": "%b"}\n' % (b"x" * 20_000) * 100
            code, _, body = client.ask("POST", "/tasks", lines, Content_Type=NDJSON)
            self.assertEqual((code, body.count(b"\n")), (200, 100))

    @needs_nginx
    def test_the_api_through_nginx(self) -> None:
        self.assert_the_api_works(nginx_of_deploy)

    @needs_haproxy
    def test_the_api_through_haproxy(self) -> None:
        self.assert_the_api_works(haproxy)

    @needs_caddy
    def test_the_api_through_caddy(self) -> None:
        self.assert_the_api_works(caddy)

    def address(self, proxy: Proxy, **fields: str) -> str:
        """Return whom the log names as the client of a request through a proxy."""
        with closing(Peer(self.through(proxy))) as client:
            self.assertEqual(client.ask("GET", "/tasks?q=mine", b"", **fields)[0], 200)
        line = self.service.wait_for_line(r'uri="/tasks\?q=mine".*"RESPONSE"')
        match = re.search(r'ip="([^"]*)"', line)
        assert match is not None
        return match[1]

    @needs_nginx
    def test_nobody_forges_an_address_through_nginx(self) -> None:
        """The proxy adds the address that it sees; one that is trusted too, as here, is passed over for the next."""
        self.assertEqual(self.address(nginx_of_deploy, X_Forwarded_For="1.1.1.1, 203.0.113.7"), "203.0.113.7")

    @needs_nginx
    def test_what_a_default_nginx_passes_on_is_ignored(self) -> None:
        forged = {"Forwarded": "for=203.0.113.7;proto=https", "X_Real_Ip": "203.0.113.7", "X_Forwarded_Prefix": "/evil",
                  "X_Forwarded_Host": "evil.example.com"}
        self.assertEqual(self.address(default_nginx, **forged), "127.0.0.1")

    @needs_haproxy
    def test_nobody_forges_an_address_through_haproxy(self) -> None:
        self.assertEqual(self.address(haproxy, X_Forwarded_For="1.1.1.1, 203.0.113.7"), "203.0.113.7")


class RollingTest(ProxyCase):
    """One of two backends stops, and comes back, under 16 clients; then the other."""

    def roll(
        self, proxy: Proxy, ask: Ask, fresh: bool, delay: float, mark: Callable[[int, bool], None] = lambda *_: None
    ) -> Counter[object]:
        """Return what the clients got; `mark` is called with the port of a backend that is to stop or is back."""
        services = [self.start(name, free_port(), **{"shutdown-delay": delay}) for name in ("first", "second")]
        ports = [service.port for service in services]
        with proxy(*ports) as port, Load(port, 16, ask, fresh) as load:
            for number, name in enumerate(("first", "second")):
                self.wait_for_more(load)
                mark(ports[number], True)
                services[number].process.send_signal(signal.SIGTERM)
                services[number].wait_for_line("SHUTTING DOWN")
                self.assertEqual(services[number].process.wait(PATIENCE), 0)
                self.wait_for_more(load)
                folder = self.folder / f"{name} again"
                folder.mkdir()
                http = {"hosts": ["localhost"], "shutdown-delay": delay}
                services[number] = self.enterContext(running(
                    folder, {"sqlite": str(self.folder / "tasks.db")}, port=ports[number], http=http))
                mark(ports[number], False)
                self.wait_until_asked(services[number])
        return load.outcomes

    def wait_for_more(self, load: Load) -> None:
        before = load.outcomes.total()
        wait_until(lambda: load.outcomes.total() > before + 100, "the clients are answered")

    def wait_until_asked(self, service: ServiceProcess) -> None:
        """Wait until the proxy has found the backend, and sends requests there."""
        service.wait_for_line(r'uri="/tasks.*"RESPONSE"')

    @needs_haproxy
    def test_haproxy_shows_no_error(self) -> None:
        for ask, status in ((get, 200), (post, 201)):
            for fresh in (False, True):
                with self.subTest(ask.__name__, fresh=fresh):
                    self.setUp()
                    self.assertEqual(set(self.roll(haproxy, ask, fresh, 4)), {status})

    @needs_nginx
    def test_nginx_shows_no_error_for_reads(self) -> None:
        self.assertEqual(set(self.roll(nginx_of_deploy, get, False, 0)), {200})

    @needs_nginx
    def test_nginx_shows_no_error_where_each_request_has_a_fresh_connection_to_the_backend(self) -> None:
        """As it is by default; one that cannot be had is asked for at the other backend, for writes, too."""
        def proxy(first: int, second: int) -> AbstractContextManager[int]:
            return nginx(f"upstream both {{ server 127.0.0.1:{first}; server 127.0.0.1:{second}; }} "
                         "server { listen 80; location / { "
                         "proxy_pass http://both; proxy_set_header Host $http_host; } }")

        self.assertEqual(set(self.roll(proxy, post, False, 0)), {201})

    @needs_nginx
    def test_nginx_shows_no_error_where_a_backend_is_marked_down_before_it_stops(self) -> None:
        """As docs/operating.md shows; it asks no other backend, whatever happens."""
        away, back = re.findall(r"\$ (sed -i .*nginx/conf.d/\S+) && nginx -s reload\n", OPERATING.read_text("utf-8"))
        servers: list[Nginx] = []

        @contextmanager
        def proxy(first: int, second: int) -> Iterator[int]:
            with running_nginx(example("nginx.conf", {
                    "127.0.0.1:8081": f"127.0.0.1:{first}", "127.0.0.1:8082": f"127.0.0.1:{second}",
                    "proxy_next_upstream error timeout": "proxy_next_upstream off"})) as server:
                servers[:] = [server]
                yield server.port

        def mark(port: int, down: bool) -> None:
            [server] = servers
            *words, _ = shlex.split((away if down else back).replace("8081", str(port)))
            subprocess.run([*words, server.config], check=True)
            self.assertIn(f":{port}{' down' if down else ''};", server.config.read_text("utf-8"))
            server.reload()  # it waits for the old workers, so the backend needs no delay

        self.assertEqual(set(self.roll(proxy, post, True, 0, mark)), {201})


if __name__ == "__main__":
    unittest.main()
