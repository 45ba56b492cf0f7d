"""A connection to the service that repeats requests while the service is away."""

import http.client
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

from taskservice.client.answers import NDJSON, Answer, Response, check_form, read_answer, whole_body
from taskservice.client.errors import AwayError, BrokenAnswerError, OptionError, TransferError, one_line, reason

TIMEOUT = 60.0
"""Maximum wait for the next bytes, in seconds."""

RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each repetition of a request, unless the service asks for more."""

AWAY = frozenset({429, 502, 503, 504})
"""The statuses of a service, or of a proxy before it, that is temporarily away or busy."""


class _Connection(http.client.HTTPConnection):
    response_class = Response


class _TLSConnection(http.client.HTTPSConnection):
    """Treats an end without close_notify as a possible cut (RFC 8446 §6.1)."""

    response_class = Response

    def __init__(self, host: str, port: int, timeout: float) -> None:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        # Python before 3.11.3 lets OpenSSL 3 treat such an end as a clean one.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        super().__init__(host, port, timeout=timeout, context=context)

    def connect(self) -> None:
        """Connect."""
        super().connect()
        setattr(self.sock, "suppress_ragged_eofs", False)


class Client(AbstractContextManager["Client"]):
    """A connection to the service, opened on demand and again after it broke; closed at the end of the block.

    Raises OptionError for a malformed URL, and for a token that cannot be sent.
    """

    def __init__(self, url: str) -> None:
        parts = _split(url)
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._access = _access(os.environ.get("TASKSERVICE_TOKEN"))
        kind = _Connection if parts.scheme == "http" else _TLSConnection
        self._connection: http.client.HTTPConnection = kind(
            parts.hostname or "", parts.port or kind.default_port, timeout=TIMEOUT)
        self._response: http.client.HTTPResponse | None = None

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        if self._response is not None:
            self._response.close()

    def get(self, path: str) -> Iterator[bytes]:
        """Ask for NDJSON and return its body, which has to be read before the next request.

        Raises TransferError for any other answer; reading raises BrokenAnswerError if the body is cut.
        """
        response = self._ask("GET", path, {"Accept": NDJSON}, None)
        if response.status != 200:
            raise TransferError(self._read(response).refusal)
        check_form(response)
        return whole_body(response)

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send NDJSON and read the answer; repeat it while the service is away.

        Raises AwayError if it stays away, and TransferError for a success that is not NDJSON.
        """
        retried = False
        for delay in (*RETRY_DELAYS, None):
            try:
                answer = self._post(path, headers, body)
                return replace(answer, retried=retried)
            except AwayError as error:
                if delay is None:
                    raise
                time.sleep(max(delay, error.retry_after))
                retried = True
        raise AssertionError  # the last try returns or raises

    def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        response = self._ask("POST", path, {"Content-Type": NDJSON, **headers}, body)
        if response.status < 300:
            check_form(response)
        try:
            return self._read(response)
        except BrokenAnswerError as error:
            raise AwayError(f"{self.url}: {error}") from error

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> http.client.HTTPResponse:
        """Send a request and read the head of the answer; raises AwayError when the service is away."""
        try:
            response = self._send(method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise _translated(self.url, error) from error
        self._response = response
        if response.status in AWAY:
            answer = self._read(response)
            raise AwayError(f"{self.url}: {answer.refusal}", answer.retry_after)
        return response

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> http.client.HTTPResponse:
        if self._connection.sock is None:
            self._connection.connect()
        with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before all is sent
            self._connection.request(method, self._path + path, body, {**headers, **self._access})
        return self._connection.getresponse()

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        """Read an answer; the rest of an unread one cannot be taken for the next."""
        try:
            return read_answer(response)
        finally:
            if not response.isclosed():
                response.close()
                self._connection.close()


def _translated(url: str, error: Exception) -> TransferError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransferError(f"{url}: {one_line(error.verify_message)}")
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return TransferError(f"{url}: what answers there does not speak HTTP")
    return AwayError(f"{url}: {reason(error)}")


def _split(url: str) -> SplitResult:
    with suppress(ValueError):  # the port is no number, or the host is impossible
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        sendable = re.fullmatch("[!-~]+", host + parts.path)
        more = parts.username is not None or parts.query or parts.fragment
        if parts.scheme in ("http", "https") and host and parts.port != 0 and sendable and not more:
            return parts
    shown = re.sub("//.*@", "//…@", url, flags=re.DOTALL)  # without a password
    raise OptionError(f"--url: expected http://HOST:PORT, got {shown!r}")


def _access(token: str | None) -> dict[str, str]:
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()):  # without showing the token itself
        raise OptionError("TASKSERVICE_TOKEN: expected a token of printable ASCII characters")
    return {"Authorization": f"Bearer {token}"}
