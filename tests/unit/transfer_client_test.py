"""The client of export and import: its options, and what it says of an answer."""

import unittest

from taskservice.client import connection
from taskservice.client.answers import Answer
from taskservice.client.connection import Client
from taskservice.client.errors import OptionError, counted, one_line, reason


class OptionsTest(unittest.TestCase):

    def test_what_is_no_url_of_a_service_is_reported(self) -> None:
        for url in ("localhost:8080", "ftp://a", "http://", "", "http://a:port", "http://a:0",
                    "http://a:65536", "http://[::1", "http://a..b", "http://a b", "http://a/ä", "http://a?x",
                    "http://a#x"):
            with self.subTest(url), self.assertRaisesRegex(
                    OptionError, "--url: expected http://HOST:PORT"):
                Client(url)

    def test_a_password_in_one_is_not_shown(self) -> None:
        for url in ("http://me:secret@a", "http://me:sec@ret@a", "ftp://me:secret@a", "http://me:secret\n@a"):
            with self.assertRaises(OptionError) as caught:
                Client(url)
            self.assertNotRegex(str(caught.exception), "sec|ret")

    def test_a_url_need_not_have_a_port(self) -> None:
        for url, connected in (("http://[::1]", ("::1", 80)), ("https://a", ("a", 443)),
                               ("http://a:8080", ("a", 8080)), ("http://bücher", ("bücher", 80))):
            found = Client(url)._connection
            self.assertEqual((found.host, found.port), connected)

    def test_a_token_that_cannot_be_sent_is_reported_and_not_shown(self) -> None:
        reported = "TASKSERVICE_TOKEN: expected a token of printable ASCII characters"
        for token in ("bad\nx", "bad\r", "bad\0", "b€d", "b\udcffd"):
            with self.subTest(token), self.assertRaises(OptionError) as caught:
                connection._access(token)
            self.assertEqual(str(caught.exception), reported)

    def test_a_token_is_sent(self) -> None:
        self.assertEqual(connection._access("a-Z_9"), {"Authorization": "Bearer a-Z_9"})
        self.assertEqual(connection._access(""), {})


class AnswerTest(unittest.TestCase):

    def test_violations_are_those_of_the_service(self) -> None:
        for body, found in (
                (b'{"errors": [{"pointer": "/1", "detail": "no"}]}', [("/1", "no")]), (b'{"errors": [5]}', []),
                (b'{"errors": {}}', []), (b"[]", []), (b"<html>", []), (b"", []), (b"\xff", []), (b"[" * 100_000, [])):
            self.assertEqual(Answer(400, body, "", 0.0, False).violations(), found)


class WordsTest(unittest.TestCase):

    def test_what_others_say_is_one_printable_line(self) -> None:
        self.assertEqual(one_line("a\nb\x1b[31mc\u2028d\r"), "a b [31mc d")
        self.assertEqual(len(one_line("x" * 1_000)), 301)

    def test_a_reason_is_never_empty(self) -> None:
        self.assertEqual(reason(FileNotFoundError(2, "No such file or directory", "a")), "No such file or directory")
        self.assertEqual(reason(OSError("why")), "why")
        self.assertEqual(reason(TimeoutError()), "TimeoutError")

    def test_a_number_agrees_with_its_noun(self) -> None:
        self.assertEqual([counted(n, "task") for n in (0, 1, 2)], ["0 tasks", "1 task", "2 tasks"])


if __name__ == "__main__":
    unittest.main()
