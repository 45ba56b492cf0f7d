"""Reading answers of the service so that a part is never taken for the whole.

http.client accepts the end of the connection as the end of a head, of a chunk's size, and of a body of any length: here
each is an error.
"""

import http.client
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from taskservice.client.errors import BrokenAnswerError, TransferError, one_line, reason

NDJSON = "application/x-ndjson"

CHUNK = 1 << 16
MAX_ERROR_BYTES = 1 << 16
"""How much of an error's body is read, in bytes."""

MAX_RETRY_AFTER = 60.0
"""Maximum wait for a Retry-After, in seconds."""


class _WholeLines(io.BufferedReader):
    """Refuses a line of a head, or with the size of a chunk, that the end of the connection cut."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and not 0 <= (-1 if size is None else size) <= len(line):
            raise http.client.RemoteDisconnected("the connection was closed before the end of the answer")
        return line


class Response(http.client.HTTPResponse):
    """A response whose head is complete, and which is not an interim one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = _WholeLines(self.fp.detach())

    def begin(self) -> None:
        """Read the head, also past 102 and 103: http.client itself skips 100 only (RFC 9110 §15.2)."""
        super().begin()
        while 100 <= self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]  # so that the next head is read
            super().begin()


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end, or as far as an error is of interest."""

    status: int
    body: bytes
    refusal: str
    """The message of an error."""
    retry_after: float
    """Seconds after which to try again."""
    replayed: bool
    """Whether it is the answer to an earlier request with this Idempotency-Key."""
    retried: bool = False
    """Whether an earlier attempt of this request may have succeeded."""

    def violations(self) -> list[tuple[str, str]]:
        """Return the faults of the request's body: JSON Pointers and details."""
        errors = _document(self.body).get("errors")
        found = errors if isinstance(errors, list) else []
        return [(str(v.get("pointer")), str(v.get("detail"))) for v in found if isinstance(v, dict)]


def read_answer(response: http.client.HTTPResponse) -> Answer:
    """Read an answer to its end, an error only in part; raises BrokenAnswerError if a success is cut."""
    if response.status < 300:
        body = b"".join(whole_body(response))
    else:
        with suppress(OSError, http.client.HTTPException):
            body = b""
            body = response.read(MAX_ERROR_BYTES)
    return Answer(
        response.status, body, refusal(response, body), _retry_after(response),
        response.headers.get("Idempotent-Replayed") == "true")


def whole_body(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body as it comes; raises BrokenAnswerError if it is cut (RFC 9112 §8).

    If neither a length nor chunks delimit it, only a reset shows a cut, and over TLS a missing close_notify.
    """
    expected = _content_length(response)
    received = 0
    try:
        while chunk := response.read1(CHUNK):
            received += len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise BrokenAnswerError(f"the answer was cut after {received} bytes: {reason(error)}") from error
    if expected is not None and received != expected:
        raise BrokenAnswerError(f"the answer was cut after {received} of {expected} bytes")
    response.close()  # http.client does not notice the end itself, and would refuse to send the next request


def _content_length(response: http.client.HTTPResponse) -> int | None:
    """Return the length; None if chunks, or else the end of the connection, delimit the body.

    Raises TransferError for a value that http.client would treat as a missing length.
    """
    if response.chunked:
        return None
    coding = response.headers.get("Transfer-Encoding")
    if coding is not None:
        raise TransferError(f"the answer has an unknown Transfer-Encoding: {one_line(coding)}")
    lengths = {value.strip() for value in response.headers.get_all("Content-Length", [])}
    if any(not re.fullmatch("[0-9]{1,18}", value) for value in lengths) or len(lengths) > 1:
        raise TransferError(f"the answer has a wrong Content-Length: {one_line(', '.join(sorted(lengths)))}")
    return int(lengths.pop()) if lengths else None


def check_form(response: http.client.HTTPResponse) -> None:
    """Raise TransferError unless a success is uncoded NDJSON: else something in front of the service answered."""
    form = response.headers.get_content_type()
    if form != NDJSON:
        raise TransferError(f"the answer is {one_line(form)}, not {NDJSON}: is --url that of the service?")
    coding = response.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() != "identity":
        raise TransferError(f"the answer is compressed ({one_line(coding)}), which was not asked for")


def refusal(response: http.client.HTTPResponse, body: bytes) -> str:
    """Describe an error: its status, and the message of the service or its Location."""
    answer = f"the service answered {response.status} {one_line(response.reason)}".rstrip()
    location = response.headers.get("Location")
    if 300 <= response.status < 400 and location:
        return f"{answer}: it is at {one_line(location)}, which --url should name"
    if response.status == 401:
        return f"{answer}: TASKSERVICE_TOKEN has no token that it knows"
    message = _document(body).get("message")
    if isinstance(message, str) and message not in ("", response.reason):
        return f"{answer}: {one_line(message)}"
    return answer


def _document(body: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
        if isinstance(document, dict):
            return document
    return {}


def _retry_after(response: http.client.HTTPResponse) -> float:
    """Return the seconds of a Retry-After (RFC 9110 §10.2.3); a date counts as none."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), MAX_RETRY_AFTER) if re.fullmatch("[0-9]{1,18}", value) else 0.0
