"""Handlers are open to the world, also where the rest is compiled: hooks replaced on the class, and subclasses."""

import functools
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import tornado.web

from taskservice.tornado import app
from taskservice.tornado.handlers.base import BaseRequestHandler
from taskservice.tornado.handlers.tasks import TodoListRequestHandler
from tests.helpers.running import ServedTestCase, on_both_servers


@on_both_servers
class ReplacedTest(ServedTestCase):

    def test_hooks_replaced_on_the_class_are_called(self) -> None:
        """As OpenTelemetry's instrumentation of Tornado does it."""
        called: list[str] = []

        def noted(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(hook)
            def replacement(handler: tornado.web.RequestHandler) -> Any:
                called.append(f"{name} {handler.request.method}")
                return hook(handler)
            return replacement

        for name in ("prepare", "on_finish"):
            self.enterContext(mock.patch.object(
                TodoListRequestHandler, name, noted(name, getattr(TodoListRequestHandler, name))))
        self.assertEqual(self.ask("GET", "/tasks").code, 200)
        self.assertEqual(called, ["prepare GET", "on_finish GET"])
        self.assertEqual(self.ask("POST", "/tasks", b'{"title": 1}').code, 400)
        self.assertEqual(called[2:], ["prepare POST", "on_finish POST"])


class Own(TodoListRequestHandler):
    """Somebody's handler."""

    finished: list[int] = []

    def prepare(self) -> None:
        super().prepare()
        self.set_header("X-Own", self.request_id)

    def on_finish(self) -> None:
        super().on_finish()
        self.finished.append(self.get_status())


@on_both_servers
class SubclassTest(ServedTestCase):

    def get_app(self) -> Any:
        """Return the application with a handler of somebody's in the place of ours."""
        routes: list[tuple[str, type[BaseRequestHandler]]] = [("/tasks", Own), *app.ROUTES]
        with mock.patch.object(app, "ROUTES", routes):
            return super().get_app()

    def test_its_hooks_are_called(self) -> None:
        Own.finished.clear()
        answer = self.fetch("/tasks", headers={"X-Request-Id": "mine"})
        self.assertEqual((answer.code, answer.headers["X-Own"]), (200, "mine"))
        self.assertEqual(Own.finished, [200])


if __name__ == "__main__":
    unittest.main()
