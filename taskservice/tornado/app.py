"""The Tornado Application: its routes, and what it is made of."""

import logging
import re
from collections.abc import Collection
from typing import Any

import tornado.httputil
import tornado.web

from taskservice import LOGGER_NAME
from taskservice.config import Config
from taskservice.database.db_engines import create_todolist_db
from taskservice.database.metered_db import MeteredTodoListDB
from taskservice.datamodel import TASK_ID
from taskservice.service import TodoListService
from taskservice.tornado.access import Access
from taskservice.tornado.base_handler import BaseRequestHandler
from taskservice.tornado.dispatch import HandlerDelegate
from taskservice.tornado.handlers import (
    ChangesRequestHandler, DefaultRequestHandler, DocsRequestHandler, HealthRequestHandler,
    MetricsRequestHandler, OpenAPIRequestHandler, ReadinessRequestHandler,
    TodoListEntryRequestHandler, TodoListRequestHandler)
from taskservice.tornado.http1_exchange import Exchange
from taskservice.tornado.metrics import Metrics
from taskservice.tornado.openapi import DOCS_FILES
from taskservice.tornado.outcome import log_response
from taskservice.tornado.page import PAGE_FILES
from taskservice.tornado.page_handler import PageRequestHandler, StaticRequestHandler
from taskservice.tornado.tornado_requests import JudgedDelegate


ROUTES: list[tuple[str, type[BaseRequestHandler]]] = [
    (r"/tasks/?", TodoListRequestHandler),
    (rf"/tasks/({TASK_ID.pattern})/?", TodoListEntryRequestHandler),
    (r"/changes/?", ChangesRequestHandler),
    (r"/openapi\.json", OpenAPIRequestHandler),
    (r"/docs/?", DocsRequestHandler),
    (rf"/docs/({'|'.join(map(re.escape, sorted(DOCS_FILES)))})", DocsRequestHandler),
    (r"/healthz/?", HealthRequestHandler),
    (r"/readyz/?", ReadinessRequestHandler),
    (r"/metrics/?", MetricsRequestHandler),
    (r"/", PageRequestHandler),
    (rf"/static/({'|'.join(map(re.escape, sorted(PAGE_FILES)))})", StaticRequestHandler),
]
"""Path and handler; `/openapi.json` describes each of them."""


class ServerRequestHandler(BaseRequestHandler):
    """`OPTIONS *`: the server as a whole (RFC 9110 §9.3.7)."""

    route = "*"

    @classmethod
    def methods(cls) -> Collection[str]:
        """Return the methods that any resource has."""
        return {method: None for _, handler in ROUTES for method in handler.methods()}


_ALL_ROUTES: list[tuple[str, type[BaseRequestHandler]]] = [
    *ROUTES, (r"\*", ServerRequestHandler)]  # `*` comes with OPTIONS only
_PATTERNS = [(re.compile(path), handler) for path, handler in _ALL_ROUTES]


class TaskServiceApplication(tornado.web.Application):
    """Takes requests on our own connection to their handlers itself; others by Tornado's rules."""

    def __init__(self, service: TodoListService, **settings: Any) -> None:
        self._arguments = {"service": service}
        super().__init__(
            [(path, handler, self._arguments) for path, handler in _ALL_ROUTES],
            default_handler_class=DefaultRequestHandler, default_handler_args=self._arguments,
            log_function=log_response, **settings)

    def start_request(
        self, server_conn: object, request_conn: tornado.httputil.HTTPConnection
    ) -> tornado.httputil.HTTPMessageDelegate:
        """Return what takes a request."""
        if not isinstance(request_conn, Exchange):
            return JudgedDelegate(super().start_request(server_conn, request_conn))
        path = request_conn.head.start_line.path.partition("?")[0]
        for pattern, handler in _PATTERNS:
            if (match := pattern.fullmatch(path)) is not None:
                arguments = [group.encode() for group in match.groups()]
                return HandlerDelegate(self, request_conn, handler, self._arguments, arguments)
        return HandlerDelegate(self, request_conn, DefaultRequestHandler, self._arguments, ())


def make_taskservice_app(
    config: Config, debug: bool = False
) -> tuple[TodoListService, tornado.web.Application]:
    """Make the service with the engine that the config names, and the Application that serves it.

    The service has yet to be started. `debug` shows tracebacks to clients. Raises ConfigError.
    """
    engine = create_todolist_db(config.task_db)
    metrics = Metrics(engine.name)
    service = TodoListService(
        MeteredTodoListDB(engine, metrics.observe_store), backlog=config.http.stream_backlog)
    application = TaskServiceApplication(
        service,
        cross_origin_protection=True,
        trusted_origins=list(config.http.cors_origins),
        service_name=config.service_name,
        logger=logging.getLogger(LOGGER_NAME),
        access=Access.from_config(config),
        http=config.http,
        metrics=metrics,
        debug_errors=debug,
        draining=False,
    )
    return service, application
