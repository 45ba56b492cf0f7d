"""Following a store's changes as they happen: one reader a process for any number of followers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.database.contract import AbstractTodoListDB
from taskservice.datamodel import PORTION_BYTES, Change, fitting
from taskservice.errors import ChangesExpiredError, StoreError, TooManyFollowersError
from taskservice.utils import logutils, taskcontext

POLL_INTERVAL = 0.25
"""Seconds between polls of the store: other processes do not announce their writes."""

HEARTBEAT = 15.0
"""Seconds without a change after which a follower gets an empty batch."""

PAGE = 1_000
"""Maximum number of changes in one read, which is limited to PORTION_BYTES as well."""

BACKLOG_BYTES = 16 * 1024 * 1024
"""Bytes of changes kept for the followers, whatever the number of changes they are behind."""

CATCHING_UP = 2
"""How many followers may read older changes at the same time; the others wait and leave the store's readers free."""

TURN = 16
"""How many followers wake at once: each has something to send, and other requests need the loop, too."""


class ChangeFeed:
    """Reads a store's changes while anybody follows, and keeps the latest of them for all followers.

    A follower that falls more than `backlog` changes behind the others is dropped. At most `max_followers` follow at
    once.
    """

    def __init__(
        self, task_db: AbstractTodoListDB, *, backlog: int = 1_000, max_followers: int = 10_000
    ) -> None:
        self._db = task_db
        self.backlog = backlog
        self.max_followers = max_followers
        # The changes after the revision `_floor` and up to `_position`.
        self._recent: deque[Change] = deque()
        self._size = 0  # in bytes
        self._floor = self._position = 0
        self._followers = 0
        self._joining = asyncio.Lock()
        self._turns = asyncio.Semaphore(CATCHING_UP)
        self._wake = asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False
        self._outage = _Outage()

    async def stop(self) -> None:
        """End all followers."""
        self._stopped = True
        await self._tell()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def wake(self) -> None:
        """Look at the store now: this process has written to it."""
        self._wake.set()

    async def follow(self, since: int) -> AsyncGenerator[Sequence[Change], None]:
        """Yield the changes after `since` in batches, as they come.

        Yields the latest change of each id, and none twice. An empty batch follows the changes that were there before,
        and each HEARTBEAT without a change. Ends when the feed stops, with changes left or not, and when the follower
        falls too far behind: it can resume from the last revision it got. Raises ChangesExpiredError, as `read_changes`
        does, TooManyFollowersError, and StoreError.
        """
        last, begun = since, False
        async with self._following():
            while True:  # the changes from before
                try:
                    async with self._turns:
                        with self._db.continuing(begun):
                            page = await self._db.read_changes(last, PAGE)
                except ChangesExpiredError:
                    if not begun:
                        raise
                    return  # a reader this slow would miss what comes next
                if self._stopped:
                    return
                last, begun = page.revision, True
                yield page.changes
                if not page.changes and last >= self._floor:
                    break
            while not self._stopped and last >= self._floor:
                batch = self._after(last)
                if not batch and await self._told(HEARTBEAT):
                    continue
                yield batch
                last = batch[-1].revision if batch else last

    def _after(self, revision: int) -> Sequence[Change]:
        """Return the first recent changes after a revision, which is usually the last one or close to it."""
        later: list[Change] = []
        for change in reversed(self._recent):
            if change.revision <= revision:
                break
            later.append(change)
        later.reverse()
        return tuple(later[:fitting((change.size for change in later), PORTION_BYTES)])

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        """Keep the reader running as long as anybody follows; raises TooManyFollowersError."""
        async with self._joining:
            if self._followers >= self.max_followers:
                raise TooManyFollowersError(self._followers)
            if self._reader is None or self._reader.done():
                self._begin_after(await self._db.revision())
                # Not in the contexts of the first follower's request, which tracing uses, too.
                self._reader = asyncio.create_task(self._read(), context=Context())
            self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            self._wake.set()

    async def _read(self) -> None:
        taskcontext.clear()
        while self._followers and not self._stopped:
            self._wake.clear()
            try:
                await self._advance()
            except Exception as error:  # nothing awaits this task while it runs, so it must not end
                self._outage.begin(error)
            else:
                self._outage.end()
            await _within(self._wake.wait(), POLL_INTERVAL)

    async def _advance(self) -> None:
        """Read new changes, and wake the followers."""
        if await self._db.revision() == self._position:
            return
        try:
            with self._db.continuing():
                page = await self._db.read_changes(self._position, self.backlog)
        except ChangesExpiredError:  # the store was away for longer than it keeps deletions
            self._begin_after(await self._db.revision())
        else:
            self._keep(page.changes)
            self._position = page.revision
            if page.more:
                self._wake.set()
        await self._tell()

    def _begin_after(self, revision: int) -> None:
        """Forget the changes up to a revision."""
        self._recent.clear()
        self._size = 0
        self._floor = self._position = revision

    def _keep(self, changes: Sequence[Change]) -> None:
        """Keep changes for the followers, and of the earlier ones as many as the limits allow."""
        self._recent.extend(changes)
        self._size += sum(change.size for change in changes)
        while len(self._recent) > self.backlog or self._size > BACKLOG_BYTES:
            oldest = self._recent.popleft()
            self._size -= oldest.size
            self._floor = oldest.revision

    async def _tell(self) -> None:
        """Wake the followers, a few at a time."""
        waiting = tuple(self._waiting)
        for start in range(0, len(waiting), TURN):
            for waiter in waiting[start:start + TURN]:
                if not waiter.done():
                    waiter.set_result(None)
            await asyncio.sleep(0)

    async def _told(self, seconds: float) -> bool:
        """Wait for news; return whether any came within `seconds`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            return await _within(waiter, seconds)
        finally:
            self._waiting.discard(waiter)


class _Outage:
    """Logs once that the store is away and once that it is back, however often it is polled."""

    def __init__(self) -> None:
        self._began: float | None = None

    def begin(self, error: Exception) -> None:
        """The store failed; an error that is not a StoreError is logged with its traceback."""
        if self._began is not None:
            return
        self._began = time.monotonic()
        foreseen = isinstance(error, StoreError)
        trace: dict[str, Any] = {} if foreseen else {"trace": logutils.format_trace(error)}
        logutils.log(
            logging.getLogger(LOGGER_NAME), logging.WARNING if foreseen else logging.ERROR,
            message="CHANGES UNAVAILABLE", reason=str(error), **trace)

    def end(self) -> None:
        """The store answered."""
        if self._began is None:
            return
        seconds, self._began = time.monotonic() - self._began, None
        logutils.log(
            logging.getLogger(LOGGER_NAME), logging.INFO, message="CHANGES AVAILABLE",
            seconds=round(seconds, 3))


async def _within(awaited: Awaitable[object], seconds: float) -> bool:
    """Wait for an event; return whether it came within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await awaited
    except TimeoutError:
        return False
    return True
