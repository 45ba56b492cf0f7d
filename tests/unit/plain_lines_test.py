"""log() writes a line without a record where nobody could see one: the same line, and logging's promises hold."""

import io
import logging
import threading
import time
import unittest
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from taskservice.utils import logutils
from taskservice.utils.log_formats import JsonFormatter, OneLineFormatter
from tests.helpers.logs import KEYS, SCALARS, ConfigureTestCase
from tests.helpers.strategies import property_settings

FORMATS = (
    "%(message)s", "%(asctime)s %(name)s %(levelname)s : %(message)s", "a\n%(levelname)-8s 100%% %(message).40s",
    'time="%(asctime)s" level="%(levelname)s" %(message)s')
LEVELS = (logging.DEBUG, 15, logging.INFO, logging.WARNING, logging.ERROR)


class PlainTestCase(ConfigureTestCase):

    def setUp(self) -> None:
        super().setUp()
        # As configure() has it: else logging makes the record, which has a clock of its own in Python 3.13.
        self.enterContext(mock.patch.object(logging, "logThreads", False))
        self.enterContext(mock.patch.object(logging, "logAsyncioTasks", False, create=True))
        self.addCleanup(logutils.forget_common_fields)
        logutils.forget_common_fields()
        self.renew()

    def renew(self) -> None:
        """Make the logger and its only handler anew."""
        self.stream = io.StringIO()
        self.handler: logging.StreamHandler[io.StringIO] = logging.StreamHandler(self.stream)
        self.handler.setFormatter(OneLineFormatter(FORMATS[1]))
        self.logger = self.logger_of(self.handler)

    def logger_of(self, *handlers: logging.Handler) -> logging.Logger:
        """Return a logger that nobody else has, with these handlers."""
        logger = logging.Logger("plain")
        for handler in handlers:
            logger.addHandler(handler)
        return logger

    def records_of(self, logger: logging.Logger, level: int = logging.INFO) -> int:
        """Log a line; return how many records were made of it."""
        with mock.patch.object(logutils, "make_record", wraps=logutils.make_record) as make_record:
            logutils.log(logger, level, message="m")
        return make_record.call_count


class SameLineTest(PlainTestCase):

    @property_settings(100)
    @given(st.sampled_from(FORMATS), st.sampled_from([None, "rfc3339"]), st.sampled_from(LEVELS),
           st.dictionaries(KEYS, SCALARS, max_size=4), st.floats(0, 4e9))
    def test_the_line_is_that_of_a_record(
        self, form: str, datefmt: str | None, level: int, values: dict[str, object], now: float
    ) -> None:
        written = []
        for filtered in (False, True):
            stream = io.StringIO()
            handler = logging.StreamHandler(stream)
            handler.setFormatter(OneLineFormatter(form, datefmt))
            if filtered:
                handler.addFilter(lambda record: True)  # it sees the record
            with mock.patch.object(time, "time", return_value=now), \
                    mock.patch.object(logutils, "make_record", wraps=logutils.make_record) as make_record:
                logutils.log(self.logger_of(handler), level, context=values, message="m")
            self.assertEqual(make_record.called, filtered)
            written.append(stream.getvalue())
        self.assertEqual(written[0], written[1])


class SharedFormatterTest(unittest.TestCase):

    def test_threads_that_share_it_get_their_own_lines(self) -> None:
        """One is in the middle of its line when another begins."""
        class Name(str):
            """A level's name that lets the other log meanwhile."""

            __slots__ = ()

            def __str__(self) -> str:
                other.append(formatter._plain_line("b", logging.INFO, "2", 1.0))
                return "SLOW"

        formatter, level, other = OneLineFormatter("%(name)s %(levelname)s %(message)s"), 15, list[str]()
        self.addCleanup(logging._levelToName.pop, level)
        self.addCleanup(logging._nameToLevel.pop, "")
        logging.addLevelName(level, Name())
        self.assertEqual(formatter._plain_line("a", level, "1", 1.0), "a SLOW 1")
        self.assertEqual([*other, formatter._plain_line("b", logging.INFO, "3", 1.0)], ["b INFO 2", "b INFO 3"])


class StreamTest(PlainTestCase):

    def test_a_stream_that_cannot_be_flushed_gets_its_lines(self) -> None:
        """As in logging."""
        written: list[str] = []
        stream: Any = SimpleNamespace(write=written.append)
        handler: logging.StreamHandler[Any] = logging.StreamHandler(stream)
        handler.setFormatter(OneLineFormatter("%(message)s"))
        with mock.patch.object(handler, "handleError") as handle_error:
            self.assertEqual(self.records_of(self.logger_of(handler)), 0)
        self.assertEqual((written, handle_error.called), (['message="m"\n'], False))


class RecordTest(PlainTestCase):

    def test_a_message_that_the_format_only_quotes_is_none(self) -> None:
        self.handler.setFormatter(OneLineFormatter("%%(message)s"))
        logutils.log(self.logger, logging.INFO, message="m")
        self.assertEqual(self.stream.getvalue(), "%(message)s\n")

    def test_who_could_see_a_record_gets_one(self) -> None:
        class Handler(logging.StreamHandler):  # type: ignore[type-arg]
            """Somebody's handler."""

        class Formatter(OneLineFormatter):
            """Somebody's formatter."""

            def format(self, record: logging.LogRecord) -> str:
                return record.getMessage()

        def with_formatter(formatter: logging.Formatter) -> logging.Logger:
            self.handler.setFormatter(formatter)
            return self.logger

        def with_filter(filtered: logging.Filterer) -> logging.Logger:
            filtered.addFilter(lambda record: True)
            return self.logger

        cases: dict[str, Callable[[], logging.Logger]] = {
            "a filter of the handler": lambda: with_filter(self.handler),
            "a filter of the logger": lambda: with_filter(self.logger),
            "two handlers": lambda: self.logger_of(logging.NullHandler(), self.handler),
            "a handler of another class": lambda: self.logger_of(Handler(self.stream)),
            "a format of more": lambda: with_formatter(OneLineFormatter("%(filename)s %(message)s")),
            "another style": lambda: with_formatter(OneLineFormatter("{message}", style="{")),
            "defaults": lambda: with_formatter(OneLineFormatter("%(message)s", defaults={"message": "x"})),
            "a time of strftime": lambda: with_formatter(OneLineFormatter("%(asctime)s", "%H")),
            "a formatter of another class": lambda: with_formatter(Formatter("%(message)s")),
            "JSON": lambda: with_formatter(JsonFormatter()),
            "a formatter of logging": lambda: with_formatter(logging.Formatter("%(message)s"))}
        self.assertEqual(self.records_of(self.logger), 0)
        for name, logger in cases.items():
            with self.subTest(name):
                self.renew()
                self.assertEqual(self.records_of(self.logger), 0)
                self.assertEqual(self.records_of(logger()), 1)

    def test_a_record_factory_of_somebody_else_is_asked(self) -> None:
        class Own(logging.LogRecord):
            """Somebody's record."""

        self.addCleanup(logging.setLogRecordFactory, logging.getLogRecordFactory())
        logging.setLogRecordFactory(Own)
        self.assertEqual(self.records_of(self.logger), 1)


class PromisesTest(PlainTestCase):

    def test_a_level_of_the_handler_holds(self) -> None:
        self.handler.setLevel(logging.ERROR)
        self.assertEqual((self.records_of(self.logger), self.stream.getvalue()), (0, ""))
        self.records_of(self.logger, logging.ERROR)
        self.assertIn("ERROR", self.stream.getvalue())

    def test_a_line_goes_up_as_far_as_it_propagates(self) -> None:
        child = logging.Logger("plain.child")
        child.parent = self.logger
        self.assertEqual(self.records_of(child), 0)
        self.assertIn("plain.child INFO", self.stream.getvalue())
        child.propagate = False
        child.addHandler(logging.NullHandler())
        self.records_of(child)
        self.assertEqual(self.stream.getvalue().count("\n"), 1)

    def test_what_goes_wrong_is_for_the_handler_to_deal_with(self) -> None:
        full = OSError(28, "No space left on device")
        with mock.patch.object(self.stream, "write", side_effect=full, create=True), \
                mock.patch.object(self.handler, "handleError") as handle_error:
            logutils.log(self.logger, logging.INFO, message="m")
        [record] = handle_error.call_args.args
        self.assertEqual(record.getMessage(), 'message="m"')
        logutils.log(self.logger, logging.INFO, message="later")
        self.assertIn('message="later"', self.stream.getvalue())

    def test_one_thread_writes_at_a_time(self) -> None:
        free: list[bool] = []

        class Stream(io.StringIO):

            def write(self, text: str) -> int:
                other = threading.Thread(target=lambda: free.append(acquire(blocking=False)))
                other.start()
                other.join()
                return super().write(text)

        assert self.handler.lock is not None
        acquire = self.handler.lock.acquire
        self.handler.setStream(Stream())
        self.assertEqual(self.records_of(self.logger), 0)
        self.assertEqual(free, [False])


if __name__ == "__main__":
    unittest.main()
