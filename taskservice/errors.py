"""The errors of the domain; `http/problems.py` turns each into a status.

::

    TodoListError                    whatever the service raises on purpose
    ├── ConfigError                  the configuration cannot be used; names the key
    ├── BadInputError                the client sent something that is not acceptable
    │   ├── UnsupportedMediaTypeError  the body is in a form that is not taken here
    │   ├── MalformedBodyError       the body is not JSON in UTF-8
    │   ├── InvalidTaskError         the body is JSON, but not a task; lists every violation
    │   ├── TooManyLinesError        the body has more lines than the config allows
    │   └── TaskTooLargeError        a task is larger than the config allows
    ├── UnauthorizedError            the request has no token, or one that is not known
    ├── ForbiddenError               the token is known, and may not do this
    ├── MisdirectedError             the request is for a host that this service is not
    ├── TaskNotFoundError            no task has this id
    ├── TaskExistsError              a task has this id already
    ├── StaleRevisionError           the condition of a write does not hold for the task as it is
    ├── ConditionFailedError         the condition of a read does not hold
    ├── IdempotencyKeyReusedError    the key came before, with another body
    ├── ChangesExpiredError          the changes asked for are not kept (any more, or yet)
    └── StoreError                   the store failed; what was asked for did not happen
        ├── StoreUnavailableError    it is away for now: worth trying again
        │   ├── StoreBusyError       it answers, but has too much to do
        │   │   ├── QueryTimeoutError  a read reached its deadline
        │   │   ├── TooManyReadsError  too many reads wait already
        │   │   └── TooManyFollowersError too many event streams are open already
        │   └── StoreReadOnlyError   it takes no writes; reads go on
        ├── StoreFullError           it has no room for a write; reads go on
        ├── StoreInUseError          another process holds it (at start only)
        ├── StoreVersionError        a newer taskservice made it (at start only)
        └── DamagedTaskError         what is stored under an id is not a task
"""

from dataclasses import dataclass
from typing import Sequence


class TodoListError(Exception):
    """The base of every error that the service raises on purpose."""


class ConfigError(TodoListError):
    """The configuration cannot be used; the message names the key and what was expected."""


class BadInputError(TodoListError):
    """The client sent something that is not acceptable; the message says what is wrong with it."""


class UnsupportedMediaTypeError(BadInputError):
    """The body has a form that is not taken here; `accepted` lists those that are.

    `field` is the header field that says so, Content-Type (media types) or Content-Encoding (codings).
    """

    def __init__(self, message: str, field: str, accepted: Sequence[str]) -> None:
        super().__init__(message)
        self.field = field
        self.accepted = tuple(accepted)


class MalformedBodyError(BadInputError):
    """The body is not JSON in UTF-8."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a document breaks its schema: where (RFC 6901), and how."""

    pointer: str
    detail: str


class InvalidTaskError(BadInputError):
    """The body is JSON, but not a task; `violations` has every reason."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("JSON Schema validation failed")
        self.violations = tuple(violations)


class TooManyLinesError(BadInputError):
    """The body has more lines than the config allows; the message names the limit and its key."""


class TaskTooLargeError(BadInputError):
    """A task of a bulk, or the result of a patch, is larger as JSON than the config allows."""


class UnauthorizedError(TodoListError):
    """The request has no token, or one that is not known."""


class ForbiddenError(TodoListError):
    """The token is known, and may not do this."""


class MisdirectedError(TodoListError):
    """The request is for a host that this service is not."""


class TaskNotFoundError(TodoListError):
    """No task has this id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"'{task_id}'")
        self.task_id = task_id


class TaskExistsError(TodoListError):
    """A task has this id already, at `revision`; None if the same create has the id twice."""

    def __init__(self, task_id: str, revision: int | None) -> None:
        super().__init__(f"'{task_id}' exists")
        self.task_id = task_id
        self.revision = revision


class StaleRevisionError(TodoListError):
    """The condition of a write does not hold for the task, which is at this `revision` now."""

    def __init__(self, task_id: str, revision: int, reason: str = "has changed") -> None:
        super().__init__(f"'{task_id}' {reason}")
        self.task_id = task_id
        self.revision = revision


class ConditionFailedError(TodoListError):
    """The condition of a read does not hold for the current state, which has this `etag`."""

    def __init__(self, etag: str) -> None:
        super().__init__(f"the condition does not hold: the entity tag is {etag}")
        self.etag = etag


class IdempotencyKeyReusedError(TodoListError):
    """The idempotency key was used before, with another body."""


class ChangesExpiredError(TodoListError):
    """The changes asked for are older than what is kept, or beyond the store's revision."""


class StoreError(TodoListError):
    """The store failed; what was asked for did not happen."""


class StoreUnavailableError(StoreError):
    """The store is away for now: worth trying again."""


class StoreBusyError(StoreUnavailableError):
    """The store answers, but is overloaded or short of a resource."""


class QueryTimeoutError(StoreBusyError):
    """A read reached its deadline, in seconds; the message is for the client."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the query took longer than {seconds:g} s (http.query-timeout): ask for less, by fewer "
            "words in q, narrower filters or a smaller limit")


class TooManyReadsError(StoreBusyError):
    """So many reads wait already; the message is for the client."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} such reads wait already (http.max-queued-reads): try again later")


class TooManyFollowersError(StoreBusyError):
    """So many follow the changes already; the message is for the client."""

    def __init__(self, followers: int) -> None:
        super().__init__(
            f"{followers} event streams are open already (http.max-event-streams): try again later")


class StoreReadOnlyError(StoreUnavailableError):
    """The store takes no writes for now; reads go on."""


class StoreFullError(StoreError):
    """The store has no room for a write; reads go on."""


class StoreInUseError(StoreError):
    """Another process holds the store."""


class StoreVersionError(StoreError):
    """A newer version of the service made the store."""


class DamagedTaskError(StoreError):
    """A stored record is not a task; the message names the file or row."""
