"""The Tornado Application: its routes, and the two lines it logs for a request."""

import logging
import re
import time
from http import HTTPStatus
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
from taskservice.tornado.base_handler import BaseRequestHandler, DefaultRequestHandler
from taskservice.tornado.dispatch import HandlerDelegate
from taskservice.tornado.handlers import (
    ChangesRequestHandler, DocsRequestHandler, HealthRequestHandler, MetricsRequestHandler,
    OpenAPIRequestHandler, ReadinessRequestHandler, TodoListEntryRequestHandler,
    TodoListRequestHandler)
from taskservice.tornado.http1_exchange import Exchange
from taskservice.tornado.metrics import Metrics
from taskservice.tornado.openapi import DOCS_FILES
from taskservice.tornado.page import PAGE_FILES
from taskservice.tornado.page_handler import PageRequestHandler, StaticRequestHandler
from taskservice.utils import logutils


ROUTES: list[tuple[str, type[BaseRequestHandler]]] = [
    (r"/tasks/?", TodoListRequestHandler),
    (rf"/tasks/({TASK_ID.pattern})/?", TodoListEntryRequestHandler),
    (r"/changes/?", ChangesRequestHandler),
    (r"/openapi\.json", OpenAPIRequestHandler),
    (r"/docs/?", DocsRequestHandler),
    (rf"/docs/({'|'.join(map(re.escape, sorted(DOCS_FILES)))})", DocsRequestHandler),
    (r"/healthz", HealthRequestHandler),
    (r"/readyz", ReadinessRequestHandler),
    (r"/metrics", MetricsRequestHandler),
    (r"/", PageRequestHandler),
    (rf"/static/({'|'.join(map(re.escape, sorted(PAGE_FILES)))})", StaticRequestHandler),
]
"""Path and handler; `/openapi.json` describes each of them."""

_ROUTES = [(re.compile(path), handler) for path, handler in ROUTES]


class TaskServiceApplication(tornado.web.Application):
    """Takes requests on our own connection to their handlers itself; others by Tornado's rules."""

    def __init__(self, service: TodoListService, **settings: Any) -> None:
        self._arguments = {"service": service}
        super().__init__(
            [(path, handler, self._arguments) for path, handler in ROUTES],
            default_handler_class=DefaultRequestHandler, default_handler_args=self._arguments,
            log_function=log_response, **settings)

    def start_request(
        self, server_conn: object, request_conn: tornado.httputil.HTTPConnection
    ) -> tornado.httputil.HTTPMessageDelegate:
        """Return what takes a request."""
        if not isinstance(request_conn, Exchange):
            return super().start_request(server_conn, request_conn)
        path = request_conn.head.start_line.path.partition("?")[0]
        for pattern, handler in _ROUTES:
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


def log_response(handler: tornado.web.RequestHandler) -> None:
    """Log the canonical line of a request, what it was and how it ended, and count it."""
    assert isinstance(handler, BaseRequestHandler)
    status = handler.get_status()
    broken = handler.error is not None and not 400 <= status < 500
    level = logging.ERROR if broken else logging.WARNING if status >= 400 else logging.INFO
    seconds = time.perf_counter() - handler.started
    logutils.log(
        handler.settings["logger"], level, context=handler.context, message="RESPONSE",
        status=status, time_ms=seconds * 1000, store_ms=round(handler.store_time[0] * 1000, 3),
        bytes=handler.written, **_explanation(handler, status, broken))
    handler.metrics.ended(handler.request.method or "", handler.route, status, seconds)


def _explanation(handler: BaseRequestHandler, status: int, broken: bool) -> dict[str, Any]:
    """Return what explains an outcome; docs/operating.md says what each is."""
    facts = handler.facts
    if status == HTTPStatus.PRECONDITION_FAILED:
        facts["precondition"] = "failed"
    if handler.error is not None and (broken or handler.settings["debug_errors"]):
        facts["trace"] = logutils.format_trace(handler.error)
    return facts
