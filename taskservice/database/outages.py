"""Outages of a store: away, read-only, or full; each is logged when it begins and when it ends."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.errors import (
    StoreBusyError, StoreError, StoreFullError, StoreReadOnlyError, StoreUnavailableError)
from taskservice.utils import logutils

PROBE = "ready"
"""The operation that checks more than a read or a write does: only its success shows that all is well."""

_SIDES: Mapping[str, str] = {
    "create": "write", "update": "write", "delete": "write", PROBE: "probe"}
"""The side of the store that an operation uses; one that is not listed reads."""


@dataclass(slots=True)
class _Outage:
    """The present fault, since when, and on which sides; `last` is when it was seen last."""

    began: float
    last: float
    sides: set[str] = field(default_factory=set)
    requests: int = 0


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of outage, and the log events of its begin and end."""

    error: type[StoreError]
    begin: str
    end: str
    seen_by_probe: bool = True


_KINDS = (
    _Kind(StoreReadOnlyError, "STORE READ-ONLY", "STORE WRITABLE"),
    _Kind(StoreFullError, "STORE FULL", "STORE HAS ROOM", seen_by_probe=False),
    _Kind(StoreUnavailableError, "STORE UNAVAILABLE", "STORE AVAILABLE"),
)
"""An error is of the first kind it is an instance of; a StoreBusyError is no outage."""


class Outages:
    """The present fault of a store, as its operations show it."""

    def __init__(self) -> None:
        self.current: dict[_Kind, _Outage] = {}
        self._watching = False

    def watch(self, watching: bool) -> None:
        """Start or stop watching: a store that is closed on purpose is not away."""
        self._watching = watching
        self.current.clear()

    def failed(self, operation: str, began: float, error: Exception, counts: bool) -> None:
        """Record a failed operation, and when it began; `counts` if it belongs to a request."""
        if not self._watching:
            return
        if not isinstance(error, StoreError):  # the store answered, e.g. that no such task exists
            return self.succeeded(operation, began)
        kind = next((kind for kind in _KINDS if isinstance(error, kind.error)), None)
        if kind is not None and not isinstance(error, StoreBusyError):
            self._note(kind, operation, error)
        for outage in self.current.values():  # also if it waited in vain for a free connection
            outage.requests += counts

    def _note(self, kind: _Kind, operation: str, error: StoreError) -> None:
        now = time.perf_counter()
        if kind not in self.current:
            self.current[kind] = _Outage(now, now)
            _log(logging.ERROR, message=kind.begin, reason=str(error))
        outage = self.current[kind]
        outage.last = now
        outage.sides.add(_SIDES.get(operation, "read"))

    def succeeded(self, operation: str, began: float) -> None:
        """Record an operation that succeeded: it ends the outages that it would have met.

        These are outages on the same side whose last failure was before this operation began. So reads that succeed do
        not end an outage of writes, and neither does an operation that was already under way.
        """
        side = _SIDES.get(operation, "read")
        for kind, outage in list(self.current.items()):
            met = side in outage.sides or operation == PROBE and kind.seen_by_probe
            if met and began >= outage.last:
                del self.current[kind]
                seconds = time.perf_counter() - outage.began
                _log(logging.INFO, message=kind.end, seconds=round(seconds, 3),
                     requests=outage.requests)


def _log(level: int, **facts: Any) -> None:
    logutils.log(logging.getLogger(LOGGER_NAME), level, **facts)
