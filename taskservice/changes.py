"""Following a store's changes as they happen: one reader a process for any number of followers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.database.contract import AbstractTodoListDB
from taskservice.datamodel import PORTION_BYTES, Change, fitting
from taskservice.errors import ChangesExpiredError, StoreError, TooManyFollowersError
from taskservice.utils import logutils, taskcontext

POLL_INTERVAL = 0.25
"""Seconds between looks at the store, whose other processes do not announce their writes."""

HEARTBEAT = 15.0
"""Seconds without a change after which a follower is given an empty batch."""

PAGE = 1_000
"""How many changes are read at once, at the most: PORTION_BYTES of them."""

BACKLOG_BYTES = 16 * 1024 * 1024
"""How many bytes of changes are kept for the followers, however many changes they may be behind."""

CATCHING_UP = 2
"""How many followers read what was before they came at the same time: the others wait, and leave
room for other readers."""

TURN = 16
"""How many followers are woken at once: each has something to send, and others wait, too."""


class ChangeFeed:
    """Reads a store's changes while anybody follows, and keeps the latest of them for all.

    A follower that falls more than `backlog` changes behind the others is dropped. At most
    `max_followers` follow at once.
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
        """Let the followers end."""
        self._stopped = True
        await self._tell()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def wake(self) -> None:
        """Look at the store now: this process has written to it."""
        self._wake.set()

    async def follow(self, since: int | None) -> AsyncGenerator[Sequence[Change], None]:
        """Give the changes after `since` (None: after now), in batches, as they come.

        Each id's latest change is given, none twice. An empty batch comes once what was before is
        given, and after each HEARTBEAT without a change. Ends when the feed stops, whatever is left
        to give, and when the follower falls too far behind: it can go on from the last revision
        that it was given. Raises ChangesExpiredError, as `read_changes` does, TooManyFollowersError,
        and StoreError.
        """
        last = await self._db.revision() if since is None else since
        begun = False
        async with self._following():
            while True:  # what was before
                try:
                    async with self._turns:
                        with self._db.continuing(begun):
                            page = await self._db.read_changes(last, PAGE)
                except ChangesExpiredError:
                    if not begun:
                        raise
                    return  # it reads so slowly that what comes next is forgotten
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
        """Return the first recent changes after a revision, which is mostly the last or nearly so."""
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
                self._reader = asyncio.create_task(self._read())
            self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            self._wake.set()

    async def _read(self) -> None:
        taskcontext.clear()  # this is not the work of the request that happens to be the first
        while self._followers and not self._stopped:
            self._wake.clear()
            try:
                await self._advance()
            except Exception as error:  # nobody awaits this task while it runs: it must not end
                self._outage.begin(error)
            else:
                self._outage.end()
            await _within(self._wake.wait(), POLL_INTERVAL)

    async def _advance(self) -> None:
        """Read what is new, and wake the followers."""
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
        """Keep nothing of what was up to a revision."""
        self._recent.clear()
        self._size = 0
        self._floor = self._position = revision

    def _keep(self, changes: Sequence[Change]) -> None:
        """Keep changes for the followers, and as many of those before as the limits allow."""
        self._recent.extend(changes)
        self._size += sum(change.size for change in changes)
        while len(self._recent) > self.backlog or self._size > BACKLOG_BYTES:
            oldest = self._recent.popleft()
            self._size -= oldest.size
            self._floor = oldest.revision

    async def _tell(self) -> None:
        """Wake those who follow, in turns."""
        waiting = tuple(self._waiting)
        for start in range(0, len(waiting), TURN):
            for waiter in waiting[start:start + TURN]:
                if not waiter.done():
                    waiter.set_result(None)
            await asyncio.sleep(0)

    async def _told(self, seconds: float) -> bool:
        """Wait for news; return whether there are some within so many seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            return await _within(waiter, seconds)
        finally:
            self._waiting.discard(waiter)


class _Outage:
    """Logs once that the store is away, and once that it is back, however often it is asked."""

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
    """Wait for something; return whether it came within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await awaited
    except TimeoutError:
        return False
    return True
