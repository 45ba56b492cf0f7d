"""What a connection and an answer can become."""

import unittest
from collections.abc import Iterable
from typing import Any

from taskservice.http1.state import Answer, State


def reachable(start: Any) -> set[Any]:
    """Return all that a state can become, in any number of steps."""
    found: set[Any] = set()
    waiting = [start]
    while waiting:
        state = waiting.pop()
        if state not in found:
            found.add(state)
            waiting += state.following
    return found


class TablesTest(unittest.TestCase):

    def assert_refused(self, state: Any, others: Iterable[Any]) -> None:
        for other in others:
            with self.assertRaisesRegex(RuntimeError, f"{state} cannot become {other}"):
                state.to(other)

    def test_each_state_is_reached_and_each_ends(self) -> None:
        for kind, first, last in (
                (State, State.IDLE, {State.CLOSED}), (Answer, Answer.DUE, {Answer.BROKEN, Answer.MISSED})):
            self.assertEqual(reachable(first), set(kind))
            for state in kind:
                self.assertTrue(last & reachable(state), state)

    def test_a_state_becomes_what_the_table_has_and_nothing_else(self) -> None:
        kinds: Any = (State, Answer)
        for kind in kinds:
            for state in kind:
                for other in state.following:
                    self.assertIs(state.to(other), other)
                self.assert_refused(state, set(kind) - set(state.following))

    def test_no_request_is_begun_before_the_answer_to_the_one_before_it(self) -> None:
        for state in (State.BODY, State.HELD):
            self.assert_refused(state, [State.IDLE, State.HEAD])
        self.assert_refused(State.ANSWER, [State.HEAD, State.BODY])

    def test_a_connection_that_closes_takes_no_request_any_more(self) -> None:
        self.assertEqual(
            {state for state in State if not state.takes_input}, reachable(State.CLOSING))

    def test_an_answer_that_nobody_can_read_began_or_did_not(self) -> None:
        for answer, expected in (
                (Answer.DUE, Answer.MISSED), (Answer.BEGUN, Answer.BROKEN), (Answer.WHOLE, Answer.BROKEN),
                (Answer.BROKEN, Answer.BROKEN), (Answer.MISSED, Answer.MISSED)):
            self.assertIs(answer.broken_off(), expected)
            self.assertEqual(expected.started, answer.started)


if __name__ == "__main__":
    unittest.main()
