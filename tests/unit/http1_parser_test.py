"""Heads and bodies, as values: what the integration tests do not see from outside."""

import tracemalloc
import unittest

from tornado.httputil import HTTPHeaders, HTTPInputError

from taskservice.tornado.http1_answer import head_bytes, http_date
from taskservice.tornado.http1_headers import LeanHeaders
from taskservice.tornado.http1_parser import BadRequest, HeadCheck, guess_line, parse_head


class LeanHeadersTest(unittest.TestCase):
    """They answer as Tornado's do."""

    LINES = [("accept", "a"), ("x-one", "1"), ("accept", "b"), ("cookie", "c=d"), ("accept", "")]

    def setUp(self) -> None:
        self.ours, self.theirs = LeanHeaders(), HTTPHeaders()
        for name, value in self.LINES:
            self.ours.append(name, value)
            self.theirs.add(name, value)

    def same(self) -> None:
        """Fail unless both answer alike to all that can be asked."""
        self.assertEqual(list(self.ours.get_all()), list(self.theirs.get_all()))
        self.assertEqual(dict(self.ours), dict(self.theirs))
        self.assertEqual(list(self.ours), list(self.theirs))
        self.assertEqual(len(self.ours), len(self.theirs))
        self.assertEqual(str(self.ours), str(self.theirs))
        self.assertEqual(list(self.ours.copy().get_all()), list(self.theirs.get_all()))
        for name in ("Accept", "aCCEPT", "X-One", "X-None", "Cookie"):
            self.assertEqual(self.ours.get(name), self.theirs.get(name))
            self.assertEqual(self.ours.get(name, "d"), self.theirs.get(name, "d"))
            self.assertEqual(self.ours.get_list(name), self.theirs.get_list(name))
            self.assertEqual(name in self.ours, name in self.theirs)

    def test_read(self) -> None:
        self.same()
        with self.assertRaises(KeyError):
            self.ours["X-None"]
        self.assertNotIn(1, self.ours)

    def test_written(self) -> None:
        for headers in (self.ours, self.theirs):
            headers["ACCEPT"] = "z"
            headers.add("x-one", "2")
            headers.add("X-Two", "3")
            del headers["cookie"]
            headers.parse_line("X-Three: 4")
        self.same()
        del self.ours["X-One"]
        del self.theirs["X-One"]
        self.ours.add("x-one", "5")
        self.theirs.add("x-one", "5")
        self.same()
        with self.assertRaises(KeyError):
            del self.ours["X-None"]

    def test_many_lines_of_one_name_are_joined_once_and_not_for_each(self) -> None:
        """To join as they come costs O(n²): 23 s for a head of 4 MiB."""
        self.assertLess(self.bytes_copied(4000), 5 * self.bytes_copied(1000))

    def bytes_copied(self, lines: int) -> int:
        """Return how many bytes are allocated for a field that comes in so many lines."""
        value = "v" * 100
        headers = LeanHeaders()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        copied = 0
        for _ in range(lines):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            headers.append("a", value)
            copied += tracemalloc.get_traced_memory()[1] - before
        self.assertEqual(len(headers["A"]), lines * 101 - 1)
        return copied

    def test_what_is_added_is_judged(self) -> None:
        for name, value in (("a b", "c"), ("a", "b\r\nc"), ("a", "\0")):
            with self.assertRaises(HTTPInputError):
                self.ours.add(name, value)


class HeadTest(unittest.TestCase):
    """Heads."""

    def test_a_head_and_what_follows_from_it(self) -> None:
        head = parse_head(
            b"POST /x?y HTTP/1.1\r\nHOST: h:80\r\nContent-Length: 12\r\nConnection: close\r\n\r\n")
        self.assertEqual(tuple(head.start_line), ("POST", "/x?y", "HTTP/1.1"))
        self.assertEqual((head.length, head.keep_alive, head.headers["Host"]), (12, False, "h:80"))

    def test_latin_1_and_white_space_of_a_value(self) -> None:
        head = parse_head(b"GET / HTTP/1.1\r\nHost: h\r\nA: \t \xe4 b\t \r\nB:\r\n\r\n")
        self.assertEqual((head.headers["a"], head.headers["b"]), ("\xe4 b", ""))

    def test_hosts(self) -> None:
        for host in (b"h", b"a.example:8080", b"[::1]", b"[::1]:80", b"127.0.0.1", b"", b"a_b",
                     b"h:", b"%41"):
            head = parse_head(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            self.assertEqual(head.headers["Host"], host.decode())
        with self.assertRaises(BadRequest):
            parse_head(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % (b"h" * 301))

    def test_many_fields_of_one_name_are_cheap(self) -> None:
        head = parse_head(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * 4000 + b"\r\n")
        self.assertEqual((len(head.headers.get_list("A")), len(head.headers["A"])), (4000, 3999))

    def test_a_first_part_is_judged_as_soon_as_it_can_be(self) -> None:
        good = b"VERSION-CONTROL /x HTTP/1.1\r\nHost: h\r\nA: b"
        check = HeadCheck()
        for end in range(1, len(good) + 1):
            check.look(good[:end])
        for bad in (b"\x16\x03", b"get", b"G" * 40, b"GET /\x01", b"GET / HTTP/1.1\n",
                    b"GET / HTTP/1.1\r\nA b\r\n"):
            with self.assertRaises(BadRequest, msg=bad):
                HeadCheck().look(bad)

    def test_a_line_is_guessed_from_what_is_wrong(self) -> None:
        self.assertEqual(guess_line(b"GET /x HTTP/9\r\nBad"), ("GET", "/x"))
        self.assertEqual(guess_line(b"noise"), (None, None))


class AnswerTest(unittest.TestCase):
    """Answers."""

    def test_a_head(self) -> None:
        self.assertEqual(
            head_bytes(200, "OK", [("A", "\xe4"), ("B", "")]),
            b"HTTP/1.1 200 OK\r\nA: \xe4\r\nB: \r\n\r\n")

    def test_no_line_can_hide_in_another(self) -> None:
        for reason, value in (("OK", "a\r\nB: c"), ("OK", "a\nb"), ("OK", "a\r"), ("O\r\nK", "a")):
            with self.assertRaises(ValueError):
                head_bytes(200, reason, [("A", value)])

    def test_the_date(self) -> None:
        self.assertRegex(http_date(), r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
