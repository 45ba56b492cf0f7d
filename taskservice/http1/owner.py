"""The interface of the server for its connections."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Protocol, TypeVar

from tornado.httputil import HTTPServerConnectionDelegate, RequestStartLine

from taskservice.http1.answer import Refusal
from taskservice.http1.limits import Limits
from taskservice.http1.parser import Head
from taskservice.http1.upload import Upload

ConnectionT = TypeVar("ConnectionT", contravariant=True)


class Owner(Protocol):
    """The part that a connection needs below HTTP."""

    loop: AbstractEventLoop
    limits: Limits
    draining: bool
    done: "Future[None]"
    """A future that is done."""

    @property
    def time(self) -> Callable[[], float]:
        """The clock."""


class Server(Owner, Protocol[ConnectionT]):
    """The part that it needs for HTTP."""

    delegate: HTTPServerConnectionDelegate
    pass_too_large: bool

    @property
    def idle_timeout(self) -> float:
        """How long a connection waits for its next request."""

    def opened(self, connection: ConnectionT) -> None:
        """Count a connection in."""

    def lost(self, connection: ConnectionT) -> None:
        """Count a connection out."""

    def may_serve(self, start_line: RequestStartLine) -> bool:
        """Return whether a reserved connection may be answered."""

    def admit_body(self, upload: Upload, head: Head, address: str) -> None:
        """Allow a large body if the request's head and its client permit that."""

    def refusal(self, refusal: Refusal) -> bytes:
        """Return the answer to a refused request."""
