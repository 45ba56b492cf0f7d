"""Tornado's own tests of its server and of its handlers, against our server.

docs/http-server.md lists the tests that fail, each with its reason, and the options that our server
does not have. A listed test that passes is an unexpected success, and fails this suite.
"""

import functools
import gc
import importlib
import inspect
import logging
import os
import re
import unittest
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any
from unittest import mock

import tornado.httpserver
import tornado.testing
from tornado.netutil import ssl_options_to_context

from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.app import ROOT, journal

MODULES = [importlib.import_module(f"tornado.test.{name}") for name in ("httpserver_test", "web_test")]
PAGE = (ROOT / "docs" / "http-server.md").read_text("utf-8")
DIFFER = frozenset(re.findall(r"(?m)^\| `(\w+_test\.\w+\.test_\w+)` \| ", PAGE))
"""The tests that fail for a reason."""
MISSING = frozenset(re.findall(r"(?m)^\| `HTTPServer\(([a-z_]+)=.*?\)` \| ", PAGE))
"""The options of Tornado's server that ours does not have."""

HOUR = 3600.0


def setUpModule() -> None:
    """Wait as long as Tornado does, for which its tests are made; collect now what tests of other modules left.

    What that logs would fail the tests here.
    """
    unittest.enterModuleContext(mock.patch.dict(os.environ, {"ASYNC_TEST_TIMEOUT": "5"}))
    gc.collect()


def our_server(
    application: Any, *, ssl_options: Any = None, max_header_size: int = 64 * 1024,
    max_body_size: int = 100 * 2 ** 20, idle_connection_timeout: float = HOUR,
    body_timeout: float = HOUR
) -> HTTP1Server:
    """Take what Tornado's server takes, with its defaults."""
    limits = Limits(
        header_bytes=max_header_size, idle_timeout=idle_connection_timeout,
        header_timeout=idle_connection_timeout,
        body_bytes=max_body_size, body_timeout=body_timeout, answer_timeout=HOUR, reader_timeout=HOUR)
    context = ssl_options and ssl_options_to_context(ssl_options, server_side=True)
    return HTTP1Server(application, limits, ssl_context=context)


class ExpectRefusal(tornado.testing.ExpectLog):
    """Expects a refusal, which our server logs as well, in other words."""

    def __init__(self, logger: Any, regex: str, required: bool = True, level: int | None = None) -> None:
        if level == logging.INFO:
            regex = "Malformed HTTP message from "
        super().__init__(logger, regex, required, level)


def is_of_both(record: logging.LogRecord) -> bool:
    """Return whether Tornado's server would have logged it as well, if in other words."""
    return not re.search(r": The (head is larger|request ended before)", record.getMessage())


def options_of(case: Any) -> Mapping[str, Any]:
    """Return the options of the server that a case of Tornado's makes."""
    if not issubclass(case, tornado.testing.AsyncHTTPTestCase):
        return {}
    options: Mapping[str, Any] = case("run").get_httpserver_options()
    return options


class OnOurServer(tornado.testing.AsyncTestCase):
    """What is put before a case of Tornado's: the server that it makes is ours."""

    module: ModuleType
    differ: frozenset[str] = frozenset()
    """The names of the tests that fail for a reason."""

    def assertNoLogs(self, *args: Any, **kwargs: Any) -> Any:
        """Leave it to those that differ: what they log is part of it."""
        return journal() if self._testMethodName in self.differ else super().assertNoLogs(*args, **kwargs)

    def setUp(self) -> None:
        if missing := MISSING & options_of(type(self)).keys():
            self.skipTest(f"our server has no {', '.join(sorted(missing))}")
        for module, name, ours in (
                (tornado.testing, "HTTPServer", our_server), (self.module, "HTTPServer", our_server),
                (self.module, "ExpectLog", ExpectRefusal)):
            if hasattr(module, name):
                self.enterContext(mock.patch.object(module, name, ours))
        general = logging.getLogger("tornado.general")
        self.addCleanup(general.removeFilter, is_of_both)
        general.addFilter(is_of_both)
        access = logging.getLogger("tornado.access")  # which Tornado's own runner quiets, too
        self.addCleanup(access.setLevel, access.level)
        access.setLevel(logging.CRITICAL)
        super().setUp()


def cases(module: ModuleType) -> Iterator[type[unittest.TestCase]]:
    """Give the cases of a module that make a server."""
    for case in list(vars(module).values()):
        if inspect.isclass(case) and issubclass(case, tornado.testing.AsyncTestCase) and (
                case.__module__ == module.__name__):
            yield case


def name_of(case: type[unittest.TestCase], test: str) -> str:
    """Return what the page calls a test."""
    return f"{case.__module__.rpartition('.')[2]}.{case.__name__}.{test}"


def differing(test: Any) -> Any:
    """Have a test fail, by what it asserts or by what is logged."""
    @functools.wraps(test)
    def run(case: unittest.TestCase) -> None:
        with unittest.TestCase.assertNoLogs(case):
            test(case)

    return unittest.expectedFailure(run)


def ours(module: ModuleType, case: type[unittest.TestCase]) -> type[unittest.TestCase]:
    """Make a case of ours of one of Tornado's."""
    tests = unittest.defaultTestLoader.getTestCaseNames(case)
    differ = frozenset(test for test in tests if name_of(case, test) in DIFFER)
    fail = {test: differing(getattr(case, test)) for test in differ}
    members = {"module": module, "differ": differ, "__module__": __name__, **fail}
    return type(case.__name__, (OnOurServer, case), members)


for _module in MODULES:
    for _case in cases(_module):
        globals()[f"{_module.__name__.rpartition('.')[2]}_{_case.__name__}"] = ours(_module, _case)
del _module, _case


class ListTest(unittest.TestCase):
    """The list of what differs."""

    def test_it_names_tests_that_there_are(self) -> None:
        there = {name_of(case, test) for module in MODULES for case in cases(module)
                 for test in unittest.defaultTestLoader.getTestCaseNames(case)}
        self.assertLessEqual(DIFFER, there)

    def test_it_names_options_that_there_are(self) -> None:
        options = inspect.signature(tornado.httpserver.HTTPServer.initialize).parameters
        self.assertLessEqual(MISSING, options.keys())

    def test_the_page_says_how_many_there_are(self) -> None:
        need_options = sum(
            unittest.defaultTestLoader.loadTestsFromTestCase(case).countTestCases()
            for module in MODULES for case in cases(module) if MISSING & options_of(case).keys())
        self.assertIn(f"\n{len(DIFFER)} of Tornado's tests fail", PAGE)
        self.assertIn(f"{need_options} of Tornado's tests\nneed one of these options", PAGE)
