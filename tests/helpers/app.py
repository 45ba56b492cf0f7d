"""What the tests of the application share: engines, a journal of what is logged, an app to ask."""

import asyncio
import logging
import os
import string
import sys
import time
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from unittest import mock
from urllib.parse import quote

import tornado.testing
import tornado.web
from tornado.httpclient import HTTPResponse

from taskservice import LOGGER_NAME
from taskservice.config import Config, parse_config
from taskservice.database import revisions
from taskservice.tornado.app import TaskServiceApplication, make_taskservice_app
from taskservice.tornado.server import make_server
from taskservice.utils import log_config, taskcontext
from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.logs import ConfigureTestCase, parse
from tests.helpers.openapi import check as check_declared
from tests.helpers.timing import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

os.environ.setdefault("ASYNC_TEST_TIMEOUT", str(PATIENCE))  # Tornado's 5 s are too short on a loaded machine

ENGINES: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    "memory": lambda folder: {"memory": None},
    "fs": lambda folder: {"fs": str(folder / "tasks")},
    "sqlite": lambda folder: {"sqlite": str(folder / "tasks.sqlite")},
    "postgres": lambda folder: {"postgres": postgres.fresh_database()},
}
"""Engine -> what the config's `task-db` is, given a folder to store in. A new engine goes here."""

Case = TypeVar("Case", bound=unittest.TestCase)


def on_every_engine(case: type[Case]) -> type[Case]:
    """Run a case, which by itself runs on memory, on each other engine too: as `NAMEOnENGINE`."""
    for engine in ENGINES.keys() - {"memory"}:
        name = f"{case.__name__}On{engine.capitalize()}"
        members = {"engine": engine, "__module__": case.__module__, "__doc__": case.__doc__}
        on_engine: type[unittest.TestCase] = type(name, (case,), members)
        if engine == "postgres" and (missing := postgres.available()) is not None:
            on_engine = unittest.skip(missing)(on_engine)
        setattr(sys.modules[case.__module__], name, on_engine)
    return case


@contextmanager
def logging_put_back() -> Iterator[None]:
    """Put logging back as it was at the end: its configuration belongs to the process."""
    keeper = ConfigureTestCase()
    keeper.setUp()
    try:
        yield
    finally:
        keeper.doCleanups()


@contextmanager
def later(seconds: float) -> Iterator[None]:
    """Have the stores of this process think that it is so many seconds later."""
    def time_ns() -> int:
        return round((time.time() + seconds) * 1e9)

    with mock.patch.object(revisions, "time", SimpleNamespace(time_ns=time_ns)):
        yield


class Line(NamedTuple):
    """A line of the service's log."""

    level: str
    text: str

    @property
    def values(self) -> dict[str, Any]:
        """What the line says; fails when it is not one line of logfmt."""
        return parse(self.text)


class Journal(logging.Handler):
    """Keeps everything that is logged, so that nothing of it is printed."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    @property
    def lines(self) -> list[Line]:
        """The lines of the service's own logger."""
        return [Line(record.levelname, record.getMessage())
                for record in self.records if record.name == LOGGER_NAME]

    def responses(self) -> list[Line]:
        """The canonical lines: one a request."""
        return [line for line in self.lines if line.values["message"] == "RESPONSE"]


@contextmanager
def journal() -> Iterator[Journal]:
    """Keep what is logged in the block, at every level, instead of printing it."""
    with logging_put_back():
        kept, root = Journal(), logging.getLogger()
        root.handlers[:] = [kept]
        root.setLevel(logging.DEBUG)
        yield kept


def logged_target(target: bytes) -> str:
    """Return a request target as errors and the log show it: raw UTF-8 is percent-encoded."""
    try:
        return quote(target.decode(), safe=string.printable.strip())
    except UnicodeDecodeError:  # which is refused
        return target.decode("latin-1")


HTTP_SERVER = os.environ.get("TASKSERVICE_HTTP_SERVER")
"""The server to run the tests of applications on; None: what each one's config says."""


class AppTestCase(tornado.testing.AsyncHTTPTestCase):
    """The application on a free port, with a store and a journal of its own."""

    engine = "memory"
    debug_mode = False

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.set_up_logging()
        super().setUp()

    def set_up_logging(self) -> None:
        """Keep what is logged."""
        self.journal = self.enterContext(journal())

    def config(self) -> Config:
        """Return what the application is configured to be."""
        return Config(service_name="Todo List Test", task_db=ENGINES[self.engine](self.folder))

    _app: TaskServiceApplication

    def get_app(self) -> TaskServiceApplication:
        self.service, application = make_taskservice_app(self.config(), self.debug_mode)
        taskcontext.install(self.io_loop.asyncio_loop)  # type: ignore[attr-defined]  # asyncio's
        self.io_loop.run_sync(self.service.start)
        return application

    def get_http_server(self) -> Any:
        """Serve as the config says, but for what TASKSERVICE_HTTP_SERVER says."""
        config = self.config()
        server = HTTP_SERVER or config.http.server
        return make_server(replace(config, http=replace(config.http, server=server)), self._app)

    def tearDown(self) -> None:
        self.io_loop.run_sync(self.service.stop)
        super().tearDown()

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, /, **headers: str
    ) -> HTTPResponse:
        """Do as `fetch_as_is`, and check that the answer is one that the API's document declares."""
        answer = self.fetch_as_is(method, path, body, **headers)
        check_declared(method, path, answer.code, answer.headers, answer.body)
        return answer

    def fetch_as_is(
        self, method: str, path: str, body: bytes | str | None = None, /, **headers: str
    ) -> HTTPResponse:
        """Send a request as it is, and return the answer as it came; `A_b` is the header A-b."""
        return self.fetch(
            path, method=method, body=body, allow_nonstandard_methods=True,
            decompress_response=False, follow_redirects=False, request_timeout=PATIENCE,
            headers={name.replace("_", "-"): value for name, value in headers.items()})

    def create(self, body: bytes | str = '{"title": "Task1"}') -> str:
        """Create a task, and return its path."""
        answer = self.ask("POST", "/tasks", body)
        self.assertEqual((answer.code, answer.body), (201, b""))
        return answer.headers["Location"]

    def etag(self, path: str) -> str:
        """Return the tag of a task or a list."""
        return self.ask("HEAD", path).headers["ETag"]

    def send(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own, and return all that comes back."""
        async def talk() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
            writer.write(data)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

        answer: bytes = self.io_loop.run_sync(talk, timeout=30)
        return answer


class TaskServiceTornadoAppTestSetup(AppTestCase):
    """The application in debug mode with the config of `config_text`, its log lines where that says."""

    debug_mode = True
    config_text = "logging: {version: 1, root: {level: ERROR}}"

    def set_up_logging(self) -> None:
        self.enterContext(logging_put_back())
        log_config.configure(self.config().logging)

    def config(self) -> Config:
        config = parse_config(self.config_text)
        return replace(config, task_db=ENGINES[self.engine](self.folder))
