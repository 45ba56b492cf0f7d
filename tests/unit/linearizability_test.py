"""The checker of histories rejects bad ones that are planted, and accepts good ones."""

import unittest
from collections.abc import Sequence
from itertools import permutations
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.linearizability import (
    Absent, Done, Kind, Operation, Outcome, Stale, State, TooManyConfigurations, Unknown, after,
    describe, first_contradiction)
from tests.helpers.strategies import property_settings

UNKNOWN = Unknown()


def create(call: float, back: float, value: str, outcome: Outcome) -> Operation:
    return Operation(Kind.CREATE, call, back, outcome, value)


def write(
    call: float, back: float, value: str, outcome: Outcome, expected: int | None = None
) -> Operation:
    return Operation(Kind.WRITE, call, back, outcome, value, expected)


def read(call: float, back: float, value: str | None = None, revision: int = 0) -> Operation:
    found = Absent() if value is None else Done(revision, value)
    return Operation(Kind.READ, call, back, found)


def delete(
    call: float, back: float, outcome: Outcome = Done(), expected: int | None = None
) -> Operation:
    return Operation(Kind.DELETE, call, back, outcome, None, expected)


MADE = create(0, 1, "a", Done(1))


class CheckerTestCase(unittest.TestCase):

    def accept(self, *history: Operation) -> None:
        """Have the history accepted."""
        self.assertIsNone(first_contradiction(history))

    def reject(self, *history: Operation) -> None:
        """Have the history rejected, at the return of its last operation."""
        self.assertIs(first_contradiction(history), history[-1])


class BadHistoryTest(CheckerTestCase):

    def test_a_stale_read(self) -> None:
        self.reject(MADE, write(2, 3, "b", Done(2)), read(4, 5, "a", 1))

    def test_a_read_that_goes_back_to_before_an_earlier_read(self) -> None:
        self.reject(MADE, write(2, 9, "b", Done(2)), read(3, 4, "b", 2), read(5, 6, "a", 1))

    def test_a_lost_update(self) -> None:
        self.reject(MADE, write(2, 5, "b", Done(2), 1), write(3, 6, "c", Done(3), 1))

    def test_a_lost_write_between_two_reads(self) -> None:
        self.reject(
            MADE, write(2, 3, "b", Done(2)), write(4, 5, "c", Done(3)), read(6, 7, "b", 2))

    def test_two_winners_of_one_precondition_one_of_which_deletes(self) -> None:
        self.reject(MADE, write(2, 5, "b", Done(2), 1), delete(3, 6, expected=1))

    def test_two_creators_of_one_task(self) -> None:
        self.reject(create(0, 3, "a", Done(1)), create(1, 4, "b", Done(2)))

    def test_a_deletion_that_is_undone(self) -> None:
        self.reject(MADE, delete(2, 3), read(4, 5, "a", 1))

    def test_a_write_to_what_was_deleted(self) -> None:
        self.reject(MADE, delete(2, 3), write(4, 5, "b", Done(2)))

    def test_a_value_from_nowhere(self) -> None:
        self.reject(MADE, read(2, 3, "x", 1))

    def test_a_value_of_the_future(self) -> None:
        early = read(2, 3, "b", 2)
        self.assertIs(first_contradiction([MADE, early, write(4, 5, "b", Done(2))]), early)

    def test_a_torn_read_of_one_value_with_the_revision_of_another(self) -> None:
        self.reject(MADE, write(2, 5, "b", Done(2)), read(3, 4, "a", 2))

    def test_revisions_that_do_not_grow(self) -> None:
        self.reject(create(0, 1, "a", Done(5)), write(2, 3, "b", Done(4)))

    def test_revisions_that_begin_anew_after_a_deletion(self) -> None:
        self.reject(create(0, 1, "a", Done(5)), delete(2, 3), create(4, 5, "b", Done(5)))

    def test_a_refusal_that_names_the_revision_it_was_to_have(self) -> None:
        self.reject(MADE, write(2, 3, "b", Stale(1), 1))

    def test_a_refusal_for_a_revision_that_never_was(self) -> None:
        self.reject(MADE, write(2, 3, "b", Stale(7), 3))

    def test_not_found_while_it_is_there(self) -> None:
        self.reject(MADE, read(2, 3))

    def test_an_unknown_write_that_comes_and_goes(self) -> None:
        self.reject(
            MADE, write(2, inf, "b", UNKNOWN), read(3, 4, "b", 2), read(5, 6, "a", 1))

    def test_an_unknown_write_that_takes_effect_after_the_process_died(self) -> None:
        self.reject(
            MADE, write(2, 4, "b", UNKNOWN), read(5, 6, "a", 1), read(7, 8, "b", 2))

    def test_an_unknown_write_whose_precondition_never_held(self) -> None:
        self.reject(MADE, write(2, inf, "b", UNKNOWN, 7), read(3, 4, "b", 8))

    def test_an_unknown_write_that_has_two_revisions(self) -> None:
        self.reject(MADE, write(2, inf, "b", UNKNOWN), read(3, 4, "b", 2), read(5, 6, "b", 3))

    def test_a_failed_write_that_undoes_a_later_one(self) -> None:
        self.reject(
            MADE, write(2, 3, "b", UNKNOWN), write(4, 5, "c", Done(3)), read(6, 7, "b", 2))

    def test_what_cannot_be_explained_is_shown(self) -> None:
        bad = read(2, 3, "x", 1)
        self.assertRegex(describe([MADE, bad], bad), r"create value=a.*\n.*read.*<-- no order")


class GoodHistoryTest(CheckerTestCase):

    def test_one_after_the_other(self) -> None:
        self.accept(
            read(0, 1), MADE, read(2, 3, "a", 1), write(4, 5, "b", Stale(1), 7),
            write(6, 7, "b", Done(2), 1), delete(8, 9, Stale(2), 1), delete(10, 11, expected=2),
            write(12, 13, "c", Absent()), delete(14, 15, Absent()), create(16, 17, "d", Done(9)),
            create(18, 19, "e", Stale(9)))

    def test_overlapping_writes_that_return_in_the_other_order(self) -> None:
        self.accept(
            MADE, write(2, 9, "b", Done(2)), write(3, 8, "c", Done(3)), read(10, 11, "c", 3))
        self.accept(
            MADE, write(2, 8, "b", Done(3)), write(3, 9, "c", Done(2)), read(10, 11, "b", 3))

    def test_a_read_that_sees_a_write_before_the_writer_knows(self) -> None:
        self.accept(MADE, write(2, 9, "b", Done(2)), read(3, 4, "b", 2), read(5, 6, "b", 2))

    def test_a_slow_read_that_sees_what_was_long_ago(self) -> None:
        self.accept(
            MADE, read(2, 9, "a", 1), write(3, 4, "b", Done(2)), write(5, 6, "c", Done(3)))

    def test_overlapping_reads_of_old_and_new(self) -> None:
        self.accept(
            MADE, write(2, 9, "b", Done(2)), read(3, 7, "b", 2), read(4, 6, "a", 1))

    def test_an_unknown_write_that_never_took_effect(self) -> None:
        self.accept(MADE, write(2, inf, "b", UNKNOWN), read(3, 4, "a", 1), read(5, 6, "a", 1))

    def test_an_unknown_write_that_takes_effect_late(self) -> None:
        self.accept(MADE, write(2, inf, "b", UNKNOWN), read(3, 4, "a", 1), read(5, 6, "b", 2))

    def test_an_unknown_write_under_another_one(self) -> None:
        self.accept(MADE, write(2, inf, "b", UNKNOWN), write(3, 4, "c", Stale(2), 1),
                    write(5, 6, "c", Done(3), 2), read(7, 8, "c", 3))

    def test_an_unknown_deletion_between_two_creations(self) -> None:
        self.accept(MADE, delete(2, inf, UNKNOWN), create(3, 4, "b", Done(2)), read(5, 6, "b", 2))

    def test_an_unknown_create_that_another_ones_refusal_reveals(self) -> None:
        self.accept(create(0, 3, "a", UNKNOWN), create(1, 2, "b", Stale(7)), read(4, 5, "a", 7))

    def test_unknown_writes_in_an_order_of_their_own(self) -> None:
        self.accept(MADE, write(2, inf, "b", UNKNOWN), write(3, inf, "c", UNKNOWN),
                    read(4, 5, "c", 2), read(6, 7, "b", 3))

    def test_a_chain_of_writes_each_bound_to_one_that_is_not_back_yet(self) -> None:
        self.accept(MADE, write(2, 20, "b", Done(2), 1), write(3, 19, "c", Done(3), 2),
                    write(4, 18, "d", Done(4), 3), read(5, 17, "a", 1), read(6, 7, "d", 4))

    def test_a_create_refused_by_a_task_that_is_then_deleted(self) -> None:
        self.accept(MADE, delete(2, 9), create(3, 8, "b", Stale(1)), read(4, 7))


class SearchTest(unittest.TestCase):

    def test_too_hard_a_search_ends(self) -> None:
        writes = [write(2, 9, f"{n}", Done(n)) for n in range(2, 20)]
        history = [MADE, *writes, *(write(1, 9, f"u{n}", UNKNOWN) for n in range(20))]
        with self.assertRaises(TooManyConfigurations):
            first_contradiction(history, limit=100)

    def test_very_many_unknown_operations_are_no_trouble(self) -> None:
        writes = [write(2, inf, f"{n}", UNKNOWN) for n in range(60)]
        reads = [read(3 + n, 3.5 + n, f"{n}", n + 2) for n in range(10)]
        self.assertIsNone(first_contradiction([MADE, *writes, *reads], limit=10_000))

    def test_a_long_history_is_checked_fast(self) -> None:
        writes = [write(n, n + 5.5, f"{n}", Done(n)) for n in range(2, 2_000)]
        self.assertIsNone(first_contradiction([MADE, *writes], limit=1_000))


OUTCOMES = st.one_of(
    st.just(Absent()), st.builds(Stale, st.integers(1, 3)), st.just(Unknown()),
    st.builds(Done, st.integers(1, 3), st.sampled_from("ab")))


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """Make any operation, good or bad."""
    kind = draw(st.sampled_from(Kind))
    call, back = sorted((draw(st.integers(0, 8)), draw(st.integers(0, 8))))
    outcome = draw(OUTCOMES)
    if kind is Kind.READ and isinstance(outcome, (Stale, Unknown)):
        outcome = Absent()
    if kind is Kind.CREATE and isinstance(outcome, Absent):
        outcome = UNKNOWN
    expected = draw(st.none() | st.integers(1, 3)) if kind in (Kind.WRITE, Kind.DELETE) else None
    value = draw(st.sampled_from("ab"))
    end: float = back + 0.5
    if isinstance(outcome, Unknown) and draw(st.booleans()):
        end = inf
    return Operation(kind, call, end, outcome, value, expected)


def is_linearizable(history: Sequence[Operation]) -> bool:
    """Try every order of every choice of the unknown operations: the definition, spelt out."""
    unknown = [op for op in history if isinstance(op.outcome, Unknown)]
    known = [op for op in history if not isinstance(op.outcome, Unknown)]
    return any(
        explains(order)
        for mask in range(2 ** len(unknown))
        for order in permutations(
            [*known, *(op for bit, op in enumerate(unknown) if mask >> bit & 1)]))


def explains(order: Sequence[Operation]) -> bool:
    """Return whether an order keeps to the operations' times, and gives their outcomes."""
    state: State | None = State()
    latest = 0.0
    for operation in order:
        latest = max(latest, operation.call)
        if operation.back < latest or state is None:
            return False
        state = after(state, operation)
    return state is not None


class DefinitionTest(unittest.TestCase):

    @property_settings(300)
    @given(st.lists(operations(), max_size=5, unique=True))
    def test_it_agrees_with_the_definition(self, history: list[Operation]) -> None:
        self.assertEqual(first_contradiction(history) is None, is_linearizable(history))

    @property_settings(100)
    @given(st.data())
    def test_it_accepts_what_an_atomic_task_does(self, data: st.DataObject) -> None:
        """Each operation takes effect at a moment of its own, between its call and return."""
        state, history = State(), []
        for moment in range(1, data.draw(st.integers(1, 40)) + 1):
            call = moment - data.draw(st.floats(0, 4))
            back = moment + data.draw(st.floats(0, 4))
            kind = data.draw(st.sampled_from(Kind))
            expected = data.draw(st.none() | st.just(state.revision) | st.integers(1, 9))
            state, outcome = act(state, kind, f"v{moment}", expected)
            if kind is not Kind.READ and data.draw(st.integers(0, 9)) == 0:
                outcome, back = UNKNOWN, data.draw(st.sampled_from([back, inf]))
            if kind in (Kind.READ, Kind.CREATE):
                expected = None
            history.append(Operation(kind, call, back, outcome, f"v{moment}", expected))
        self.assertIsNone(first_contradiction(history))


def act(
    state: State, kind: Kind, value: str, expected: int | None
) -> tuple[State, Outcome]:
    """Do what a task does, the plain way."""
    written = State(value, state.last + 1, state.last + 1)
    exists = state.value is not None
    if kind is Kind.CREATE:
        assert not exists or state.revision is not None
        return (state, Stale(state.revision or 0)) if exists else (written, Done(written.revision))
    if not exists:
        return state, Absent()
    if kind is Kind.READ:
        return state, Done(state.revision, state.value)
    if expected is not None and expected != state.revision:
        return state, Stale(state.revision or 0)
    if kind is Kind.DELETE:
        return State(last=state.last), Done()
    return written, Done(written.revision)


if __name__ == "__main__":
    unittest.main()
