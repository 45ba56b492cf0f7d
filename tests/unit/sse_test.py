"""Changes as JSON and as server-sent events."""

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from taskservice.datamodel import Change, StoredTask, TaskEntry
from taskservice.errors import BadInputError
from taskservice.http import sse
from tests.helpers.strategies import property_settings


def interpret(stream: bytes) -> tuple[list[tuple[str, str]], str, str | None]:
    """Read a stream as a browser does (WHATWG HTML §9.2.6).

    Return the events (last event id, data), the last event id, and the reconnection time.
    """
    events, last_id, retry, data = [], "", None, ""
    for line in stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append((last_id, data[:-1]))
            data = ""
        elif name == "data":
            data += value + "\n"
        elif name == "id":
            last_id = value
        elif name == "retry":
            retry = value
    return events, last_id, retry


class ServerSentEventsTest(unittest.TestCase):
    """What a browser makes of the stream."""

    @property_settings()
    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_a_change_is_one_event_whatever_is_in_its_task(self, title: str) -> None:
        entry = TaskEntry(title)
        change = Change("a-1", 7, StoredTask.of("a-1", 7, entry))
        [(last_id, data)], *_ = interpret(sse.event(change))
        self.assertEqual(last_id, "7")
        self.assertEqual(
            json.loads(data), {"revision": 7, "id": "a-1", "task": entry.to_dict()})

    def test_events_are_encoded_once_for_all_who_get_them(self) -> None:
        def batch() -> tuple[Change, ...]:
            return tuple(Change("a", number, StoredTask.of("a", number, TaskEntry("t")))
                         for number in range(3))

        self.assertEqual(sse.events(batch()), b"".join(map(sse.event, batch())))
        self.assertIs(sse.events(batch()), sse.events(batch()))
        self.assertEqual(sse.events(()), b"")

    def test_a_deletion_has_no_task(self) -> None:
        self.assertEqual(
            sse.event(Change("a", 8, None)),
            b'id: 8\ndata: {"revision": 8, "id": "a", "task": null}\n\n')

    def test_the_opening_leaves_the_position_and_raises_no_event(self) -> None:
        self.assertEqual(interpret(sse.opening(12, 1500)), ([], "12", "1500"))

    def test_a_comment_changes_nothing(self) -> None:
        event = sse.event(Change("a", 8, None))
        stream = sse.opening(5, 1000) + sse.COMMENT + event + sse.COMMENT
        self.assertEqual(interpret(stream), interpret(sse.opening(5, 1000) + event))
        self.assertEqual(interpret(sse.COMMENT), ([], "", None))

    def test_the_last_event_id_is_a_revision_or_not_there(self) -> None:
        for value, expected in [
            (None, None), ("", None), ("0", 0), ("17", 17), (str(2 ** 63 - 1), 2 ** 63 - 1),
        ]:
            self.assertEqual(sse.last_event_id(value), expected)
        for value in ["-1", "+1", "1.0", "x", " ", "01", "١", str(2 ** 63), "9" * 5000]:
            with self.subTest(value=value):
                with self.assertRaisesRegex(BadInputError, "^Last-Event-ID: expected"):
                    sse.last_event_id(value)
