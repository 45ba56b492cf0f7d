"""What the programs of this folder share: an application on a free port, in this very process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[int]:
    """Serve until the block ends, and give the port."""
    listening, port = bind_unused_port()
    server = HTTPServer(application)
    server.add_socket(listening)
    try:
        yield port
    finally:
        server.stop()
        await server.close_all_connections()


async def fetch(port: int, path: str, **options: Any) -> HTTPResponse:
    """Ask for a path; an error of the server is an answer, too."""
    url = f"http://127.0.0.1:{port}{path}"
    return await AsyncHTTPClient().fetch(url, raise_error=False, **options)
