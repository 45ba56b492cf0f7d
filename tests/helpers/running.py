"""What the tests of how the service is run share: its servers, tokens, configs, and raw bytes."""

import hashlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from prometheus_client.parser import text_string_to_metric_families

from taskservice.config import Config, HttpConfig
from taskservice.tornado.server import make_server
from tests.helpers.app import AppTestCase
from tests.helpers.live import config
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, started

Case = TypeVar("Case", bound="ServedTestCase")

READER, WRITER = "secret-of-the-reader", "secret-of-the-writer"
TOKENS: Sequence[Mapping[str, str]] = [
    {"name": name, "scope": scope, "sha256": hashlib.sha256(secret.encode()).hexdigest()}
    for name, scope, secret in (("dashboard", "read", READER), ("robot", "write", WRITER))]
"""What `auth.tokens` is: whoever has READER may read, whoever has WRITER may write."""


def bearer(secret: str) -> dict[str, str]:
    """Return the field of a request that shows a token, for `ask`."""
    return {"Authorization": f"Bearer {secret}"}


class ServedTestCase(AppTestCase):
    """The application behind the server that the config names, with the config's limits."""

    server = "taskservice"
    http: Mapping[str, Any] = {}
    """What the config's `http` is beside the server, in the names of HttpConfig."""
    tokens: Sequence[Mapping[str, str]] = ()

    def config(self) -> Config:
        """Return what the application is configured to be."""
        http = HttpConfig(server=self.server, **self.http)
        return replace(super().config(), http=http, tokens=self.tokens)

    def get_http_server(self) -> Any:
        """Return the server that is tested."""
        return make_server(self.config(), self._app)


def on_both_servers(case: type[Case]) -> type[Case]:
    """Run a case, which by itself runs on the fast connection, on Tornado's too: `NAMEOnTornado`."""
    name = f"{case.__name__}OnTornado"
    members = {"server": "tornado", "__module__": case.__module__, "__doc__": case.__doc__}
    setattr(sys.modules[case.__module__], name, type(name, (case,), members))
    return case


# --- Processes -------------------------------------------------------------------------------------------------------

def write_config(folder: Path, task_db: Mapping[str, Any], **sections: Any) -> Path:
    """Write a config that logs to standard output; `sections` are others, such as http."""
    path = folder / "config.yaml"
    document = {**yaml.safe_load(config(task_db)), **sections}
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


@contextmanager
def running(
    folder: Path, task_db: Mapping[str, Any], *options: str, port: int = 0, **sections: Any
) -> Iterator[ServiceProcess]:
    """Start the service with such a config; it is gone at the end."""
    path = write_config(folder, task_db, **sections)
    with started(*SERVER, "--config", str(path), "--port", str(port), *options) as service:
        yield service


def request(
    method: str, path: str, body: bytes = b"", length: int | None = None, /, **headers: str
) -> bytes:
    """Return the bytes of a request; `A_b` is the header A-b, `length` is what it says it has."""
    size = len(body) if length is None else length
    fields = {"Host": "localhost", **headers, **({"Content-Length": str(size)} if size else {})}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


class Peer:
    """A client that sends what it likes, when it likes, and sees what comes, to the byte."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self._ahead = b""

    def send(self, data: bytes) -> None:
        """Send; a peer that has gone is no error."""
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def head(self) -> str:
        """Read to the end of an answer's head; raises EOFError where there is none."""
        return self.read_until(b"\r\n\r\n").decode("latin-1")

    def read_until(self, mark: bytes) -> bytes:
        """Read past a mark; return what was before it. Raises EOFError where it does not come."""
        while mark not in self._ahead:
            self._ahead += self._more()
        data, _, self._ahead = self._ahead.partition(mark)
        return data

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read an answer, in one piece or in chunks; raises EOFError where there is none."""
        status, *lines = self.head().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if "transfer-encoding" in headers:
            return int(status.split()[1]), headers, self._chunks()
        return int(status.split()[1]), headers, self._take(int(headers.get("content-length", "0")))

    def _take(self, size: int) -> bytes:
        while len(self._ahead) < size:
            self._ahead += self._more()
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        return piece

    def _chunks(self) -> bytes:
        """Read a chunked body (RFC 9112 §7.1)."""
        pieces = []
        while True:
            pieces.append(self._take(int(self.read_until(b"\r\n"), 16)))
            self._take(2)
            if not pieces[-1]:
                return b"".join(pieces)

    def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> tuple[
            int, dict[str, str], bytes]:
        """Send a request, and read the answer."""
        self.send(request(method, path, body, **headers))
        return self.answer()

    def rest(self) -> bytes:
        """Read until the server closes or cuts the connection."""
        data, self._ahead = self._ahead, b""
        try:
            while piece := self.sock.recv(65_536):
                data += piece
        except ConnectionError:
            pass
        return data

    def _more(self) -> bytes:
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError(f"closed after {self._ahead!r}")
        return data

    def close(self) -> None:
        """Leave."""
        self.sock.close()


@contextmanager
def peer(port: int, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Connect; it is gone at the end."""
    client = Peer(port, context)
    try:
        yield client
    finally:
        client.close()


# --- What is measured ------------------------------------------------------------------------------------------------

Labels = frozenset[tuple[str, str]]


def samples(text: str) -> dict[str, dict[Labels, float]]:
    """Read Prometheus' text, as Prometheus' own parser does: name of a sample -> labels -> value."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            values = found.setdefault(sample.name, {})
            assert labels not in values, f"twice: {sample}"
            values[labels] = sample.value
    return found


def total(values: Mapping[Labels, float], **labels: str) -> float:
    """Add up the values that have these labels."""
    return sum(value for found, value in values.items() if labels.items() <= set(found))


# --- Certificates ----------------------------------------------------------------------------------------------------

def make_certificate(folder: Path, name: str = "localhost") -> dict[str, str]:
    """Make a certificate for localhost that signs itself; return what `http.tls` is."""
    tls = {"certificate": str(folder / f"{name}.crt"), "key": str(folder / f"{name}.key")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
         "-keyout", tls["key"], "-out", tls["certificate"]], check=True, capture_output=True)
    return tls
