# mypy: disable-error-code="import-not-found,misc,call-arg,no-any-unimported"
"""The schema of a task for msgspec, which decodes and validates in one go."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = Annotated[str, Meta(pattern="^[^\u0000]*$")]
Title = Annotated[str, Meta(pattern="^[^\u0000]*$", min_length=1)]
_BOUNDS = Meta(gt=-(2 ** 53), lt=2 ** 53)
Seconds = Annotated[int, _BOUNDS] | Annotated[float, _BOUNDS]


class Task(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A task; what was not sent is UNSET, and not encoded."""

    title: Title
    description: Text | UnsetType = UNSET
    priority: Literal["urgent", "high", "normal", "low", "none"] | UnsetType = UNSET
    completed: bool | UnsetType = UNSET
    due_date: Seconds | UnsetType = UNSET


_decode = msgspec.json.Decoder(Task).decode
_encode = msgspec.json.Encoder().encode

Invalid = msgspec.DecodeError
"""What `validated` raises; a ValidationError is one."""


def validated(body: bytes) -> bytes:
    """Return the task that a body holds, as JSON; raises Invalid."""
    encoded: bytes = _encode(_decode(body))
    return encoded
