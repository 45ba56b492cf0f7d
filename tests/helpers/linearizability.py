"""Tells whether what concurrent clients saw of one task can be explained by one order.

A history is linearizable (Herlihy and Wing, 1990) when each operation can be given a moment
between its call and its return such that, one after the other at these moments, all outcomes are
those of a single task: a register with create, compare-and-set by revision, and delete. The
search is Wing and Gong's, as Lowe improved it ("Testing for linearizability", 2017, just-in-time
linearization): it goes through calls and returns in the order of time, and keeps each
configuration that explains what has returned - the task's state, and which of the operations
under way have taken effect - once. Operations on different tasks are checked apart: a store is
linearizable when each of its tasks is (Herlihy and Wing's theorem 1).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import TypeAlias


class Kind(Enum):
    """What a client asked for."""

    CREATE = "create"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Done:
    """It was done; a read has what it found, a create or write its new revision."""

    revision: int | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Stale:
    """It was refused: the task has this revision, which is not the one expected."""

    revision: int


@dataclass(frozen=True, slots=True)
class Absent:
    """There was no such task."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """There was no answer, or one that does not say: it was done, or it was not."""


Outcome: TypeAlias = Done | Stale | Absent | Unknown


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """What one client asked for, when, and what came of it.

    `expected` is the revision that a write or delete was bound to; None: whatever it is. What
    came of an unknown operation was decided by the time of `back`; infinity: or later.
    """

    kind: Kind
    call: float
    back: float
    outcome: Outcome
    value: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A task: its value (None: there is none), its revision, and the last revision known.

    The revision is None when no client knows it: that of an unknown write.
    """

    value: str | None = None
    revision: int | None = None
    last: int = 0

    def at(self, revision: int | None) -> "State | None":
        """Return the state that it is if this is its revision; None if that cannot be."""
        if revision is None or revision == self.revision:
            return self
        if self.revision is None and revision > self.last:
            return replace(self, revision=revision, last=revision)
        return None


Operations: TypeAlias = frozenset[Operation]
Configuration: TypeAlias = tuple[State, Operations, Operations]
"""A state that explains all that returned; which pending operations are in it, which unknown."""


class TooManyConfigurations(Exception):
    """There are too many orders to look at."""


def after(state: State, operation: Operation) -> State | None:
    """Return the state after an operation took effect with its outcome; None if it could not."""
    outcome = operation.outcome
    match operation.kind, outcome:
        case Kind.READ, Done():
            return state.at(outcome.revision) if state.value == outcome.value else None
        case _, Absent():
            return state if state.value is None and operation.kind is not Kind.CREATE else None
        case _, Stale():
            if state.value is None or outcome.revision == operation.expected:
                return None
            return state.at(outcome.revision)
        case Kind.CREATE, _:
            return None if state.value is not None else _written(state, operation)
        case _:
            if state.value is None or (found := state.at(operation.expected)) is None:
                return None
            if operation.kind is Kind.DELETE:
                return State(last=found.last)
            return _written(found, operation)


def _written(state: State, operation: Operation) -> State | None:
    if isinstance(operation.outcome, Unknown):
        return State(operation.value, None, state.last)
    assert isinstance(operation.outcome, Done) and operation.outcome.revision is not None
    revision = operation.outcome.revision
    return State(operation.value, revision, revision) if revision > state.last else None


def first_contradiction(
    history: Iterable[Operation], *, limit: int = 200_000
) -> Operation | None:
    """Return the operation whose return no order explains; None: the history is linearizable.

    Raises TooManyConfigurations beyond `limit` of them. Of what happens at one time, calls are
    taken to come first.
    """
    pending: set[Operation] = set()
    configurations: set[Configuration] = {(State(), frozenset(), frozenset())}
    for returns, operation in _events(history):
        if not returns:
            pending.add(operation)
            continue
        configurations = _returned(configurations, pending, operation, limit)
        if not configurations:
            return operation
        pending.remove(operation)
    return None


def _events(history: Iterable[Operation]) -> Iterator[tuple[bool, Operation]]:
    operations = list(history)
    calls = [(operation.call, False, index) for index, operation in enumerate(operations)]
    returns = [
        (operation.back, True, index) for index, operation in enumerate(operations)
        if operation.back < inf]
    for _, is_return, index in sorted(calls + returns):
        yield is_return, operations[index]


def _returned(
    configurations: set[Configuration], pending: set[Operation], operation: Operation, limit: int
) -> set[Configuration]:
    """Return the configurations in which an operation that now returns has taken effect.

    Other pending operations may have done so before it. One that is unknown need not have.
    """
    optional = isinstance(operation.outcome, Unknown)
    found = {entry for entry in configurations if optional and operation not in entry[2]}
    seen = _Frontier()
    todo = deque(entry for entry in configurations if seen.add(entry))
    while todo:
        state, known, unknown = todo.popleft()
        if operation in known or operation in unknown:
            found.add((state, known - {operation}, unknown - {operation}))
            continue
        for other in pending - known - unknown:
            if (following := after(state, other)) is not None:
                is_unknown = isinstance(other.outcome, Unknown)
                entry = _settled(
                    following, known if is_unknown else known | {other},
                    unknown | {other} if is_unknown else unknown, pending)
                if seen.add(entry):
                    todo.append(entry)
        if len(seen) > limit:
            raise TooManyConfigurations(f"more than {limit} at {operation}")
    return found


class _Frontier:
    """Configurations, but those that another one makes needless.

    With fewer unknown operations in it, the rest the same, whatever follows can follow as well:
    what has not taken effect may do so later, or never.
    """

    def __init__(self) -> None:
        self._least: dict[tuple[State, Operations], list[Operations]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, entry: Configuration) -> bool:
        """Add a configuration; return whether it was needed."""
        state, known, unknown = entry
        others = self._least.setdefault((state, known), [])
        if any(other <= unknown for other in others):
            return False
        others.append(unknown)
        self._size += 1
        return True


def _settled(
    state: State, known: Operations, unknown: Operations, pending: set[Operation]
) -> Configuration:
    """Let take effect what changes nothing: if that explains its outcome, no order is lost."""
    idle = [
        other for other in pending - known
        if not isinstance(other.outcome, Unknown) and after(state, other) is state]
    return state, known.union(idle), unknown


def describe(history: Sequence[Operation], contradiction: Operation) -> str:
    """Return the operations that overlap or precede a contradiction, for a failed test."""
    earlier = sorted(
        (entry for entry in history if entry.call <= contradiction.back), key=lambda it: it.call)
    lines = [
        f"{entry.call:.6f} - {entry.back:.6f} {entry.kind.value} value={entry.value} "
        f"expected={entry.expected}: {entry.outcome}"
        f"{'   <-- no order explains this' if entry is contradiction else ''}"
        for entry in earlier[-40:]]
    return "\n".join(["not linearizable:", *lines])
