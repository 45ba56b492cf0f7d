"""The end of a request: its canonical log line, and its metrics."""

import logging
import time
from http import HTTPStatus

import tornado.web

from taskservice.database.metered_db import STORE_SECONDS
from taskservice.http.problems import is_foreseen
from taskservice.tornado.handlers.base import CLIENT_GONE, BaseRequestHandler
from taskservice.utils import logutils

CLIENT_LEFT = 499
"""The status, in log and metrics alone, of a request whose client left before its answer began."""


def log_response(handler: tornado.web.RequestHandler) -> None:
    """Log the canonical line of a request, with its outcome, and count it.

    The connection may have done so already, with an answer of its own: then the handler's answer is another event, and
    no request.
    """
    assert isinstance(handler, BaseRequestHandler)
    seconds = time.perf_counter() - handler.started
    if getattr(handler.request.connection, "refused", 0):
        status = handler.get_status()
        if handler.abandoned:
            status, handler.facts["reason"] = CLIENT_LEFT, "cancelled: it was answered already"
        _log_end(handler, "LATE RESPONSE", status, seconds)
        handler.metrics.left()
        return
    status = handler.get_status() if _answered(handler) else _status_of_unanswered(handler)
    _log_end(handler, "RESPONSE", status, seconds)
    if handler.streams:
        handler.metrics.stream_ended()
    else:
        handler.metrics.ended(handler.request.method or "", handler.route, status, seconds)


def log_cut_request(handler: BaseRequestHandler, seconds: float) -> None:
    """Log and count a request that ended before its body did, `seconds` after its head."""
    handler.metrics.began()
    handler.context = handler.identify()
    handler.started -= seconds
    handler.gone = True
    log_response(handler)


def _status_of_unanswered(handler: BaseRequestHandler) -> int:
    """Return the status of a request whose answer did not begin, and record the reason."""
    handler.written = 0
    if handler.cut_reason:
        handler.facts["reason"] = handler.cut_reason
        return HTTPStatus.SERVICE_UNAVAILABLE
    if _failed(handler):
        return max(handler.get_status(), HTTPStatus.INTERNAL_SERVER_ERROR)
    handler.facts["reason"] = CLIENT_GONE
    return CLIENT_LEFT


def _answered(handler: BaseRequestHandler) -> bool:
    """Return whether the client got at least the head of the answer, as far as that can be known."""
    # Our connection knows best: a client may have ended its input, and still be reading.
    return getattr(handler.request.connection, "started", not handler.gone)


def _failed(handler: BaseRequestHandler) -> bool:
    """Return whether something failed that the client did not cause."""
    return handler.error is not None and not 400 <= handler.get_status() < 500


def _log_end(handler: BaseRequestHandler, message: str, status: int, seconds: float) -> None:
    level = logging.INFO
    if handler.error is not None or status >= 400 or message != "RESPONSE":
        failed = _failed(handler)
        level = logging.ERROR if failed or status >= 500 else logging.WARNING
        _explain(handler, status, failed)
    store_ms = handler.context.pop(STORE_SECONDS, 0.0) * 1000
    logutils.log(
        handler.dependencies.logger, level, context=handler.context, message=message,
        status=status, time_ms=seconds * 1000, store_ms=round(store_ms, 3),
        bytes=handler.written, **handler.facts)


def _explain(handler: BaseRequestHandler, status: int, failed: bool) -> None:
    """Add the reason of an outcome to the facts; docs/operating.md describes each."""
    if status == HTTPStatus.PRECONDITION_FAILED:
        handler.facts["precondition"] = "failed"
    error = handler.error
    if error is not None and (
            failed and not is_foreseen(error) or handler.dependencies.debug):
        handler.facts["trace"] = logutils.format_trace(error)
