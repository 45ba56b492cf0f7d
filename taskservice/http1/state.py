"""What a connection and an answer can be, and what each can become: nothing else changes them.

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
    """How far a connection is with the request that it reads."""

    IDLE = auto()
    """Waits for a request; what has come of it, if anything, was not looked at yet."""
    HEAD = auto()
    """Has the first part of a head."""
    BODY = auto()
    """The application has the head, and takes the body as it comes."""
    HELD = auto()
    """The application takes its time with a piece of the request: nothing is read meanwhile."""
    ANSWER = auto()
    """The application has all that it gets of the request."""
    CLOSING = auto()
    """What was to be sent is on its way, or given up; what comes is thrown away (RFC 9112 §9.6)."""
    CLOSED = auto()
    """The transport is gone."""

    following: Sequence["State"]
    """What it can become."""

    def __init__(self, *_: object) -> None:
        self.takes_input = self.name not in ("CLOSING", "CLOSED")
        self.in_request = self.name in ("BODY", "HELD")

    def to(self, state: "State") -> "State":
        """Return the next state; raises RuntimeError for one that this cannot become."""
        if state not in self.following:
            raise RuntimeError(f"{self} cannot become {state}")
        return state


_NEXT: Mapping[State, Sequence[State]] = {
    # A head that is there as a whole needs no HEAD: most are.
    State.IDLE: (State.HEAD, State.BODY, State.CLOSING, State.CLOSED),
    State.HEAD: (State.BODY, State.CLOSING, State.CLOSED),
    State.BODY: (State.HELD, State.ANSWER, State.CLOSING, State.CLOSED),
    # A hold ends where it began, and only then is it looked whether the body is whole.
    State.HELD: (State.BODY, State.CLOSING, State.CLOSED),
    # No pipelined request is looked at before the answer to the one before it has ended (§9.3.2).
    State.ANSWER: (State.IDLE, State.CLOSING, State.CLOSED),
    State.CLOSING: (State.CLOSED,),
    State.CLOSED: (),
}
for _state, _following in _NEXT.items():
    _state.following = _following  # to look it up by the state would cost each request a microsecond


class Answer(Enum):
    """How far the answer to a request is."""

    DUE = auto()
    """Nothing of it was written."""
    BEGUN = auto()
    """Its head was written."""
    WHOLE = auto()
    """All of it was written."""
    BROKEN = auto()
    """It began, and nobody gets the rest: its client left, or it was cut."""
    MISSED = auto()
    """It never began: its client left, or the connection answered in the application's place."""

    following: Sequence["Answer"]
    """What it can become."""

    def __init__(self, *_: object) -> None:
        self.writable = self.name in ("DUE", "BEGUN")
        self.started = self.name in ("BEGUN", "WHOLE", "BROKEN")
        self.lost = self.name in ("BROKEN", "MISSED")

    def to(self, answer: "Answer") -> "Answer":
        """Return the next state; raises RuntimeError for one that this cannot become."""
        if answer not in self.following:
            raise RuntimeError(f"{self} cannot become {answer}")
        return answer

    def broken_off(self) -> "Answer":
        """Return what it becomes when nobody can read it any more."""
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

# For the modules here: on Python 3.11 to take a member from its class is a call.
IDLE, HEAD, BODY, HELD, ANSWER, CLOSING, CLOSED = State
DUE, BEGUN, WHOLE, BROKEN, MISSED = Answer
