"""The base of handlers whose answers have entity tags."""

from http import HTTPStatus

from taskservice.errors import ConditionFailedError
from taskservice.http.conditions import (
    READ_FIELDS, WRITE_FIELDS, read_outcome, write_precondition)
from taskservice.http.dates import http_date
from taskservice.precondition import Precondition
from taskservice.tornado.handlers.base import BaseRequestHandler

_NO_FIELDS = (None,) * len(READ_FIELDS)


class ConditionalHandler(BaseRequestHandler):
    """Reads and evaluates the conditions of its requests (RFC 9110 §13)."""

    def precondition(self) -> Precondition:
        """Return the condition of a write; raises BadInputError for a malformed one."""
        return write_precondition(*map(self.fields.get, WRITE_FIELDS))

    def has_tags(self) -> bool:
        """Return whether the request has a condition on the tag of the representation."""
        return "if-none-match" in self.fields or "if-match" in self.fields

    def unchanged(self, etag: str, modified: int | None = None) -> bool:
        """Tag and date the answer; make it a 304 if the client has it already.

        `modified` is in seconds since the epoch. Raises ConditionFailedError.
        """
        self.set_header("ETag", etag)
        if modified is not None:
            self.set_header("Last-Modified", http_date(modified))
        fields = tuple(map(self.fields.get, READ_FIELDS))
        if fields == _NO_FIELDS:
            return False
        outcome = read_outcome(etag, modified, self.now, *fields)
        if outcome == HTTPStatus.NOT_MODIFIED:
            self.set_status(outcome)
            return True
        if outcome == HTTPStatus.PRECONDITION_FAILED:
            raise ConditionFailedError(etag)
        return False
