"""A queue for reads that may take long: it limits how many run, how many wait, and how long each takes.

A search that few tasks match looks at all texts, and a client can ask for many at once without waiting for an answer.
So searches have at most half of the readers, and other lists find a free one. A free reader goes to the read that has
waited longest among those that may have it. A read that continues an answer is never refused for the number of reads
that wait, and its time begins with its turn, which comes as those before it have limits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from taskservice.errors import QueryTimeoutError, TooManyReadsError

Result = TypeVar("Result")


_goes_on: ContextVar[bool] = ContextVar("goes_on", default=False)


@contextmanager
def continuing(begun: bool) -> Iterator[None]:
    """Let reads in the block count as those of an answer that has begun, or has not."""
    token = _goes_on.set(begun)
    try:
        yield
    finally:
        _goes_on.reset(token)


class ReadObserver(Protocol):
    """Counts the outcomes of reads."""

    def reads_wait(self, more: int) -> None:
        """The number of reads that wait for a reader changed by this much."""

    def read_refused(self) -> None:
        """A read was refused because too many wait."""

    def read_timed_out(self) -> None:
        """A read reached its deadline."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """`timeout` (seconds) limits one read, waiting included; at most `waiting` searches wait, and as many other reads.
    """

    timeout: float = 5
    waiting: int = 64


@dataclass(slots=True)
class _Lane:
    """Reads of one kind: how many may run, how many do, and those that wait, longest first."""

    readers: int
    running: int = 0
    waiting: dict["asyncio.Future[None]", int] = field(default_factory=dict)
    """Each with its place in the order of arrival."""


class ReadQueue:
    """Gives each read one of `readers` readers, in turn."""

    def __init__(self, readers: int, limits: ReadLimits, observer: ReadObserver) -> None:
        self._readers = readers
        self.limits = limits
        self._observer = observer
        self._searches = _Lane(max(readers // 2, 1))
        self._others = _Lane(readers)
        self._arrived = 0

    async def run(self, search: bool, read: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of a read, which is cancelled at its deadline.

        Raises QueryTimeoutError then, and TooManyReadsError at once if too many wait. A caller that is cancelled while
        it waits leaves the queue: its read never starts.
        """
        lane = self._searches if search else self._others
        goes_on, now = _goes_on.get(), asyncio.get_running_loop().time
        seconds = self.limits.timeout
        timeout = asyncio.timeout_at(None if goes_on else now() + seconds)
        try:
            async with timeout:
                await self._take_reader(lane, goes_on)
                try:
                    if goes_on:
                        timeout.reschedule(now() + seconds)
                    return await read()
                finally:
                    self._leave_reader(lane)
        except TimeoutError as error:
            if not timeout.expired():
                raise
            self._observer.read_timed_out()
            raise QueryTimeoutError(seconds) from error

    async def _take_reader(self, lane: _Lane, goes_on: bool) -> None:
        if self._is_free_for(lane):
            lane.running += 1
        elif goes_on or len(lane.waiting) < self.limits.waiting:
            await self._wait(lane)
        else:
            self._observer.read_refused()
            raise TooManyReadsError(len(lane.waiting))

    def _leave_reader(self, lane: _Lane) -> None:
        lane.running -= 1
        self._hand_on()

    def _is_free_for(self, lane: _Lane) -> bool:
        running = self._searches.running + self._others.running
        return running < self._readers and lane.running < lane.readers

    async def _wait(self, lane: _Lane) -> None:
        """Wait for a reader, which counts as running from then on."""
        turn = asyncio.get_running_loop().create_future()
        self._arrived += 1
        lane.waiting[turn] = self._arrived
        self._observer.reads_wait(1)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # too late: it got a reader already
                self._leave_reader(lane)
            raise
        finally:
            lane.waiting.pop(turn, None)
            self._observer.reads_wait(-1)

    def _hand_on(self) -> None:
        """Give each free reader to the read that has waited longest."""
        while lanes := [lane for lane in (self._searches, self._others)
                        if lane.waiting and self._is_free_for(lane)]:
            lane = min(lanes, key=lambda lane: next(iter(lane.waiting.values())))
            turn = next(iter(lane.waiting))
            del lane.waiting[turn]
            if not turn.done():
                lane.running += 1
                turn.set_result(None)
