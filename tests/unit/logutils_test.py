"""logfmt, the records log() makes, and the lines a configuration gives."""

import asyncio
import http
import io
import logging
import os
import logging.handlers
import math
import sys
import threading
import unittest
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from taskservice.utils import log_config, logutils, taskcontext
from taskservice.utils.logfmt import _KEYS, logfmt
from tests.helpers.logs import KEYS, LINE_ENDS, SCALARS, ConfigureTestCase, parse
from tests.helpers.strategies import property_settings

# The tutorial's section, word for word but for the file's folder.
TUTORIAL = """
version: 1
formatters:
  brief:
    format: '%(asctime)s %(name)s %(levelname)s : %(message)s'
  detailed:
    format: 'time="%(asctime)s" logger="%(name)s" level="%(levelname)s" file="%(filename)s" \
lineno=%(lineno)d function="%(funcName)s" %(message)s'
handlers:
  console:
    class: logging.StreamHandler
    level: INFO
    formatter: brief
    stream: ext://sys.stdout
  file:
    class : logging.handlers.RotatingFileHandler
    level: DEBUG
    formatter: detailed
    filename: FOLDER/taskservice-app.log
    backupCount: 3
loggers:
  taskservice:
    level: DEBUG
    handlers:
      - console
      - file
    propagate: no
  tornado.access:
    level: DEBUG
    handlers:
      - file
  tornado.application:
    level: DEBUG
    handlers:
      - file
  tornado.general:
    level: DEBUG
    handlers:
      - file
root:
  level: WARNING
  handlers:
    - console
"""


class LogfmtTest(unittest.TestCase):

    @property_settings(100)
    @given(st.dictionaries(KEYS, SCALARS))
    @example({"pair": "\ud83d\ude00", "astral": "\U0001f600\U000e0001", "nel": "\x85"})
    def test_any_input_parses_back_to_itself_in_one_utf8_line(
            self, values: dict[str, Any]) -> None:
        line = logfmt(values)
        read = parse(line)
        self.assertEqual(read, values)
        self.assertEqual([type(value) for value in read.values()],
                         [type(value) for value in values.values()])
        self.assertLessEqual(len(line.encode().splitlines()), 1)

    def test_every_code_point_parses_back_to_itself(self) -> None:
        text = "".join(map(chr, range(sys.maxunicode + 1)))
        line = logfmt({"text": text})
        self.assertTrue(parse(line)["text"] == text)
        line.encode()

    def test_keys_that_others_choose_do_not_fill_the_memory(self) -> None:
        for number in range(1_000):
            self.assertEqual(logfmt({f"chosen-{number}": 1}), f"chosen-{number}=1")
        self.assertEqual(len(_KEYS), 256)

    def test_no_line_end_forges_a_line(self) -> None:
        for end in LINE_ENDS:
            for forged in (f'x{end}time="now" level="INFO"', f'x"{end}a="b', f'\\"{end}a="b'):
                with self.subTest(forged=forged):
                    self.assertEqual(parse(logfmt({"uri": forged})), {"uri": forged})

    def test_no_quote_forges_a_pair(self) -> None:
        for forged in ('x" status=200 y="', '\\" status=200 y="', "x\\", '\\\\"', "a=b c=d", ""):
            with self.subTest(forged=forged):
                self.assertEqual(parse(logfmt({"uri": forged})), {"uri": forged})

    def test_printable_text_stays_readable(self) -> None:
        for text in ("é", "日本", "🎉", "a\u00a0b", "क्\u200dष"):
            self.assertEqual(logfmt({"title": text}), f'title="{text}"')

    def test_marks_that_mislead_a_reader_are_escaped(self) -> None:
        self.assertEqual(logfmt({"uri": "\x1b[2J\x7f\u202e\ufeff"}),
                         r'uri="\u001b[2J\u007f\u202e\ufeff"')
        self.assertEqual(logfmt({"uri": "\x7f"}), r'uri="\u007f"')
        for code in (0x80, 0x9f, 0xad, 0x61c, 0x200b, 0x200e, 0x200f, 0x2028, 0x202e, 0x2060, 0x2066, 0x206f, 0xfeff):
            self.assertEqual(logfmt({"uri": chr(code)}), f'uri="\\u{code:04x}"')

    def test_the_characters_beside_them_stay(self) -> None:
        """The narrow no-break space of French and Mongolian, and a superscript zero, which a reader sees."""
        for code in (0xa0, 0xac, 0xae, 0x61b, 0x61d, 0x2010, 0x2027, 0x202f, 0x205f, 0x2070, 0xfefe, 0xff00):
            self.assertEqual(logfmt({"uri": chr(code)}), f'uri="{chr(code)}"')

    def test_the_canonical_line(self) -> None:
        self.assertEqual(
            logfmt({"req_id": "e6cd", "method": "POST", "uri": "/tasks", "ip": "::1",
                    "message": "RESPONSE", "status": 201, "time_ms": 1.28, "debug": True,
                    "quiet": False, "reason": None}),
            'req_id="e6cd" method="POST" uri="/tasks" ip="::1" message="RESPONSE" status=201 '
            'time_ms=1.28 debug=true quiet=false reason=null')

    def test_numbers_that_are_none_are_quoted(self) -> None:
        self.assertEqual(logfmt({"a": math.nan, "b": math.inf, "c": -math.inf}),
                         'a="nan" b="inf" c="-inf"')

    def test_other_objects_are_their_quoted_str(self) -> None:
        self.assertEqual(logfmt({"a": ['x"\n'], "b": Path("/tmp")}),
                         r'''a="['x\"\\n']" b="/tmp"''')

    def test_subclasses_are_written_as_their_base(self) -> None:
        class Text(str):
            pass

        class Real(float):
            pass

        self.assertEqual(
            logfmt({"a": http.HTTPStatus.OK, "b": Text("x"), "c": Real(0.5)}),
            'a=200 b="x" c=0.5')

    def test_a_value_that_cannot_be_written_is_named(self) -> None:
        class Broken:
            def __str__(self) -> str:
                raise ZeroDivisionError

        self.assertEqual(logfmt({"a": Broken()}), 'a="<unprintable Broken>"')
        self.assertTrue(logfmt({"a": 10 ** 5000}).startswith('a="0x'))

    def test_a_bad_key_does_not_break_the_line(self) -> None:
        self.assertEqual(logfmt({'a b="\n': 1, "": 2, "1st": 3, "é": 4, "a.b-c": 5}),
                         "a_b___=1 _=2 _1st=3 __=4 a.b-c=5")

    def test_the_parser_is_strict(self) -> None:
        """The tests above are worth what it refuses."""
        for line in ('a="x', 'a=x', 'a="x"b="y"', 'a="x"  b="y"', "a=1 ", 'a="\\x"', 'a="x"\nb=1',
                     "a=1 a=2", "a=nan", "a"):
            with self.subTest(line=line), self.assertRaises(ValueError):
                parse(line)


class LogTest(unittest.TestCase):

    def setUp(self) -> None:
        self.logger = logging.Logger("log-test", logging.INFO)
        self.records: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = self.records.append  # type: ignore[method-assign, assignment]  # a spy
        self.logger.addHandler(handler)

    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    def test_the_record_names_this_function_as_the_tutorial_shows(self) -> None:
        logutils.log(self.logger, logging.INFO, message="STARTING", port=8080)
        record, = self.records
        self.assertEqual((record.filename, record.funcName, record.levelname, record.name),
                         ("logutils.py", "log", "INFO", "log-test"))
        self.assertEqual(self.messages(), ['message="STARTING" port=8080'])

    def test_the_context_comes_first_when_asked_for(self) -> None:
        async def task() -> None:
            taskcontext.bind({"req_id": "1", "method": "GET"})
            logutils.log(self.logger, logging.INFO, context=taskcontext.current(), status=200)
            logutils.log(self.logger, logging.INFO, context=taskcontext.current(), method="PUT", a=1)
            logutils.log(self.logger, logging.INFO, status=200)

        asyncio.run(task())
        self.assertEqual(self.messages(), ['req_id="1" method="GET" status=200',
                                           'req_id="1" method="PUT" a=1', "status=200"])

    def test_the_context_is_empty_outside_a_task(self) -> None:
        logutils.log(self.logger, logging.INFO, context=taskcontext.current(), status=200)
        self.assertEqual(self.messages(), ["status=200"])

    def test_a_percent_sign_is_a_character(self) -> None:
        logutils.log(self.logger, logging.INFO, uri="/%s%d%(x)s%")
        self.assertEqual(self.messages(), ['uri="/%s%d%(x)s%"'])

    def test_any_key_may_be_logged(self) -> None:
        logutils.log(self.logger, logging.INFO, logger="x", level="y", msg="z")
        self.assertEqual(self.messages(), ['logger="x" level="y" msg="z"'])

    def test_a_disabled_level_does_no_work(self) -> None:
        class Untouchable:
            def __str__(self) -> str:
                raise AssertionError("formatted")

        logutils.log(self.logger, logging.DEBUG, context=taskcontext.current(), value=Untouchable())
        self.assertEqual(self.records, [])

    def test_a_trace_is_one_value(self) -> None:
        try:
            raise ValueError("inner") from KeyError("cause")
        except ValueError as error:
            trace = logutils.format_trace(error)
        logutils.log(self.logger, logging.ERROR, trace=trace)
        self.assertEqual(parse(self.messages()[0]), {"trace": trace})
        self.assertIn("KeyError: 'cause'", trace)
        self.assertTrue(trace.endswith("\nValueError: inner"))


class OneLineTest(unittest.TestCase):

    def error(self, *said: str) -> Exception:
        """Make an error whose cause is the next one."""
        error = ValueError(said[0])
        error.__cause__ = self.error(*said[1:]) if said[1:] else None
        return error

    def test_an_error_is_what_it_says_and_what_caused_it(self) -> None:
        for said, line in ((["a"], "a"), (["a", "b", "c"], "a: b: c"), (["a\n b\t"], "a b"), ([""], "ValueError"),
                           (["it is b: c", "b: c"], "it is b: c"), (["a", "", "b"], "a: ValueError: b"),
                           (["a", "b", "a"], "a: b: a")):
            self.assertEqual(logutils.one_line(self.error(*said)), line)


class TutorialConfigurationTest(ConfigureTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.configure(yaml.safe_load(TUTORIAL.replace("FOLDER", str(self.folder))))

    def file_lines(self) -> list[str]:
        text = (self.folder / "taskservice-app.log").read_text("utf-8")
        return text.splitlines()

    def test_the_console_line_is_brief(self) -> None:
        logutils.log(logging.getLogger("taskservice"), logging.INFO, message="STARTING",
                     service_name="TodoList", port=8080)
        self.assertRegex(
            self.stdout.getvalue(),
            r'\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} taskservice INFO : '
            r'message="STARTING" service_name="TodoList" port=8080\n\Z')

    def test_the_file_line_is_detailed(self) -> None:
        logutils.log(logging.getLogger("taskservice"), logging.DEBUG, req_id="f984", ip="127.0.0.1",
                     message="REQUEST", service_name="TodoList")
        line, = self.file_lines()
        self.assertRegex(
            line,
            r'\Atime="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}" logger="taskservice" level="DEBUG" '
            r'file="logutils.py" lineno=\d+ function="log" '
            r'req_id="f984" ip="127.0.0.1" message="REQUEST" service_name="TodoList"\Z')
        self.assertEqual(parse(line)["message"], "REQUEST")
        self.assertEqual(self.stdout.getvalue(), "")

    def test_a_foreign_record_is_one_line_that_parses(self) -> None:
        forged = '404 GET /x\n\u2028time="now" level="INFO" %s "'
        logging.getLogger("tornado.general").warning("%s", forged)
        logging.getLogger("taskservice").warning(forged)
        for line in self.file_lines():
            self.assertEqual(parse(line)["message"], forged)
        self.assertEqual(len(self.file_lines()), 2)
        self.assertEqual(len(self.stdout.getvalue().splitlines()), 2)

    def test_a_foreign_traceback_and_stack_are_on_the_line_of_their_record(self) -> None:
        try:
            raise ValueError("wrong\nin two lines")
        except ValueError:
            logging.getLogger("tornado.application").exception("Uncaught", stack_info=True)
        line, = self.file_lines()
        values = parse(line)
        self.assertEqual(values["message"], "Uncaught")
        self.assertTrue(values["trace"].startswith("Traceback (most recent call last):\n"))
        self.assertTrue(values["trace"].endswith("ValueError: wrong\nin two lines"))
        self.assertTrue(values["stack"].startswith("Stack (most recent call last):\n"))
        self.assertIn(' : message="Uncaught" trace="', self.stdout.getvalue())
        self.assertEqual(len(self.stdout.getvalue().splitlines()), 1)

    def test_the_file_is_utf8_wherever_it_runs(self) -> None:
        handler = logging.getLogger("tornado.general").handlers[0]
        assert isinstance(handler, logging.handlers.RotatingFileHandler)
        self.assertEqual(str(handler.encoding).lower(), "utf-8")
        self.assertEqual(handler.backupCount, 3)


class ConfigureTest(ConfigureTestCase):

    def test_a_missing_section_is_quiet(self) -> None:
        sections: tuple[Mapping[str, Any] | None, ...] = (None, {})
        for section in sections:
            self.configure(section)
            logging.getLogger("configure-test").info("unseen")
            logging.getLogger("configure-test").warning("seen\nall")
            self.assertEqual(self.stderr.getvalue(),
                             'WARNING:configure-test:message="seen\\nall"\n')
            self.assertEqual(self.stdout.getvalue(), "")

    def test_what_a_format_shows_is_there_whatever_was_configured_before(self) -> None:
        for shown, expected in (
                ("%(levelname)s", "INFO"), ("%(process)d", f"{os.getpid()}"),
                ("%(processName)s %(thread)d", f"MainProcess {threading.get_ident()}")):
            self.configure({
                "version": 1, "formatters": {"f": {"format": shown}},
                "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
                "loggers": {"configure-test": {"level": "INFO", "handlers": ["h"]}}})
            logutils.log(logging.getLogger("configure-test"), logging.INFO, a=1)
            self.assertEqual(self.stderr.getvalue(), f"{expected}\n")

    def test_a_record_is_as_logging_makes_it(self) -> None:
        """Beside its time: that is the same in each of its forms, as it is in logging's own."""
        for shown in ("%(levelname)s", "%(process)d", "%(thread)d", "%(processName)s"):
            self.configure({"version": 1, "formatters": {"f": {"format": shown}}})
            for level in (logging.INFO, logging.ERROR):
                with self.subTest(shown, level=level):
                    records: list[logging.LogRecord] = []
                    logger = logging.Logger("record-test")
                    logger.addFilter(lambda record: records.append(record) or False)  # type: ignore[func-returns-value]
                    for _ in range(2):  # what is the same in each is looked up once
                        logutils.log(logger, level, a=1)
                    made = records[-1]
                    self.assert_alike(made, logger.makeRecord(
                        logger.name, level, made.pathname, made.lineno, "a=1", (), None, "log"))

    def test_a_record_has_the_thread_that_logs(self) -> None:
        self.configure({"version": 1, "formatters": {"f": {"format": "%(threadName)s"}}, "handlers": {
            "h": {"class": "logging.StreamHandler", "formatter": "f"}}, "root": {"handlers": ["h"]}})
        for name in ("first", "second"):
            log = partial(logutils.log, logging.getLogger("configure-test"), logging.ERROR, a=1)
            thread = threading.Thread(name=name, target=log)
            thread.start()
            thread.join()
        self.assertEqual(self.stderr.getvalue(), "first\nsecond\n")

    def test_a_record_factory_of_somebody_else_is_used(self) -> None:
        self.addCleanup(logging.setLogRecordFactory, logging.getLogRecordFactory())
        self.configure({"version": 1, "formatters": {"f": {"format": "%(message)s %(tenant)s"}}, "handlers": {
            "h": {"class": "logging.StreamHandler", "formatter": "f"}}, "root": {"handlers": ["h"]}})

        def factory(*args: Any, **options: Any) -> logging.LogRecord:
            record = logging.LogRecord(*args, **options)
            record.tenant = "ours"
            return record

        logging.setLogRecordFactory(factory)
        logutils.log(logging.getLogger("configure-test"), logging.ERROR, a=1)
        self.assertEqual(self.stderr.getvalue(), "a=1 ours\n")

    def test_a_formatter_of_its_own_class_finds_all_in_a_record(self) -> None:
        found: list[logging.LogRecord] = []

        class Own(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                found.append(record)
                return super().format(record)

        for own in ({"class": f"{__name__}.{Own.__name__}"}, {"()": Own}):
            with mock.patch.object(sys.modules[__name__], "Own", Own, create=True):
                self.configure({
                    "version": 1, "formatters": {"own": own}, "root": {"handlers": ["out"]},
                    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "own"}}})
            logutils.log(logging.getLogger("configure-test"), logging.ERROR, a=1)
            record = found.pop()
            self.assertEqual((record.process, record.processName), (os.getpid(), "MainProcess"))
            self.assertEqual((record.thread, record.threadName), (threading.get_ident(), "MainThread"))

    def test_a_handler_of_its_own_class_is_made_as_its_section_says(self) -> None:
        class Own(logging.StreamHandler[io.StringIO]):
            def __init__(self, filename: str) -> None:
                super().__init__(io.StringIO())
                self.filename = filename

        with mock.patch.object(sys.modules[__name__], "Own", Own, create=True):
            for own in ({"class": f"{__name__}.{Own.__name__}"}, {"()": Own}):
                self.configure({
                    "version": 1, "root": {"handlers": ["out"]}, "handlers": {"out": {**own, "filename": "x"}}})
                handler = logging.getLogger().handlers[0]
                assert isinstance(handler, Own)
                logging.getLogger("configure-test").warning("a\nb")
                self.assertEqual((handler.filename, handler.stream.getvalue()), ("x", 'message="a\\nb"\n'))

    def assert_alike(self, made: logging.LogRecord, own: logging.LogRecord) -> None:
        """A record of ours has all that logging's own has, which was made right after it."""
        times = {"created", "msecs", "relativeCreated"}
        self.assertEqual({name: value for name, value in vars(made).items() if name not in times},
                         {name: value for name, value in vars(own).items() if name not in times})
        self.assertLessEqual(own.created - 60, made.created)
        self.assertLessEqual(made.created, own.created)
        self.assertEqual(made.msecs, int(made.created % 1 * 1000))
        self.assertAlmostEqual(
            made.relativeCreated, own.relativeCreated - (own.created - made.created) * 1000, places=2)

    def test_a_root_level_alone_shows_the_lines_of_the_tutorials_unit_test(self) -> None:
        self.configure({"version": 1, "root": {"level": "INFO"}})
        logutils.log(logging.getLogger("configure-test"), logging.INFO, method="GET", status=200)
        self.assertEqual(self.stderr.getvalue(), 'INFO:configure-test:method="GET" status=200\n')

    def test_loggers_it_does_not_name_go_on_working(self) -> None:
        logger = logging.getLogger("configure-test")
        self.configure({"version": 1})
        self.assertFalse(logger.disabled)
        self.configure({"version": 1, "disable_existing_loggers": True})
        self.assertTrue(logger.disabled)

    def test_a_handler_without_a_formatter_writes_one_line_too(self) -> None:
        self.configure({"version": 1, "root": {"handlers": ["out"]}, "handlers": {
            "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}})
        logging.getLogger("configure-test").warning("a\nb")
        self.assertEqual(self.stdout.getvalue(), 'message="a\\nb"\n')
        self.assertEqual(self.stderr.getvalue(), "")

    def test_a_formatter_of_its_own_class_stays(self) -> None:
        for own in ({"class": "logging.Formatter", "format": "%(message)s!"},
                    {"()": "logging.Formatter", "fmt": "%(message)s!"}):
            self.configure({
                "version": 1, "formatters": {"own": own}, "root": {"handlers": ["out"]},
                "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "own"}}})
            logging.getLogger("configure-test").warning("plain")
            self.assertEqual(self.stderr.getvalue(), "plain!\n")

    def test_the_section_is_not_changed(self) -> None:
        text = TUTORIAL.replace("FOLDER", str(self.folder))
        section = yaml.safe_load(text)
        self.configure(section)
        self.assertEqual(section, yaml.safe_load(text))

    def test_an_unwritable_file_is_named_with_the_reason(self) -> None:
        text = TUTORIAL.replace("FOLDER", str(self.folder / "missing"))
        with self.assertRaises(ValueError) as caught:
            self.configure(yaml.safe_load(text))
        self.assertRegex(str(caught.exception), r"\AUnable to configure handler 'file': "
                         r".*No such file or directory: '.*/missing/taskservice-app.log'\Z")

    def test_a_wrong_section_is_one_line(self) -> None:
        """Also where nothing is opened, which is what `check` does."""
        console: dict[str, Any] = {"class": "logging.StreamHandler"}
        for section, said in (
                ({"root": {}}, "version"),
                ({"version": 1, "handlers": {"h": {"class": "logging.Nope"}}}, "logging.Nope"),
                ({"version": 1, "handlers": {"h": {"class": "no_such_module.X"}}}, "no_such"),
                ({"version": 1, "handlers": {"h": {}}}, "handlers.h: no class"),
                ({"version": 1, "handlers": {"h": {"class": "logging.FileHandler"}}}, "'h'"),
                ({"version": 1, "handlers": {"h": {**console, "formatter": "f"}}}, "'f'"),
                ({"version": 1, "handlers": {"h": {**console, "colour": 1}}}, "colour"),
                ({"version": 1, "handlers": {"h": None}}, "handlers.h"),
                ({"version": 1, "handlers": 3}, "handlers"),
                ({"version": 1, "handlers": []}, "handlers: not a mapping"),
                ({"version": 1, "loggers": ""}, "loggers: not a mapping"),
                ({"version": 1, "root": False}, "root: not a mapping"),
                ({"version": 1, "formatters": {"f": 3}}, "formatters.f"),
                ({"version": 1, "root": {"handlers": ["nope"]}}, "nope"),
                ({"version": 1, "root": {"level": "LOUD"}}, "LOUD"),
                ({"version": 1, "loggers": {"x": 3}}, "loggers.x"),
                ({"version": 1, "root": 3}, "root")):
            for take in (self.configure, log_config.check):
                with self.subTest(section=section, take=take.__name__):
                    with self.assertRaises(ValueError) as caught:
                        take(section)
                    self.assertIn(said, str(caught.exception))
                    self.assertEqual(len(str(caught.exception).splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
