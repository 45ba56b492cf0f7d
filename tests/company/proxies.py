"""Real proxies in front of the service, from the examples of deploy/."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid

from tests.helpers.api import wait_until
from tests.helpers.app import ROOT
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, children, environment
from tests.helpers.raw import Peer

DEPLOY = ROOT / "deploy"

DEFAULT_NGINX = "server { listen 80; location / { proxy_pass http://127.0.0.1:8081; } }"
"""What many have: proxy_pass and nothing else."""


def example(name: str, ports: Mapping[str, str]) -> str:
    """Return an example of deploy/ with other ports and names."""
    text = (DEPLOY / name).read_text("utf-8")
    for old, new in ports.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Nginx:
    """A running nginx, whose config can be changed."""

    port: int
    config: Path
    process: subprocess.Popen[bytes]

    def reload(self) -> None:
        """Have it read its config again, as `nginx -s reload` does; wait until no request comes by the old one."""
        old = children(self.process.pid)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := children(self.process.pid)) and not now & old, "nginx is reloaded")


@contextmanager
def nginx(servers: str) -> Iterator[int]:
    """Run nginx with a `server` block that listens on port 80; give the port that it has instead."""
    with running_nginx(servers) as server:
        yield server.port


@contextmanager
def running_nginx(servers: str) -> Iterator[Nginx]:
    """Run nginx with a `server` block that listens on port 80, but on another port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "nginx.conf"
        temporary = "\n".join(f"{kind}_temp_path {name}/{kind};" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        servers = servers.replace("listen 80;", f"listen 127.0.0.1:{port};")
        config.write_text(
            # Its workers are of the same user, whose folder this is.
            f"daemon off; user {getpwuid(os.getuid()).pw_name}; pid {name}/pid; error_log stderr error;\n"
            f"events {{}}\nhttp {{ access_log off; {temporary}\n{servers}\n}}\n", "utf-8")
        command = ("nginx", "-p", name, "-e", "stderr", "-c", str(config))
        with _serving(command, port, signal.SIGTERM) as process:
            yield Nginx(port, config, process)


@contextmanager
def haproxy(first: int, second: int) -> Iterator[int]:
    """Run HAProxy as in deploy/haproxy.cfg, before these two ports; give its port."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(example("haproxy.cfg", {
            ":80\n": f"127.0.0.1:{port}\n", "127.0.0.1:8081": f"127.0.0.1:{first}",
            "127.0.0.1:8082": f"127.0.0.1:{second}"}))
        file.flush()
        with _serving(("haproxy", "-q", "-db", "-f", file.name), port):
            yield port


@contextmanager
def caddy(first: int, second: int) -> Iterator[int]:
    """Run Caddy as in deploy/Caddyfile, before these two ports; give its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "Caddyfile"
        text = example("Caddyfile", {
            "tasks.example.com {": f"http://:{port} {{", "127.0.0.1:8081": f"127.0.0.1:{first}",
            "127.0.0.1:8082": f"127.0.0.1:{second}"})
        file.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}", "utf-8")
        with _serving(("caddy", "run", "--adapter", "caddyfile", "--config", str(file)), port):
            yield port


@contextmanager
def apache(first: int, _second: int) -> Iterator[int]:
    """Run Apache's httpd with ProxyPass and nothing else; give its port."""
    port = free_port()
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http"))
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "apache.conf"
        config.write_text(
            f"{modules}ServerName localhost\nListen 127.0.0.1:{port}\nUser nobody\nGroup nogroup\n"
            f"ServerRoot {name}\nDefaultRuntimeDir {name}\nPidFile {name}/pid\nErrorLog /dev/null\n"
            f"ProxyPass / http://127.0.0.1:{first}/\n", "utf-8")
        with _serving(("apache2", "-X", "-f", str(config)), port, signal.SIGTERM):
            yield port


@contextmanager
def varnish(first: int, _second: int) -> Iterator[int]:
    """Run Varnish with a backend and nothing else; give its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "default.vcl"
        config.write_text(
            f'vcl 4.1;\nbackend default {{ .host = "127.0.0.1"; .port = "{first}"; }}\n', "utf-8")
        with _serving(("varnishd", "-F", "-j", "none", "-n", f"{name}/varnish", "-s", "malloc,16m", "-f", str(config),
                       "-a", f"127.0.0.1:{port}"), port, signal.SIGTERM):
            yield port


@contextmanager
def _serving(
    command: tuple[str, ...], port: int, stop: signal.Signals = signal.SIGKILL
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port) or process.poll() is not None, f"{command[0]} listens on {port}")
        assert process.poll() is None, f"{command[0]} ended with {process.poll()}"
        yield process
    finally:
        process.send_signal(stop)  # by SIGTERM some wait for event streams to end; nginx stops its workers
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            family = children(process.pid)  # Varnish's and nginx's; they outlive a SIGKILL of their parent
            process.kill()
            process.wait(PATIENCE)
            for child in family:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            raise


def _answers(port: int) -> bool:
    try:
        client = Peer(port)
    except OSError:
        return False
    client.close()
    return True
