"""The Tornado Application: its routes, and the two lines it logs for a request."""

import logging
import re
import time

import tornado.httputil
import tornado.web

from taskservice import LOGGER_NAME
from taskservice.config import Config
from taskservice.database.db_engines import create_todolist_db
from taskservice.service import TodoListService
from taskservice.tornado.base_handler import BaseRequestHandler, DefaultRequestHandler
from taskservice.tornado.handlers import (
    ChangesRequestHandler, DocumentRequestHandler, TodoListEntryRequestHandler,
    TodoListRequestHandler)
from taskservice.tornado.negotiation import EVENT_STREAM, NDJSON, accepts_gzip
from taskservice.tornado.openapi import DOCS_FILES
from taskservice.utils import logutils


ROUTES: list[tuple[str, type[BaseRequestHandler]]] = [
    (r"/tasks/?", TodoListRequestHandler),
    (r"/tasks/([a-zA-Z0-9-]+)/?", TodoListEntryRequestHandler),
    (r"/changes/?", ChangesRequestHandler),
    (r"/openapi\.json", DocumentRequestHandler),
    (r"/docs/?", DocumentRequestHandler),
    (rf"/docs/({'|'.join(map(re.escape, sorted(DOCS_FILES)))})", DocumentRequestHandler),
]
"""Path and handler; `/openapi.json` describes each of them."""


class CompressWeaklyTagged(tornado.web.GZipContentEncoding):
    """Compresses what has no strong tag: that one names the bytes (RFC 9110 §8.8.3)."""

    CONTENT_TYPES = tornado.web.GZipContentEncoding.CONTENT_TYPES | {NDJSON}

    def __init__(self, request: tornado.httputil.HTTPServerRequest) -> None:
        super().__init__(request)
        self._gzipping = accepts_gzip(request.headers.get("Accept-Encoding", ""))

    def transform_first_chunk(
        self, status_code: int, headers: tornado.httputil.HTTPHeaders, chunk: bytes,
        finishing: bool
    ) -> tuple[int, tornado.httputil.HTTPHeaders, bytes]:
        """Take part only where the tag allows it; `Vary` is the same on every answer."""
        if (headers.get("ETag", "").startswith('"')
                or headers.get("Content-Type") == EVENT_STREAM):
            self._gzipping = False
        return super().transform_first_chunk(status_code, headers, chunk, finishing)


def make_taskservice_app(
    config: Config, debug: bool = False
) -> tuple[TodoListService, tornado.web.Application]:
    """Make the service with the engine that the config names, and the Application that serves it.

    The service has yet to be started. `debug` shows tracebacks to clients. Raises ConfigError.
    """
    service = TodoListService(create_todolist_db(config.task_db))
    arguments = {"service": service}
    application = tornado.web.Application(
        [(path, handler, arguments) for path, handler in ROUTES],
        default_handler_class=DefaultRequestHandler,
        default_handler_args=arguments,
        transforms=[CompressWeaklyTagged],
        log_function=log_response,
        service_name=config.service_name,
        debug_errors=debug,
        http=config.http,
        in_flight=set(),
    )
    return service, application


def log_response(handler: tornado.web.RequestHandler) -> None:
    """Log the canonical line of a request: what it was, and how it ended."""
    assert isinstance(handler, BaseRequestHandler)
    status = handler.get_status()
    broken = handler.error is not None and not 400 <= status < 500
    level = logging.ERROR if broken else logging.WARNING if status >= 400 else logging.INFO
    trace = {}
    if handler.error is not None and (broken or handler.settings["debug_errors"]):
        trace["trace"] = logutils.format_trace(handler.error)
    time_ms = (time.perf_counter() - handler.started) * 1000
    logger = logging.getLogger(LOGGER_NAME)
    logutils.log(
        logger, level, include_context=True, message="RESPONSE", status=status, time_ms=time_ms,
        **trace)
