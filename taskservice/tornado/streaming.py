"""Answers that are sent in pieces: flow control, and clients that leave before the end."""

from typing import NoReturn

import tornado.web
from tornado.iostream import StreamClosedError

from taskservice.tornado.base_handler import CLIENT_GONE, BaseRequestHandler
from taskservice.tornado.http1_exchange import Exchange
from taskservice.utils import taskcontext


class StreamingHandler(BaseRequestHandler):
    """A handler whose answer may be too large to be made at once, or never end."""

    async def send(self) -> None:
        """Send what is written so far, and wait until the client has taken most of it."""
        try:
            await self.flush()
        except StreamClosedError:
            self.give_up()

    def give_up(self) -> NoReturn:
        """End a request whose client has gone, or had to."""
        taskcontext.set("reason", self.cut_reason or CLIENT_GONE)
        raise tornado.web.Finish

    @property
    def in_one_piece(self) -> bool:
        """Whether the answer needs a length, so that one that is cut does not look whole.

        Over HTTP/1.0 nothing else delimits it, and Tornado's own server cuts without a reset.
        """
        http_1_0 = self.request.version == "HTTP/1.0" and self.request.method != "HEAD"
        return http_1_0 and not isinstance(self.request.connection, Exchange)
