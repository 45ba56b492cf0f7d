"""From an error to the answer: one table of errors and their statuses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from taskservice import errors
from taskservice.http.etag import task_etag
from taskservice.http.fields import shorten

STATUS: Mapping[type[BaseException], HTTPStatus] = {
    errors.BadInputError: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooManyLinesError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TaskTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    errors.ForbiddenError: HTTPStatus.FORBIDDEN,
    errors.MisdirectedError: HTTPStatus.MISDIRECTED_REQUEST,
    errors.TaskNotFoundError: HTTPStatus.NOT_FOUND,
    errors.TaskExistsError: HTTPStatus.PRECONDITION_FAILED,
    errors.StaleRevisionError: HTTPStatus.PRECONDITION_FAILED,
    errors.ConditionFailedError: HTTPStatus.PRECONDITION_FAILED,
    errors.IdempotencyKeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ChangesExpiredError: HTTPStatus.GONE,
    errors.StoreUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""An error has the status of the first of its classes, in method resolution order, found here."""

RETRY_AFTER = 1
"""Seconds after which clients may try again when the store is away (Retry-After)."""

MAX_REASON_LENGTH = 150
"""Maximum length of a reason phrase; with a longer message the standard phrase stands."""

_REASONS = (errors.MalformedBodyError, errors.InvalidTaskError, errors.TaskNotFoundError)
"""The errors whose message is also the reason phrase, as version 1.0 answered."""

_FOR_CLIENTS = (
    errors.QueryTimeoutError, errors.TooManyReadsError, errors.TooManyFollowersError)
"""Server errors whose message is for the client: it reveals nothing internal."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a client sees it: status, reason phrase, message, violations, and headers."""

    status: int
    reason: str
    message: str
    violations: tuple[errors.Violation, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(
        self, about: Mapping[str, Any], trace: str | None, rfc_9457: bool = False
    ) -> bytes:
        """Return the body: the request it is `about` (method, uri), the facts, and in debug mode a trace.

        As in RFC 9457 its own members come first, and ours are extensions (§3.2).
        """
        facts = {"method": about.get("method"), "uri": about.get("uri")}
        body = {**facts, "code": self.status, "message": self.message}
        if rfc_9457:
            body = {**self._standard_members(about), **body}
        if self.violations:
            body["errors"] = [{"pointer": v.pointer, "detail": v.detail} for v in self.violations]
        body["req_id"] = about.get("req_id")
        if "trace_id" in about:
            body["trace_id"] = about["trace_id"]
        if trace is not None:
            body["trace"] = trace
        return json.dumps(body).encode()

    def _standard_members(self, about: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": "about:blank", "title": HTTPStatus(self.status).phrase,
            "status": self.status, "detail": self.message, "instance": about.get("uri")}


def problem_of(error: BaseException) -> Problem:
    """Return the answer to `error`, without internal detail for a 5xx."""
    status = _status_of(error)
    hidden = (status >= 500 and not isinstance(error, _FOR_CLIENTS)
              or not isinstance(error, errors.TodoListError))
    message = status.phrase if hidden else str(error)
    named = isinstance(error, _REASONS) and len(message) <= MAX_REASON_LENGTH
    reason = message if named else status.phrase
    violations = error.violations if isinstance(error, errors.InvalidTaskError) else ()
    return Problem(status, reason, message, violations, _headers(error))


def cross_site_problem(headers: Mapping[str, str]) -> Problem:
    """Return the answer to a cross-site write of a browser, with the evidence for that."""
    sent = [f"{name} is {shorten(repr(headers[name]))}"
            for name in ("Sec-Fetch-Site", "Origin", "Host") if name in headers]
    return Problem(HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN.phrase, (
        f"a write from another site: {', '.join(sent)}. Add the origin to http.cors-origins, or have the proxy"
        " forward Host unchanged."))


def is_foreseen(error: BaseException) -> bool:
    """Return whether a server error explains itself to the client: a store that is away or full."""
    return isinstance(error, (errors.StoreUnavailableError, errors.StoreFullError))


def _status_of(error: BaseException) -> HTTPStatus:
    found = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def _headers(error: BaseException) -> dict[str, str]:
    if isinstance(error, (errors.StaleRevisionError, errors.TaskExistsError)):
        return {} if error.revision is None else {"ETag": task_etag(error.revision)}
    if isinstance(error, errors.ConditionFailedError):
        return {"ETag": error.etag}
    if isinstance(error, errors.UnauthorizedError):
        return {"WWW-Authenticate": 'Bearer realm="taskservice"'}
    if isinstance(error, errors.ForbiddenError):
        return {"WWW-Authenticate": 'Bearer realm="taskservice", error="insufficient_scope"'}
    if isinstance(error, errors.UnsupportedMediaTypeError):
        name = "Accept" if error.field == "Content-Type" else "Accept-Encoding"
        return {name: ", ".join(error.accepted)}
    if isinstance(error, errors.StoreUnavailableError):
        return {"Retry-After": str(RETRY_AFTER)}
    return {}
