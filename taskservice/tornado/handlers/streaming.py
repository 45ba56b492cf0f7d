"""Answers that are sent in pieces: flow control, and clients that leave before the end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, cast

import tornado.web
from tornado.iostream import StreamClosedError

from taskservice.http1.exchange import Exchange
from taskservice.tornado.handlers.base import CLIENT_GONE, BaseRequestHandler
from taskservice.utils import taskcontext


class StreamingHandler(BaseRequestHandler):
    """A handler whose answer may be too large to be made at once, or never end."""

    async def send(self) -> None:
        """Send the answer so far, and wait until the client has taken most of it."""
        try:
            await self.flush()
        except StreamClosedError:
            self.give_up()

    @contextmanager
    def until_abandoned(self) -> Iterator[None]:
        """End the answer early if the client leaves, which may be long before a write fails."""
        try:
            yield
        except asyncio.CancelledError:
            if not self.abandoned:
                raise
            cast("asyncio.Task[None]", self.task).uncancel()
            self.give_up()

    def give_up(self) -> NoReturn:
        """End a request whose client has gone, or had to."""
        taskcontext.set("reason", self.cut_reason or CLIENT_GONE)
        raise tornado.web.Finish

    @property
    def in_one_piece(self) -> bool:
        """Whether the answer needs a length, so that a cut one does not look complete.

        Over HTTP/1.0 nothing else delimits it, and Tornado's own server cuts without a reset.
        """
        http_1_0 = self.request.version == "HTTP/1.0" and self.request.method != "HEAD"
        return http_1_0 and not isinstance(self.request.connection, Exchange)
