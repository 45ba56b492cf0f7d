"""Heads and bodies, as values: what the integration tests do not see from outside."""

import time
import tracemalloc
import unittest

from tornado.httputil import HTTPHeaders, HTTPInputError

from taskservice.http1.answer import head_bytes, http_date
from taskservice.http1 import headers as headers_module
from taskservice.http1.headers import LeanHeaders
from taskservice.http1.parser import PartialHead, guess_line, parse_head
from taskservice.http1.request import BadRequest


class LeanHeadersTest(unittest.TestCase):
    """They answer as Tornado's do."""

    LINES = [("accept", "a"), ("x-one", "1"), ("accept", "b"), ("cookie", "c=d"), ("accept", "")]

    def setUp(self) -> None:
        self.ours, self.theirs = LeanHeaders(), HTTPHeaders()
        for name, value in self.LINES:
            self.ours.add(name, value)
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

    def test_names_that_clients_choose_do_not_fill_the_memory(self) -> None:
        for number in range(1_000):
            headers = LeanHeaders()
            headers.add(f"x-chosen-{number}", "")
            self.assertEqual(list(headers), [f"X-Chosen-{number}"])
        self.assertEqual(len(headers_module._IN_HEADER_CASE), 256)

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
        lines = b"A: %b\r\n" % (b"v" * 100) * 40_000
        began = time.process_time()
        head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % lines)
        self.assertLess(time.process_time() - began, 2, "some 0.05 s")
        self.assertEqual(len(head.headers["A"]), 40_000 * 101 - 1)

    def test_names_that_clients_make_up_are_not_kept(self) -> None:
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(3000):
            headers = LeanHeaders.of({f"x-{number}-{'y' * 1000}": ""})
            self.assertTrue(list(headers)[0].startswith(f"X-{number}-Yyy"))
        del headers
        self.assertLess(tracemalloc.get_traced_memory()[0] - before, 1_000_000)

    def test_lines_are_those_of_the_names_and_values_whatever_the_names(self) -> None:
        names = [f"X-Line-{number}" for number in range(300)]
        for _ in range(2):
            for name in names:
                headers = LeanHeaders.of({name.lower(): "v", "etag": '"1"'})
                self.assertEqual(headers_module.field_lines(headers), [f"{name}: v", 'Etag: "1"'])
        self.assertLessEqual(len(headers_module._LINE_STARTS), 256)
        theirs = HTTPHeaders({"A": "b"})
        theirs.add("A", "c")
        self.assertEqual(headers_module.field_lines(theirs), ["A: b", "A: c"])

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

    def test_the_same_fields_again_are_read_as_before_and_are_each_requests_own(self) -> None:
        block = b"Host: h\r\nA: b\r\na: c\r\nContent-Length: 3\r\n\r\n"
        for target in (b"/", b"http://i/", b"/x"):
            head = parse_head(b"GET %b HTTP/1.1\r\n" % target + block)
            self.assertEqual(
                list(head.headers.get_all()),
                [("Host", "i" if b"i" in target else "h"), ("A", "b"), ("A", "c"), ("Content-Length", "3")])
            self.assertEqual((head.length, head.keep_alive, head.waits), (3, True, False))
            head.headers.add("a", "d")
            del head.headers["host"]

    def test_the_same_fields_are_judged_by_the_version(self) -> None:
        for _ in range(2):
            for version, block, keep_alive in (("1", b"Host: h\r\n\r\n", True), ("0", b"Host: h\r\n\r\n", False)):
                self.assertEqual(parse_head(f"GET / HTTP/1.{version}\r\n".encode() + block).keep_alive, keep_alive)
            parse_head(b"GET / HTTP/1.0\r\nA: b\r\n\r\n")
            for block in (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"):
                with self.assertRaises(BadRequest):
                    parse_head(block)

    def test_fields_that_clients_make_up_do_not_fill_the_memory(self) -> None:
        parse_head(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for size in (100, 5000):
            for number in range(1000):
                head = parse_head(b"GET / HTTP/1.1\r\nHost: h\r\nA: %b%d\r\n\r\n" % (b"a" * size, number))
        del head
        self.assertLess(tracemalloc.get_traced_memory()[0], 500_000)

    def test_many_fields_of_one_name_are_cheap(self) -> None:
        head = parse_head(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * 4000 + b"\r\n")
        self.assertEqual((len(head.headers.get_list("A")), len(head.headers["A"])), (4000, 3999))

    def test_versions(self) -> None:
        """RFC 9110 §2.5: what is higher by the minor number only is served as 1.1."""
        for minor, version in (*((minor, "HTTP/1.1") for minor in range(1, 10)), (0, "HTTP/1.0")):
            head = parse_head(b"GET / HTTP/1.%d\r\nHost: h\r\n\r\n" % minor)
            self.assertEqual((head.start_line.version, head.keep_alive), (version, minor > 0))

    def test_a_method_is_any_token_of_up_to_32_characters(self) -> None:
        for method in ("get", "M-SEARCH", "!#$%&'*+-.^_`|~", "0", "A" * 32):
            head = parse_head(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(head.start_line.method, method)

    def test_what_is_wrong_with_a_line(self) -> None:
        for line, message in (
                (b"G(T / HTTP/1.1\r\n", "method"), (b"\r\nGET / HTTP/1.1\r\n", "method"),
                (b"GET / HTTP/1.1\n", "request line"), (b"GET /\x7f HTTP/1.1\r\n", "request line"),
                (b"GET  / HTTP/1.1\r\n", "request line"), (b"GET /\r\n", "request line"),
                (b"GET / HTTP/2.0\r\n", "version"), (b"GET / HTTP/0.9\r\n", "version"),
                (b"GET / HTTP/1.10\r\n", "request line"), (b"GET x HTTP/1.1\r\n", "target")):
            with self.subTest(line), self.assertRaisesRegex(BadRequest, message):
                parse_head(line + b"Host: h\r\n\r\n")

    def test_a_line_is_guessed_from_what_is_wrong(self) -> None:
        self.assertEqual(guess_line(b"GET /x HTTP/9\r\nBad"), ("GET", "/x"))
        self.assertEqual(guess_line(b"noise"), (None, None))


class PartialHeadTest(unittest.TestCase):
    """Heads in pieces."""

    def test_the_head_is_given_when_it_is_whole_with_what_comes_after_it(self) -> None:
        whole = b"VERSION-CONTROL /x HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"
        for first in range(1, len(whole)):
            for after in (b"", b"\r\n", b"GET /"):
                head = PartialHead(1000)
                self.assertEqual(head.take(whole[:first]), (b"", b""))
                self.assertEqual(head.take(whole[first:] + after), (whole, after))

    def test_a_fault_is_found_with_its_byte(self) -> None:
        for start, fault, message in (
                (b"", b"\x16", "method"), (b"GE", b"\r", "method"), (b"G" * 32, b"G", "method"),
                (b"GET /", b"\x01", "request line"),
                (b"GET /", b"\x7f", "request line"), (b"GET /\r", b"x", "request line"),
                (b"GET / HTTP/1.1", b"\n", "request line"), (b"GET /\r", b"\n", "request line"),
                (b"GET / HTTP/2.0\r", b"\n", "version"), (b"GET x HTTP/1.1\r", b"\n", "target"),
                (b"GET / HTTP/1.1\r\nA", b" ", "Malformed request"),
                (b"GET / HTTP/1.1\r\nA: b", b"\n", "Malformed request")):
            for pieces in ([start + fault], [start, fault], [b"%c" % byte for byte in start + fault]):
                with self.subTest(pieces):
                    if start:
                        PartialHead(1000).take(start)
                    head = PartialHead(1000)
                    with self.assertRaisesRegex(BadRequest, message):
                        for piece in pieces:
                            head.take(piece)

    def test_its_limit_holds_at_the_byte(self) -> None:
        whole = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        self.assertEqual(PartialHead(len(whole)).take(whole), (whole, b""))
        for pieces in ([whole], [whole[:-1]], [whole[:10], whole[10:-1]], [whole[:10], whole[10:]]):
            head = PartialHead(len(whole) - 1)
            with self.assertRaises(BadRequest) as caught:
                for piece in pieces:
                    head.take(piece)
            self.assertEqual(caught.exception.status, 431)

    def test_a_field_is_read_once_however_it_is_cut(self) -> None:
        whole = b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nA: b\r\n\r\n"
        for size in range(1, len(whole)):
            head, taken = PartialHead(1000), b""
            for at in range(0, len(whole), size):
                taken, _ = head.take(whole[at:at + size])
            self.assertEqual(taken, whole)

    def test_a_fault_within_the_limit_comes_before_it(self) -> None:
        with self.assertRaisesRegex(BadRequest, "Malformed"):
            PartialHead(100).take(b"GET / HTTP/1.1\r\nA\r\n" + b"x" * 1000)


class AnswerTest(unittest.TestCase):
    """Answers."""

    def test_a_head(self) -> None:
        self.assertEqual(
            head_bytes(200, "OK", ["A: \xe4", "B: "]),
            b"HTTP/1.1 200 OK\r\nA: \xe4\r\nB: \r\n\r\n")

    def test_no_line_can_hide_in_another(self) -> None:
        for reason, value in (("OK", "a\r\nB: c"), ("OK", "a\nb"), ("OK", "a\r"), ("O\r\nK", "a")):
            with self.assertRaises(ValueError):
                head_bytes(200, reason, [f"A: {value}"])

    def test_the_date(self) -> None:
        self.assertRegex(http_date(), r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
