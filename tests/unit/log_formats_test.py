"""The formatters of log records: logfmt with fields around it, RFC 3339 times, JSON."""

import json
import logging
import os
import shutil
import subprocess
import time
import unittest
from datetime import datetime
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from taskservice.utils import log_formats, logutils
from taskservice.utils.log_formats import JsonFormatter, OneLineFormatter
from taskservice.utils.logfmt import logfmt
from tests.helpers.logs import ANY_TEXT, KEYS, SCALARS
from tests.helpers.strategies import property_settings


class OneLineFormatterTest(unittest.TestCase):

    def record(self, **kvs: Any) -> logging.LogRecord:
        return logging.makeLogRecord({"msg": "text", "name": "x", **kvs})

    def test_a_field_or_a_folded_format_cannot_end_the_line(self) -> None:
        formatter = OneLineFormatter("%(threadName)s\t%(message)s\n")
        self.assertEqual(formatter.format(self.record(threadName="a\n\x85b")),
                         'a\\u000a\\u0085b\tmessage="text"')

    def test_the_time_is_that_of_logging(self) -> None:
        times = [1e9, 1e9 + 0.001, 1e9 + 0.9996, 1e9 + 1.5, 1e9 + 60, 1e9, 2e9]
        for datefmt in (None, "%H:%M:%S"):
            for converter in (time.localtime, lambda seconds: time.gmtime((seconds or 0) + 4_000)):
                for milliseconds in ("%s,%03d", "%s.%03d", None):
                    ours = OneLineFormatter("%(asctime)s", datefmt)
                    own = logging.Formatter("%(asctime)s", datefmt)
                    for formatter in (ours, own):
                        formatter.converter = converter
                        formatter.default_msec_format = milliseconds
                    for created in times:
                        record = self.record(created=created, msecs=created % 1 * 1000 // 1)
                        self.assertEqual(ours.format(record), own.format(record))

    def test_a_traceback_another_formatter_made_is_not_made_again(self) -> None:
        formatter = OneLineFormatter("%(message)s")
        self.assertEqual(formatter.format(self.record(exc_text="made\nbefore")),
                         'message="text" trace="made\\nbefore"')


class Rfc3339Test(unittest.TestCase):

    def at(self, zone: str, seconds: float) -> str:
        """Return the time that a log in this time zone shows."""
        with mock.patch.dict(os.environ, {"TZ": zone}):
            time.tzset()
            try:
                record = logging.makeLogRecord({"created": seconds})
                return OneLineFormatter("%(asctime)s", "rfc3339").format(record)
            finally:
                log_formats._local_time.cache_clear()

    def setUp(self) -> None:
        log_formats._local_time.cache_clear()
        self.addCleanup(time.tzset)

    def test_a_time_has_its_zone_and_milliseconds(self) -> None:
        for zone, seconds, text in (
                ("UTC0", 1764115261.1239, "2025-11-26T00:01:01.123+00:00"),
                ("UTC0", 1764115261, "2025-11-26T00:01:01.000+00:00"),
                ("IST-5:30", 1764115261.5, "2025-11-26T05:31:01.500+05:30"),
                ("EST5", 1764115261.0004, "2025-11-25T19:01:01.000-05:00")):
            with self.subTest(zone, seconds=seconds):
                self.assertEqual(self.at(zone, seconds), text)

    @property_settings(100)
    @given(st.floats(0, 4e9))
    def test_it_reads_back(self, seconds: float) -> None:
        text = OneLineFormatter("%(asctime)s", "rfc3339").format(logging.makeLogRecord({"created": seconds}))
        self.assertAlmostEqual(datetime.fromisoformat(text).timestamp(), seconds, delta=0.00101)


class JsonTest(unittest.TestCase):

    def written(self, message: object, **fields: Any) -> dict[str, Any]:
        """Return what a line of JSON says; it is one line, and no key comes twice."""
        record = logging.makeLogRecord(
            {"msg": message, "name": "taskservice", "levelname": "INFO", "created": 1.5, **fields})
        line = JsonFormatter().format(record)
        self.assertTrue(line.isascii() and line.isprintable(), line)

        def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            self.assertEqual(len(pairs), len(dict(pairs)), line)
            return dict(pairs)
        values: dict[str, Any] = json.loads(line, object_pairs_hook=once)
        self.assertEqual(datetime.fromisoformat(values.pop("time")).timestamp(), 1.5)
        self.assertEqual((values.pop("level"), values.pop("logger")), ("INFO", "taskservice"))
        return values

    @property_settings(100)
    @given(st.dictionaries(KEYS.filter(lambda key: key not in ("time", "level", "logger")), SCALARS))
    def test_any_values_read_back(self, values: dict[str, Any]) -> None:
        self.assertEqual(self.written(logutils.Line(logfmt(values))), values)

    @property_settings(100)
    @given(ANY_TEXT)
    def test_a_record_of_another_library_is_a_message(self, text: str) -> None:
        self.assertEqual(self.written(text), {"message": text})

    def test_a_traceback_is_a_value(self) -> None:
        try:
            raise ValueError("wrong\nin two lines")
        except ValueError as error:
            values = self.written("Uncaught", exc_info=(type(error), error, error.__traceback__))
        self.assertEqual(values["message"], "Uncaught")
        self.assertTrue(values["trace"].endswith("ValueError: wrong\nin two lines"))

    def test_a_key_of_the_line_does_not_replace_the_time(self) -> None:
        line = logutils.Line(logfmt({"time": 7, "level": "x", "logger": None, "a": 1}))
        self.assertEqual(self.written(line), {"_time": 7, "_level": "x", "_logger": None, "a": 1})

    @unittest.skipUnless(shutil.which("jq"), "needs jq")
    def test_jq_reads_it(self) -> None:
        line = logutils.Line(logfmt({"message": "RESPONSE", "uri": '/tasks?q="a\u2028', "status": 200}))
        text = JsonFormatter().format(logging.makeLogRecord({"msg": line}))
        done = subprocess.run(["jq", "-r", ".uri, .status"], input=text, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.stdout, '/tasks?q="a\u2028\n200\n')


if __name__ == "__main__":
    unittest.main()
