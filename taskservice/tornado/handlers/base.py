"""The base of all request handlers: context, checks before the body is read, errors."""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import tornado.web

from taskservice.config import HttpConfig
from taskservice.errors import TodoListError
from taskservice.http import conditions
from taskservice.http.access import READING_METHODS, cross_origin_fields, preflight_fields
from taskservice.http.dates import http_date
from taskservice.http.identity import identify
from taskservice.http.negotiation import (
    MERGE_PATCH, NDJSON, PROBLEM, check_content_encoding, media_type, wants_problem)
from taskservice.http.problems import Problem, cross_site_problem, is_foreseen, problem_of
from taskservice.http.representation import COMMON_FIELDS, JSON
from taskservice.http1.headers import fields_of
from taskservice.tornado.handlers.dependencies import Dependencies
from taskservice.utils import logutils, taskcontext

CLIENT_GONE = "the client went away"

DEFAULT_FIELDS: Mapping[str, str] = {**COMMON_FIELDS, "Vary": "Accept-Encoding"}
"""The header fields with which each answer begins, beside its Date."""


class DomainHTTPError(tornado.web.HTTPError):
    """A domain error with its status: Tornado, and instrumentations of it, take any other exception for a fault."""

    def __init__(self, error: TodoListError) -> None:
        super().__init__(problem_of(error).status)
        self.error = error


class BaseRequestHandler(tornado.web.RequestHandler):
    """Turns exceptions into responses and log lines, so that handlers hold the happy path."""

    bodies: Mapping[str, tuple[str, ...]] = {}
    """The methods that take a body, and the media types that each accepts besides JSON."""

    conditional: Collection[str] = ()
    """The methods that need a condition if the config requires one."""

    error: BaseException | None = None
    """The error that the request ended with, for the canonical log line."""

    media_type: str
    """The media type of the body, for the methods that take one."""

    route = "other"
    """The path, as the metrics label it."""

    public = False
    """Whether it needs no token, even if the config has some."""

    is_probe = False
    """Whether orchestrators and load balancers probe it.

    It answers under any host name, and also when all connections are taken.
    """

    request_id = ""
    """The request's id in logs and answers; empty before `prepare`."""

    owner = ""
    """The name of the request's token: each owner has idempotency keys of its own."""

    task: asyncio.Task[None] | None = None
    """The task that the request runs in; None before `prepare`."""

    context: dict[str, Any]
    """The values of the task context."""

    streams = False
    """Whether the answer is an event stream, which lasts as long as its client wants."""

    gone = False
    """Whether the client left before its answer began."""

    abandoned = False
    """Whether the request was cancelled because nobody waited for its answer."""

    fields: Mapping[str, str]
    """The request's header fields, by lower-case name; several lines of a field are joined by commas."""

    now: int
    """The answer's Date, in seconds since the epoch."""

    facts: dict[str, object]
    """Further values for the canonical log line."""

    def __init_subclass__(cls) -> None:
        """Wrap the handler methods that use the service: they raise domain errors as DomainHTTPError."""
        for method in map(str.lower, tornado.web.RequestHandler.SUPPORTED_METHODS):
            if asyncio.iscoroutinefunction(handle := vars(cls).get(method)):
                setattr(cls, method, _raising_http_errors(handle))

    def initialize(self, dependencies: Dependencies) -> None:
        """Take the dependencies, and keep the body from Tornado's form parser.

        curl's `-d` declares a form; Tornado would parse it before `prepare`, and refuse JSON that
        contains many `&` or looks like a broken multipart body.
        """
        self.dependencies = dependencies
        self.service = dependencies.service
        self.metrics = dependencies.metrics
        self.policy = dependencies.policy  # a reload changes the policy of later requests
        if (method := self.request.method or "") not in tornado.web.RequestHandler.SUPPORTED_METHODS:
            self._accept_method(method)
        self.facts = {}
        self.written = 0
        self.started = time.perf_counter()
        self.fields = fields_of(self.request.headers)
        self.content_type = self.fields.get("content-type")
        if self.content_type is not None:
            del self.request.headers["Content-Type"]
        if "origin" in self.fields:
            self._mend_origin()

    def _accept_method(self, method: str) -> None:
        """Let Tornado go on to `prepare` with a method whose name the client chose freely."""
        self.SUPPORTED_METHODS = (method,)
        name = method.lower()
        if not (name.startswith("_") or name in vars(self) or hasattr(type(self), name)):
            setattr(self, name, self.get)  # an instrumentation of Tornado asks for the method's parameters

    def _mend_origin(self) -> None:
        """Normalise Origin and Host before Tornado's cross-origin check."""
        headers = self.request.headers
        try:
            urlsplit(headers["Origin"])
        except ValueError:
            headers["Origin"] = "null"
        headers.setdefault("Host", self.request.host)  # HTTP/1.0: a missing Host must not match a missing Origin
        self.fields = fields_of(headers)

    @property
    def http(self) -> HttpConfig:
        """The `http` section of the config."""
        return self.policy.http

    def set_default_headers(self) -> None:
        """Begin each answer, errors included, with the header fields of every answer."""
        self.now = int(time.time())
        for name, value in DEFAULT_FIELDS.items():
            self.set_header(name, value)
        self.set_header("Date", http_date(self.now))

    def _set_request_headers(self) -> None:
        """Add the request's id, and the fields that let pages of allowed origins read the answer."""
        self.set_header("X-Request-Id", self.request_id)
        if origins := self.http.cors_origins:
            self.vary("Origin")
            for name, value in cross_origin_fields(self.fields.get("origin"), origins).items():
                self.set_header(name, value)

    def vary(self, name: str) -> None:
        """Add a request field that the answer depends on to Vary (RFC 9110 §12.5.5)."""
        self.set_header("Vary", f"{name}, {self._headers['Vary']}")

    def compute_etag(self) -> None:
        """Return None: Tornado would hash every answer without an ETag."""

    def prepare(self) -> None:
        """Bind the request to the task context, log its arrival, and check whether it may go on.

        Raises the errors that become 421, 401, 403, 405, 415, 413 and 428, in this order.
        """
        self.begin()
        if (logger := self.dependencies.logger).isEnabledFor(logging.DEBUG):
            name = self.policy.service_name
            logutils.log(logger, logging.DEBUG, context=self.context, message="REQUEST", service_name=name)
        try:
            self._check(self.request.method or "")
        except TodoListError as error:
            raise DomainHTTPError(error) from error

    def _check(self, method: str) -> None:
        self._check_access(method)
        if method not in tornado.web.RequestHandler.SUPPORTED_METHODS:
            raise tornado.web.HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        if method in self.bodies:
            self._check_body(method)
        if self.http.require_if_match and method in self.conditional and not (
                conditions.is_conditional(*map(self.fields.get, conditions.WRITE_FIELDS))):
            raise tornado.web.HTTPError(HTTPStatus.PRECONDITION_REQUIRED)

    def begin(self) -> None:
        """Count the request as in flight, and bind it to the task context."""
        self.metrics.began()
        self.task = self.task or asyncio.current_task()
        self.context = taskcontext.bind(self.identify(), self.task)
        self._set_request_headers()

    def identify(self) -> dict[str, object]:
        """Give the request its id, and return the values that each of its log lines begins with."""
        request = self.request
        peer, proxies = request.remote_ip or "", self.policy.proxies
        facts = identify(self.fields, request.method, request.uri, peer, proxies)
        self.request_id = str(facts["req_id"])
        setattr(request.connection, "request_id", self.request_id)
        request.protocol = proxies.scheme(peer, request.protocol, self.fields.get("x-forwarded-proto"))
        request.remote_ip = str(facts["ip"])
        return facts

    def _check_access(self, method: str) -> None:
        access = self.policy.access
        if not self.is_probe:
            access.check_host(self.request.host)
        if not self.public and method != "OPTIONS":
            token = access.check_token(self.fields.get("authorization"), method)
            if token is not None:
                self.facts["token"] = self.owner = token.name

    def _check_body(self, method: str) -> None:
        self.media_type, limit = self.body_rules(self.http, method, self.content_type)
        check_content_encoding(self.fields.get("content-encoding"))
        # Our own connection does not read a body that is too large, and sets `too_large`.
        if len(self.request.body) > limit or getattr(self.request.connection, "too_large", False):
            raise tornado.web.HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    @classmethod
    def body_rules(cls, http: HttpConfig, method: str, content_type: str | None) -> tuple[str, int]:
        """Return the media type of a body, and its limit in bytes.

        Raises UnsupportedMediaTypeError. The server asks this, too, before it reads a large body.
        """
        kind = media_type(content_type, *cls.bodies.get(method, ()))
        return kind, http.max_ndjson_body if kind == NDJSON else http.max_body

    def options(self, *args: str) -> None:
        """Answer with the allowed methods, and the media types of PATCH (RFC 5789 §3.1)."""
        self.set_status(HTTPStatus.NO_CONTENT)
        self.set_header("Allow", self._allow())
        self._set_accept_patch()
        if self.fields.get("access-control-request-method") is not None and (
                self.fields.get("origin") in self.http.cors_origins):
            for name, value in preflight_fields(self._allow()).items():
                self.set_header(name, value)

    def _allow(self) -> str:
        return ", ".join(self.methods())

    @classmethod
    def methods(cls) -> Collection[str]:
        """Return the methods that the handler implements."""
        base = tornado.web.RequestHandler
        return [
            method for method in base.SUPPORTED_METHODS
            if getattr(cls, method.lower()) is not getattr(base, method.lower())]

    def _set_accept_patch(self) -> None:
        if "PATCH" in self.bodies:
            self.set_header("Accept-Patch", f"{MERGE_PATCH}, application/json")

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Write to the answer, and count its bytes for the canonical line."""
        self.written += len(chunk)
        super().write(chunk)

    @property
    def cut_reason(self) -> str:
        """Why the service cut the connection; empty if it did not."""
        return getattr(self.request.connection, "cut_reason", "")

    def on_connection_close(self) -> None:
        """Note that the client has left; cancel a read whose answer cannot arrive or never ends.

        A write goes on: it may have taken place already. A client that only ended its input may
        wait for an answer, but not for the end of an event stream.
        """
        self.gone = not self._headers_written
        if (self.request.method in READING_METHODS and self.request_id and self.task
                and (self.streams or getattr(self.request.connection, "lost", True))
                and self.task is not asyncio.current_task()):
            self.abandoned = self.task.cancel() or self.abandoned

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with an error; cut an answer that has begun, so that it does not look complete."""
        if not self._headers_written:
            super().send_error(status_code, **kwargs)
            return
        cause = logutils.one_line(self.error) if self.error is not None else "it was cancelled"
        reason = CLIENT_GONE if self.abandoned else f"cut: {cause}"
        taskcontext.set("reason", self.cut_reason or reason)
        if not self.abandoned:
            self.detach().close()
        self.application.log_request(self)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error in the common format of all errors."""
        error = self.error or tornado.web.HTTPError(status_code)  # without an error after a cancellation
        if self.request_id:
            self._set_request_headers()  # `send_error` has cleared them
        else:  # it was refused before `prepare`
            self.begin()
        problem = self._problem(error)
        taskcontext.set("reason", str(error) if is_foreseen(error) else problem.message)
        self.set_status(problem.status, problem.reason)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        self.vary("Accept")
        trace = logutils.format_trace(error) if self.dependencies.debug else None
        as_problem = wants_problem(self.fields.get("accept"))
        self.set_header("Content-Type", PROBLEM if as_problem else JSON)
        self.finish(problem.to_json(self.context, trace, rfc_9457=as_problem))

    def _problem(self, error: BaseException) -> Problem:
        if not isinstance(error, tornado.web.HTTPError):
            problem = problem_of(error)
            if problem.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
                self._set_accept_patch()
            return problem
        reason = error.reason or HTTPStatus(error.status_code).phrase
        if error.status_code == HTTPStatus.FORBIDDEN:  # Tornado's cross-origin protection
            return cross_site_problem(self.request.headers)
        headers = {"Allow": self._allow()} if error.status_code == 405 else {}
        return Problem(error.status_code, reason, reason, headers=headers)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None,
        tb: TracebackType | None
    ) -> None:
        """Keep the error for the canonical line; log an error that comes after it at once."""
        if not self._finished:
            self.error = value.error if isinstance(value, DomainHTTPError) else value
        elif value is not None:
            logutils.log(
                self.dependencies.logger, logging.ERROR, context=self.context,
                message="ERROR AFTER RESPONSE", trace=logutils.format_trace(value))


def _raising_http_errors(handle: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(handle)
    async def handle_request(self: BaseRequestHandler, *args: str) -> None:
        try:
            await handle(self, *args)
        except TodoListError as error:
            raise DomainHTTPError(error) from error

    return handle_request
