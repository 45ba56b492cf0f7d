"""`/changes`: the writes, as a document or as they happen."""

import random
from collections.abc import Sequence
from contextlib import aclosing

from taskservice.datamodel import Change
from taskservice.errors import UnauthorizedError
from taskservice.http import sse
from taskservice.http.listing import ChangesRequest, parse_changes_query
from taskservice.http.negotiation import EVENT_STREAM, preferred_type
from taskservice.http.representation import JSON, Joined
from taskservice.tornado.handlers.streaming import StreamingHandler

RETRY_MS = 1_000
"""Milliseconds after which a client reconnects to an event stream that was cut off."""

MAX_RETRY_MS = 5_000
"""A stream that ends by itself names a time up to this: at a stop all end at once, and should not all reconnect at
once."""


class ChangesRequestHandler(StreamingHandler):
    """`/changes`: the writes, in order; as they happen for clients that ask for an event stream."""

    route = "/changes"

    async def get(self) -> None:
        """Return the changes after `since`."""
        request = parse_changes_query(self.request.query)
        self.vary("Accept")
        if preferred_type(self.fields.get("accept"), EVENT_STREAM) == EVENT_STREAM:
            last_id = sse.last_event_id(self.fields.get("last-event-id"))
            await self._stream(request.since if last_id is None else last_id)
            return
        await self._write_changes(request)

    head = get

    async def _write_changes(self, request: ChangesRequest) -> None:
        """Write a page of the changes, in portions."""
        self.set_header("Content-Type", JSON)
        members = Joined(b'{"changes": [')
        async with aclosing(self.service.read_changes(request.since, request.limit)) as portions:
            async for page in portions:
                revision, more = page.revision, page.more
                self.write(members.portion(b", ".join(map(sse.change_json, page.changes))))
                if more and not self.in_one_piece:
                    del page
                    await self.send()
                    if self.request.method == "HEAD":
                        return
        self.write(members.end(b'], "revision": %d}' % revision))

    async def _stream(self, since: int | None) -> None:
        self._access = self.policy.access
        if since is None:
            since = await self.service.revision()
        async with aclosing(self.service.follow_changes(since)) as batches:
            first = await anext(batches, None) or ()  # None: the service is going away
            self.set_header("Content-Type", EVENT_STREAM)
            self.set_header("X-Accel-Buffering", "no")  # nginx would wait until its buffer is full
            self.write(sse.opening(since, RETRY_MS))
            if self.request.method == "HEAD":
                return
            self.streams = True
            with self.metrics.event_streams.track_inprogress(), self.until_abandoned():
                await self._send_batch(first)
                async for batch in batches:
                    if not self._may_go_on():
                        break
                    await self._send_batch(batch)
                self.write(sse.retry(random.randrange(RETRY_MS, MAX_RETRY_MS)))

    def _may_go_on(self) -> bool:
        """Return whether the token is still valid: a reload may have removed it."""
        access = self.dependencies.policy.access
        if access is self._access:
            return True
        self._access = access
        try:
            access.check_token(self.fields.get("authorization"), self.request.method or "")
        except UnauthorizedError:
            return False
        return True

    async def _send_batch(self, batch: Sequence[Change]) -> None:
        self.write(sse.events(tuple(batch)) or sse.COMMENT)
        await self.send()
