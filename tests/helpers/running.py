"""What the tests of how the service is run share: its servers, tokens and configs."""

import hashlib
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
from tests.helpers.processes import SERVER, ServiceProcess, started

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
