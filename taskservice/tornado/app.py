"""The Tornado Application: its routes, and the parts it is composed of."""

import logging
import re
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import tornado.httputil
import tornado.web

from taskservice import LOGGER_NAME
from taskservice.config import Config
from taskservice.database.db_engines import create_todolist_db
from taskservice.database.metered_db import MeteredTodoListDB
from taskservice.database.read_queue import ReadLimits
from taskservice.datamodel import TASK_ID
from taskservice.errors import TodoListError
from taskservice.http.forwarded import share_of
from taskservice.http1.exchange import Exchange
from taskservice.http1.server import LargeBody
from taskservice.service import TodoListService
from taskservice.tornado.documents.openapi import DOCS_FILES
from taskservice.tornado.documents.page import LOADED_FILES, PAGE_FILES
from taskservice.tornado.fast import HandlerDelegate
from taskservice.tornado.handlers.base import BaseRequestHandler
from taskservice.tornado.handlers.changes import ChangesRequestHandler
from taskservice.tornado.handlers.dependencies import Dependencies, Policy
from taskservice.tornado.handlers.documents import DocsRequestHandler, OpenAPIRequestHandler
from taskservice.tornado.handlers.operations import (
    DefaultRequestHandler, HealthRequestHandler, MetricsRequestHandler, ReadinessRequestHandler)
from taskservice.tornado.handlers.page import (
    BasePathRequestHandler, HashedRequestHandler, PageRequestHandler, StaticRequestHandler)
from taskservice.tornado.handlers.tasks import (
    TodoListEntryRequestHandler, TodoListRequestHandler)
from taskservice.tornado.metrics import Metrics
from taskservice.tornado.outcome import log_cut_request, log_response
from taskservice.tornado.tornado_requests import JudgedDelegate


Routes = list[tuple[str, type[BaseRequestHandler]]]


def _own(*handlers: type[BaseRequestHandler]) -> Routes:
    """Return the routes of handlers with one path each, which a slash may follow."""
    return [(f"{handler.route}/?".replace("{id}", f"({TASK_ID.pattern})"), handler) for handler in handlers]


_OPERATIONS = _own(HealthRequestHandler, ReadinessRequestHandler, MetricsRequestHandler)

ROUTES: Routes = [
    *_own(TodoListRequestHandler, TodoListEntryRequestHandler, ChangesRequestHandler),
    (r"/openapi\.json", OpenAPIRequestHandler),
    *_own(DocsRequestHandler),
    (rf"/docs/({'|'.join(map(re.escape, sorted(DOCS_FILES)))})", DocsRequestHandler),
    *_OPERATIONS,
    (r"/", PageRequestHandler),
    (rf"/static/({'|'.join(map(re.escape, sorted(PAGE_FILES)))})", StaticRequestHandler),
    (rf"/static/([0-9a-f]{{16}})/({'|'.join(map(re.escape, sorted(LOADED_FILES)))})", HashedRequestHandler),
]
"""Path, below `http.base-path`, and handler; `/openapi.json` describes each of them."""


class ServerRequestHandler(BaseRequestHandler):
    """`OPTIONS *`: the server as a whole (RFC 9110 §9.3.7)."""

    route = "*"

    @classmethod
    def methods(cls) -> Collection[str]:
        """Return the methods that any resource has."""
        return {method: None for _, handler in ROUTES for method in handler.methods()}


def _routes(base_path: str) -> Routes:
    """Return all routes of a service under a base path; those of probes and Prometheus also exist at the root."""
    prefix = re.escape(base_path)
    routes: Routes = [(prefix + path, handler) for path, handler in ROUTES]
    if base_path:
        routes += [(prefix, BasePathRequestHandler), *_OPERATIONS]
    return [*routes, (r"\*", ServerRequestHandler)]  # `*` comes with OPTIONS only


def _forms(path: str) -> Collection[str]:
    """Return a path without and with its optional slash: instrumentations name routes by their patterns."""
    return (path[:-2], path[:-1]) if path.endswith("/?") else (path,)


class TaskServiceApplication(tornado.web.Application):
    """Takes requests on our own connection to their handlers itself; others by Tornado's rules."""

    def __init__(self, dependencies: Dependencies, store: MeteredTodoListDB) -> None:
        """Take what the handlers work with, and the store that the service works with."""
        self.dependencies = dependencies
        self._store = store
        self._arguments: dict[str, Any] = {"dependencies": dependencies}
        routes = _routes(dependencies.policy.http.base_path)
        self._patterns = [(re.compile(path), handler) for path, handler in routes]
        super().__init__(
            [(form, handler, self._arguments) for path, handler in routes for form in _forms(path)],
            default_handler_class=DefaultRequestHandler, default_handler_args=self._arguments,
            log_function=log_response, cross_origin_protection=True)

    def configure(self, config: Config) -> None:
        """Apply the settings that a reload of the config can change; called at the start and at each reload."""
        http = config.http
        self.dependencies.policy = Policy.of(config)
        self.settings["trusted_origins"] = list(http.cors_origins)
        self._store.limit_reads(ReadLimits(http.query_timeout, http.max_queued_reads))
        self.dependencies.service.limit_followers(http.stream_backlog, http.max_event_streams)

    def start_request(
        self, server_conn: object, request_conn: tornado.httputil.HTTPConnection
    ) -> tornado.httputil.HTTPMessageDelegate:
        """Return what takes a request."""
        if not isinstance(request_conn, Exchange):
            return JudgedDelegate(
                super().start_request(server_conn, request_conn), partial(self._log_cut, request_conn))
        handler, path_args = self._route(request_conn.head.start_line)
        return HandlerDelegate(self, request_conn, handler, self._arguments, path_args)

    def allow_large_body(
        self, start_line: tornado.httputil.RequestStartLine, headers: tornado.httputil.HTTPHeaders,
        address: str
    ) -> LargeBody | None:
        """Allow a body of more than `max-body` bytes where the handler takes one from this client.

        It takes the share of its token, or else of the client's address, also behind trusted proxies.
        """
        policy, method, (handler, _) = self.dependencies.policy, start_line.method, self._route(start_line)
        try:
            _, limit = handler.body_rules(policy.http, method, headers.get("Content-Type"))
            policy.access.check_host(headers.get("Host", "127.0.0.1"))  # HTTP/1.0 need not say it
            token = policy.access.check_token(headers.get("Authorization"), method)
        except TodoListError:
            return None
        if limit <= policy.http.max_body:
            return None
        return LargeBody(limit, token.name if token is not None else share_of(policy.proxies.client(
            address, headers.get("X-Forwarded-For"))))

    def is_probe(self, start_line: tornado.httputil.RequestStartLine) -> bool:
        """Return whether a request is a probe, for which some connections are reserved."""
        handler, _ = self._route(start_line)
        return handler.is_probe

    def _log_cut(
        self, connection: tornado.httputil.HTTPConnection,
        start_line: tornado.httputil.RequestStartLine, headers: tornado.httputil.HTTPHeaders,
        seconds: float
    ) -> None:
        """Log and count a request on Tornado's server that ended before its body did."""
        request = tornado.httputil.HTTPServerRequest(
            connection=connection, start_line=start_line, headers=headers)
        handler, _ = self._route(start_line)
        log_cut_request(handler(self, request, **self._arguments), seconds)

    def _route(self, start_line: tornado.httputil.RequestStartLine) -> tuple[
            type[BaseRequestHandler], Sequence[bytes]]:
        """Return the handler of a request, and what of its path that is called with."""
        path = start_line.path.partition("?")[0]
        for pattern, handler in self._patterns:
            if (match := pattern.fullmatch(path)) is not None:
                return handler, [group.encode() for group in match.groups()]
        return DefaultRequestHandler, ()


def make_taskservice_app(
    config: Config, debug: bool = False
) -> tuple[TodoListService, TaskServiceApplication]:
    """Make the service with the engine that the config names, and the Application that serves it.

    The service has yet to be started. `debug` shows tracebacks to clients. Raises ConfigError.
    """
    engine = create_todolist_db(config.task_db)
    metrics = Metrics(engine.name, engine.log_bytes, engine.measurements)
    store = MeteredTodoListDB(engine, metrics.observe_store, metrics)
    service = TodoListService(store)
    application = TaskServiceApplication(
        Dependencies(service, metrics, logging.getLogger(LOGGER_NAME), Policy.of(config), debug), store)
    application.configure(config)
    return service, application
