"""HTTPS by config: TLS 1.2 or newer, with the certificate and the key that it names."""

import asyncio
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskservice.config import Config, HttpConfig
from taskservice.errors import ConfigError
from taskservice.tornado.check import check_config
from tests.helpers.raw import peer, request
from tests.helpers.running import ServedTestCase, make_certificate, on_both_servers

FOLDER = tempfile.TemporaryDirectory(prefix="taskservice-tls-")
TLS: dict[str, str] = {}
OTHER: dict[str, str] = {}


def setUpModule() -> None:
    """Make the certificates."""
    TLS.update(make_certificate(Path(FOLDER.name)))
    OTHER.update(make_certificate(Path(FOLDER.name), "other"))


def tearDownModule() -> None:
    """Remove them."""
    FOLDER.cleanup()


def client(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Return what a client is that trusts the certificate; one that can do this version only."""
    context = ssl.create_default_context(cafile=TLS["certificate"])
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
            context.minimum_version = context.maximum_version = version
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 offers TLS 1.1 at no other
    return context


@on_both_servers
class TLSTest(ServedTestCase):

    def get_app(self) -> Any:
        self.http = {"tls": TLS}
        return super().get_app()

    def talk(self, data: bytes, context: ssl.SSLContext | None) -> bytes:
        """Send bytes on a connection, and return what comes back."""
        def talk() -> bytes:
            with peer(self.get_http_port(), context) as there:
                there.send(data)
                return there.rest()

        answer: bytes = self.elsewhere(talk)
        return answer

    def elsewhere(self, work: Any) -> Any:
        """Do what blocks in a thread, and return what it returns."""
        return self.io_loop.run_sync(lambda: asyncio.to_thread(work))

    def test_tls_1_2_and_1_3_are_spoken(self) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, None):
            answer = self.talk(request("GET", "/tasks", Connection="close"), client(version))
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
            self.assertTrue(answer.endswith(b"\r\n\r\n{}"), answer)

    def test_tls_1_1_is_not(self) -> None:
        context = client(ssl.TLSVersion.TLSv1_1)
        with self.assertRaises(ssl.SSLError), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.talk(b"", context)
        self.assertEqual(control(context), "TLSv1.1", "the client could not have done it")

    def test_the_certificate_is_the_one_of_the_config(self) -> None:
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.talk(b"", ssl.create_default_context(cafile=OTHER["certificate"]))

    def test_plain_http_gets_no_answer_and_harms_nobody(self) -> None:
        self.assertNotIn(b"200", self.talk(request("GET", "/tasks"), None)[:20])
        answer = self.talk(request("GET", "/healthz", Connection="close"), client())
        self.assertIn(b"200 OK", answer)

    def test_a_page_of_its_own_may_write(self) -> None:
        for origin, status in ((f"https://localhost:{self.get_http_port()}", b"201"),
                               ("https://other.example", b"403")):
            answer = self.talk(
                request("POST", "/tasks", b'{"title": "a"}', Connection="close", Origin=origin,
                        Host=f"localhost:{self.get_http_port()}"), client())
            self.assertEqual(answer.split()[1], status)

    def test_many_requests_on_one_connection(self) -> None:
        def talk() -> list[int]:
            with peer(self.get_http_port(), client()) as there:
                return [there.ask("POST", "/tasks", b'{"title": "%b"}' % (b"x" * 60_000))[0]
                        for _ in range(5)]

        self.assertEqual(self.elsewhere(talk), [201] * 5)


def control(context: ssl.SSLContext) -> str | None:
    """Return the version that a client speaks with a server which takes any."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(TLS["certificate"], TLS["key"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.minimum_version = ssl.TLSVersion.TLSv1
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    one, other = socket.socketpair()

    def answer() -> None:
        with server.wrap_socket(other, server_side=True) as there:
            there.recv(1)

    thread = threading.Thread(target=answer)
    thread.start()
    with context.wrap_socket(one, server_hostname="localhost") as here:
        version = here.version()
        here.send(b"x")
    thread.join()
    return version


class ConfigTest(unittest.TestCase):
    """What cannot be used is reported, by its key, before anything is served."""

    def assert_refused(self, tls: Mapping[str, str], key: str = "") -> None:
        with self.assertRaisesRegex(ConfigError, f"^http.tls{key}: ") as caught:
            check_config(Config(http=HttpConfig(tls=tls)), 1)
        self.assertEqual(len(str(caught.exception).splitlines()), 1)
        self.assertIn(tls[key.removeprefix(".") or "certificate"], str(caught.exception))

    def test_files_that_can_be_used(self) -> None:
        check_config(Config(http=HttpConfig(tls=TLS)), 1)

    def test_files_that_are_not_there(self) -> None:
        self.assert_refused({**TLS, "certificate": "/nowhere.crt"}, ".certificate")
        self.assert_refused({**TLS, "key": "/nowhere.key"}, ".key")
        self.assert_refused({**TLS, "key": "null\0"}, ".key")

    def test_a_key_with_a_passphrase(self) -> None:
        """OpenSSL would ask for it on the terminal."""
        locked = f"{FOLDER.name}/locked.key"
        subprocess.run(
            ["openssl", "pkey", "-in", TLS["key"], "-aes256", "-passout", "pass:x", "-out", locked],
            check=True, capture_output=True)
        self.assert_refused({**TLS, "key": locked}, ".key")

    def test_a_key_of_another_certificate(self) -> None:
        self.assert_refused({**TLS, "key": OTHER["key"]})

    def test_a_file_that_is_no_certificate(self) -> None:
        self.assert_refused({**TLS, "certificate": __file__})
        self.assert_refused({**TLS, "certificate": TLS["key"]})
