"""A client's socket, seen from both its sides: what the event loop shows it, and what it does then."""

import asyncio
import math
import unittest
from asyncio import Future
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

from tornado.iostream import StreamClosedError

from taskservice.http1.server import Limits
from taskservice.http1.wire import MAX_HELD, Wire
from tests.helpers.transport import FLUSH, RESET, Transport


class Recorder(Wire):
    """Counts how often its deadline came."""

    count = 0

    def expired(self) -> None:
        """Count."""
        self.count += 1


class WireTest(unittest.TestCase):
    """On a clock of the test."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        done: Future[None] = self.loop.create_future()
        done.set_result(None)
        limits = Limits(reader_timeout=30, linger=5, linger_timeout=100, linger_bytes=1000)
        self.server: Any = SimpleNamespace(
            loop=self.loop, time=lambda: self.now, limits=limits, done=done, draining=False)
        self.wire, self.transport = self.connect()

    def connect(self, tls: bool = False) -> tuple[Recorder, Transport]:
        """Return a new wire and what it is on."""
        wire, transport = Recorder(self.server), Transport(tls)
        wire.connection_made(transport)  # type: ignore[arg-type]  # all of it that is used
        return wire, transport

    def later(self, seconds: float) -> None:
        """Let time pass, and have the server look."""
        self.now += seconds
        self.wire.look(self.now)

    def result(self, future: "Future[None]") -> None:
        """Return what a future has; fails where that is nothing yet."""
        async def get() -> None:
            await asyncio.wait_for(future, 0.1)

        work: Coroutine[Any, Any, None] = get()
        self.loop.run_until_complete(work)

    # Sending.

    def turn(self) -> None:
        """Let the loop do what is due."""
        self.loop.run_until_complete(asyncio.sleep(0))

    def test_what_is_sent_in_a_turn_of_the_loop_goes_out_together_at_its_end(self) -> None:
        self.wire.send(b"a")
        self.wire.send(b"bc")
        self.assertEqual(self.transport.written, [])
        self.turn()
        self.assertEqual(self.transport.written, [b"abc"])
        self.wire.send(b"d")
        self.turn()
        self.assertEqual(self.transport.written, [b"abc", b"d"])

    def test_much_goes_out_at_once(self) -> None:
        self.wire.send(b"a")
        self.wire.send(b"b" * MAX_HELD)
        self.assertEqual(self.transport.written, [b"a", b"b" * MAX_HELD])
        self.turn()
        self.assertEqual(len(self.transport.written), 2)

    def test_over_tls_all_does(self) -> None:
        wire, transport = self.connect(tls=True)
        wire.send(b"a")
        self.assertEqual(transport.written, [b"a"])

    def test_what_was_sent_goes_out_before_the_end_whatever_ends_it(self) -> None:
        ends: Sequence[Callable[[Wire], object]] = (
            Wire.close, lambda wire: wire.close(linger=True), Wire.cut, Wire.flushed,
            lambda wire: wire.break_off("", answering=False))
        for end in ends:
            wire, transport = self.connect()
            wire.send(b"a")
            end(wire)
            self.assertEqual(transport.written, [b"a"])

    def test_nothing_is_written_to_a_connection_that_was_lost(self) -> None:
        self.wire.send(b"a")
        self.wire.connection_lost(None)
        self.turn()
        self.assertEqual(self.transport.written, [])

    def test_what_is_held_back_counts_as_not_taken(self) -> None:
        self.wire.send(b"a")
        self.later(0)
        self.transport.buffered = 0
        self.later(29)
        self.assertEqual(self.transport.done, [])
        self.later(1)
        self.assertIn("abort", self.transport.done)

    # Flow control.

    def test_a_write_is_done_at_once_unless_the_client_is_slow(self) -> None:
        self.assertTrue(self.wire.send(b"a").done())
        self.wire.pause_writing()
        waiting = [self.wire.send(b"b"), self.wire.send(b"c")]
        self.assertFalse(any(future.done() for future in waiting))
        self.wire.resume_writing()
        self.assertTrue(all(future.done() for future in waiting))
        self.assertTrue(self.wire.send(b"d").done())

    def test_one_that_nobody_waits_for_any_more_holds_nobody_up(self) -> None:
        self.wire.pause_writing()
        given_up, waiting = self.wire.send(b"a"), self.wire.send(b"b")
        given_up.cancel()
        self.wire.resume_writing()
        self.assertTrue(waiting.done())
        self.wire.pause_writing()
        given_up = self.wire.send(b"a")
        given_up.cancel()
        self.wire.connection_lost(None)

    def test_those_that_wait_fail_when_the_client_leaves(self) -> None:
        self.wire.pause_writing()
        waiting = self.wire.send(b"a")
        self.wire.connection_lost(None)
        for future in (waiting, self.wire.failed_write()):
            with self.assertRaises(StreamClosedError):
                self.result(future)

    def test_all_is_flushed_when_nothing_waits(self) -> None:
        self.assertTrue(self.wire.flushed().done())
        self.assertEqual(self.transport.high, 0)
        self.wire.pause_writing()
        flushed = self.wire.flushed()
        self.assertFalse(flushed.done())
        self.wire.resume_writing()
        self.assertTrue(flushed.done())

    def test_tls_is_not_asked(self) -> None:
        wire, transport = self.connect(tls=True)
        self.assertTrue(wire.flushed().done())
        self.assertIsNone(transport.high)

    # Readers.

    def test_a_reader_that_takes_nothing_is_cut(self) -> None:
        self.wire.send(b"x" * 100)
        self.later(0)
        self.later(29)
        self.assertEqual(self.transport.done, [])
        self.later(1)
        self.assertEqual((self.transport.done, self.transport.options), (["abort"], [RESET]))
        self.assertEqual(self.wire.cut_reason, "cut: the client took nothing in reader-timeout")

    def test_so_is_one_of_the_last_answer(self) -> None:
        self.wire.send(b"x" * 100)
        self.wire.close()
        self.later(0)
        self.later(30)
        self.assertEqual((self.transport.done, self.transport.options), (["close", "abort"], [RESET]))

    def test_and_one_that_does_not_say_goodbye(self) -> None:
        """TLS waits for it, with nothing left to send."""
        self.wire.close()
        self.later(29)
        self.assertEqual(self.transport.done, ["close"])
        self.later(1)
        self.assertEqual(self.transport.done, ["close", "abort"])

    def test_one_that_takes_something_is_not(self) -> None:
        self.wire.send(b"x" * 100)
        for _ in range(5):
            self.later(20)
            self.transport.buffered -= 1
        self.assertEqual(self.transport.done, [])

    def test_nor_one_that_takes_as_much_as_is_written(self) -> None:
        self.wire.send(b"x" * 100)
        for _ in range(5):
            self.later(20)
            self.transport.buffered -= 10
            self.wire.send(b"x" * 10)
        self.assertEqual(self.transport.done, [])

    def test_nor_one_that_has_all(self) -> None:
        for seconds in (0, 100, 100):
            self.later(seconds)
        self.wire.send(b"x")
        self.later(1)
        self.assertEqual(self.transport.done, [])

    # The deadline.

    def test_it_comes_once(self) -> None:
        self.wire.allow(10)
        for seconds, count in ((9, 0), (1, 1), (100, 1)):
            self.later(seconds)
            self.assertEqual(self.wire.count, count)

    def test_one_that_is_cut_has_none(self) -> None:
        self.wire.send(b"x")
        self.wire.allow(10)
        self.later(0)
        self.later(30)
        self.assertEqual((self.wire.count, self.transport.done), (0, ["abort"]))

    # Closing.

    def test_it_closes(self) -> None:
        self.wire.allow(10)
        self.wire.close()
        self.assertEqual(self.transport.done, ["close"])
        self.later(10)
        self.assertEqual(self.wire.count, 0, "it takes no more input")

    def test_it_lingers_until_nothing_comes(self) -> None:
        self.wire.close(linger=True)
        self.assertEqual(self.transport.done, ["resume_reading", "write_eof"])
        for _ in range(3):
            self.later(4)
            self.wire.discard(b"x")
        self.later(4)
        self.assertEqual(self.transport.done[2:], [])
        self.later(1)
        self.assertEqual((self.transport.done[2:], self.wire.count), (["close"], 0))

    def test_also_where_nothing_ever_comes(self) -> None:
        self.wire.close(linger=True)
        self.later(4)
        self.assertEqual(self.transport.done[2:], [])
        self.later(1)
        self.assertEqual((self.transport.done[2:], self.wire.count), (["close"], 0))

    def test_or_it_has_been_too_long(self) -> None:
        self.wire.close(linger=True)
        for _ in range(24):
            self.later(4)
            self.wire.discard(b"x")
        self.assertEqual(self.transport.done[2:], [])
        self.later(4)
        self.assertEqual(self.transport.done[2:], ["close"])

    def test_or_too_much_has_come(self) -> None:
        self.wire.close(linger=True)
        self.wire.discard(b"x" * 600)
        self.wire.discard(b"x" * 400)
        self.assertEqual(self.transport.done[2:], [])
        self.wire.discard(b"x")
        self.assertEqual(self.transport.done[2:], ["close"])

    def test_in_a_drain_it_is_not_long(self) -> None:
        self.server.draining = True
        self.wire.close(linger=True)
        self.later(4)
        self.wire.discard(b"x")
        self.later(1)
        self.assertEqual(self.transport.done[2:], ["close"])

    def test_nor_in_one_that_begins_meanwhile(self) -> None:
        for before, in_drain in ((4, 5), (98, 2)):
            self.wire, self.transport = self.connect()
            self.wire.close(linger=True)
            for _ in range(before // 2):
                self.later(2)
                self.wire.discard(b"x")
            self.wire._linger_at_most(5)
            self.later(in_drain - 1)
            self.wire.discard(b"x")
            self.assertEqual(self.transport.done[2:], [])
            self.later(1)
            self.assertEqual(self.transport.done[2:], ["close"])

    def test_it_does_not_linger_when_it_is_closing(self) -> None:
        self.wire.close()
        self.wire.close(linger=True)
        self.assertNotIn("write_eof", self.transport.done)

    def test_tls_cannot_show_its_end_before(self) -> None:
        wire, transport = self.connect(tls=True)
        wire.close(linger=True)
        self.assertEqual(transport.done, ["resume_reading"])

    # Cutting.

    def test_what_ends_it_may_be_a_reset_for_a_while(self) -> None:
        self.wire.reset_on_close(True)
        self.wire.reset_on_close(False)
        self.assertEqual(self.transport.options, [RESET, FLUSH])

    def test_a_socket_that_is_gone_is_let_alone(self) -> None:
        """Its number may be that of another connection."""
        self.wire.connection_lost(None)
        self.wire.reset_on_close(True)
        self.assertEqual(self.transport.options, [])

    def test_what_is_broken_off_is_reset_only_where_an_answer_would_look_whole(self) -> None:
        cases: list[tuple[int, bool, list[bytes]]] = [
            (0, False, []), (0, True, [RESET]), (9, False, [RESET]), (9, True, [RESET])]
        for buffered, answering, options in cases:
            self.wire, self.transport = self.connect()
            self.transport.buffered = buffered
            self.wire.break_off("cut: planted", answering)
            self.assertEqual((self.transport.done, self.transport.options), (["abort"], options))
            self.assertEqual(self.wire.cut_reason, "cut: planted")

    def test_cut_is_a_reset_for_the_reason_given(self) -> None:
        self.wire.cut("cut: planted")
        self.assertEqual((self.transport.done, self.transport.options), (["abort"], [RESET]))
        self.assertEqual((self.wire.cut_reason, self.wire.deadline), ("cut: planted", math.inf))


if __name__ == "__main__":
    unittest.main()
