"""The states of a connection and of an answer, and the transitions: nothing else changes them.

    IDLE ──► HEAD ──► BODY ◄──► HELD           DUE ──► BEGUN ──► WHOLE
      │                │                        │        │         │
      └──────────────► │                        ▼        └──► BROKEN
      ▲                ▼                      MISSED
      └───────────── ANSWER
    each of them ──► CLOSING ──► CLOSED

A request and its answer overlap, so they are two machines: a handler that takes a body as it comes
may begin its answer before the body's end.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto


class State(Enum):
    """The state of a connection, with regard to the request that it reads."""

    IDLE = auto()
    """Waits for a request; bytes that may have come were not looked at yet."""
    HEAD = auto()
    """Has the first part of a head."""
    BODY = auto()
    """The application has the head, and takes the body as it comes."""
    HELD = auto()
    """The application is busy with a piece of the request: nothing is read meanwhile."""
    ANSWER = auto()
    """The application has the whole request, or all of it that it gets."""
    CLOSING = auto()
    """The last answer is on its way, or given up; input is discarded (RFC 9112 §9.6)."""
    CLOSED = auto()
    """The transport is gone."""

    following: Sequence["State"]
    """The transitions."""

    def __init__(self, *_: object) -> None:
        self.takes_input = self.name not in ("CLOSING", "CLOSED")
        self.in_request = self.name in ("BODY", "HELD")

    def to(self, state: "State") -> "State":
        """Return the next state; raises RuntimeError for an impossible transition."""
        if state not in self.following:
            raise RuntimeError(f"{self} cannot become {state}")
        return state


_NEXT: Mapping[State, Sequence[State]] = {
    # A head that is complete at once needs no HEAD: most are.
    State.IDLE: (State.HEAD, State.BODY, State.CLOSING, State.CLOSED),
    State.HEAD: (State.BODY, State.CLOSING, State.CLOSED),
    State.BODY: (State.HELD, State.ANSWER, State.CLOSING, State.CLOSED),
    # A hold ends where it began; only then is it known whether the body is complete.
    State.HELD: (State.BODY, State.CLOSING, State.CLOSED),
    # No pipelined request is looked at before the answer to the one before it has ended (§9.3.2).
    State.ANSWER: (State.IDLE, State.CLOSING, State.CLOSED),
    State.CLOSING: (State.CLOSED,),
    State.CLOSED: (),
}
for _state, _following in _NEXT.items():
    _state.following = _following  # looking it up by the state would cost each request a microsecond


class Answer(Enum):
    """The state of the answer to a request."""

    DUE = auto()
    """Nothing of it was written."""
    BEGUN = auto()
    """Its head was written."""
    WHOLE = auto()
    """All of it was written."""
    BROKEN = auto()
    """It began, and nobody gets the rest: its client left, or it was cut."""
    MISSED = auto()
    """It never began: its client left, or the connection answered in place of the application."""

    following: Sequence["Answer"]
    """The transitions."""

    def __init__(self, *_: object) -> None:
        self.writable = self.name in ("DUE", "BEGUN")
        self.started = self.name in ("BEGUN", "WHOLE", "BROKEN")
        self.lost = self.name in ("BROKEN", "MISSED")

    def to(self, answer: "Answer") -> "Answer":
        """Return the next state; raises RuntimeError for an impossible transition."""
        if answer not in self.following:
            raise RuntimeError(f"{self} cannot become {answer}")
        return answer

    def broken_off(self) -> "Answer":
        """Return the next state when nobody can read the answer any more."""
        if self.lost:
            return self
        return self.to(BROKEN if self.started else MISSED)


_NEXT_ANSWER: Mapping[Answer, Sequence[Answer]] = {
    Answer.DUE: (Answer.BEGUN, Answer.MISSED),
    Answer.BEGUN: (Answer.WHOLE, Answer.BROKEN),
    # Written, but not taken by the kernel yet: over HTTP/1.0 the client can still miss its end.
    Answer.WHOLE: (Answer.BROKEN,),
    Answer.BROKEN: (),
    Answer.MISSED: (),
}
for _answer, _next in _NEXT_ANSWER.items():
    _answer.following = _next

# For the modules here: on Python 3.11 reading a member from its class is a call.
IDLE, HEAD, BODY, HELD, ANSWER, CLOSING, CLOSED = State
DUE, BEGUN, WHOLE, BROKEN, MISSED = Answer
