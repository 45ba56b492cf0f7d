"""Requests on Tornado's own server: checked first as our own connection checks its requests."""

import time
from collections.abc import Awaitable, Callable

from tornado.httputil import (
    HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine)

from taskservice.http1.request import (
    MAX_METHOD, BadRequest, body_length, check_host, origin_form, waits)


class JudgedDelegate(HTTPMessageDelegate):
    """Passes a request on to another delegate once its head has been checked.

    `cut` is called with line and fields of a request that ends before its body does, and with the seconds since they
    came.
    """

    def __init__(
        self, delegate: HTTPMessageDelegate, cut: Callable[[RequestStartLine, HTTPHeaders, float], None]
    ) -> None:
        self._delegate = delegate
        self._cut = cut
        self._head: tuple[RequestStartLine, HTTPHeaders] | None = None
        self._began = time.monotonic()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Take a head; raises BadRequest, for which Tornado's server answers 400 and closes."""
        assert isinstance(start_line, RequestStartLine)
        self._head = judge(start_line, headers), headers
        return self._delegate.headers_received(*self._head)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a piece of the body."""
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        """Take the end of the request."""
        self._head = None
        self._delegate.finish()

    def on_connection_close(self) -> None:
        """Hear that there will be no more."""
        self._delegate.on_connection_close()
        if self._head is not None:
            self._cut(*self._head, time.monotonic() - self._began)


def judge(start_line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine:
    """Return a request's line in the application's form; raises BadRequest.

    The fields become those of that line, and `Expect` what Tornado's server understands.
    """
    method, target, version = start_line
    if len(method) > MAX_METHOD:
        raise BadRequest("Malformed method")
    version = version if version == "HTTP/1.0" else "HTTP/1.1"  # RFC 9110 §2.5
    path, authority = origin_form(method, target)
    check_host(version, headers, authority)
    body_length(version, headers)
    if waits(version, headers.get("Expect")):
        headers["Expect"] = "100-continue"
    elif "Expect" in headers:
        del headers["Expect"]
    return RequestStartLine(method, path, version)
