"""What a head means, as values: target, Host, length, Expect."""

import time
import unittest

from tornado.httputil import HTTPHeaders

from taskservice.http1.request import (
    BadRequest, body_length, check_host, keeps_alive, origin_form, waits)
from tests.helpers.timing import at_most

UNKNOWN, BAD, CHUNKED = 501, 400, -1

BODIES = (
    # RFC 9112 §6.3; Transfer-Encoding, Content-Length, version: what follows
    (None, None, "HTTP/1.1", 0),
    (None, "0", "HTTP/1.1", 0),
    (None, "12", "HTTP/1.0", 12),
    (None, "007", "HTTP/1.1", 7),
    (None, "9" * 19, "HTTP/1.1", 10 ** 19 - 1),
    (None, "9" * 20, "HTTP/1.1", BAD),
    (None, "0" * 5000, "HTTP/1.1", BAD),
    (None, "", "HTTP/1.1", BAD),
    (None, "+1", "HTTP/1.1", BAD),
    (None, "-1", "HTTP/1.1", BAD),
    (None, "1_0", "HTTP/1.1", BAD),
    (None, "1 0", "HTTP/1.1", BAD),
    (None, "0x1", "HTTP/1.1", BAD),
    (None, "1.0", "HTTP/1.1", BAD),
    (None, "1e1", "HTTP/1.1", BAD),
    (None, "\xb2", "HTTP/1.1", BAD),
    (None, "\u0663", "HTTP/1.1", BAD),
    (None, "1, 1", "HTTP/1.1", BAD),  # RFC 9110 §8.6 allows to reject it
    (None, "1,2", "HTTP/1.1", BAD),
    ("chunked", None, "HTTP/1.1", CHUNKED),
    ("CHUNKED", None, "HTTP/1.1", CHUNKED),
    # §6.1: both
    ("chunked", "3", "HTTP/1.1", BAD),
    ("gzip, chunked", "3", "HTTP/1.1", BAD),
    # §6.1: in HTTP/1.0
    ("chunked", None, "HTTP/1.0", BAD),
    ("gzip, chunked", None, "HTTP/1.0", BAD),
    # §6.1: well-formed, but not known here
    ("gzip, chunked", None, "HTTP/1.1", UNKNOWN),
    ("gzip,Chunked", None, "HTTP/1.1", UNKNOWN),
    ("gzip , deflate\t,chunked", None, "HTTP/1.1", UNKNOWN),
    ("identity, chunked", None, "HTTP/1.1", UNKNOWN),
    ("chunkedx, chunked", None, "HTTP/1.1", UNKNOWN),
    ('a;b=c ; d="e, \\" f", chunked', None, "HTTP/1.1", UNKNOWN),
    # §6.3: chunked is not the last
    ("gzip", None, "HTTP/1.1", BAD),
    ("identity", None, "HTTP/1.1", BAD),
    ("chunked, gzip", None, "HTTP/1.1", BAD),
    ("xchunked", None, "HTTP/1.1", BAD),
    # §6.1, §7.1: chunked twice, or with a parameter
    ("chunked, chunked", None, "HTTP/1.1", BAD),
    ("chunked\t, chunked", None, "HTTP/1.1", BAD),
    ("gzip, chunked, chunked", None, "HTTP/1.1", BAD),
    ("chunked;a=b", None, "HTTP/1.1", BAD),
    ("chunked;a=b, chunked", None, "HTTP/1.1", BAD),
    ("gzip, chunked;a=b", None, "HTTP/1.1", BAD),
    # malformed
    ("", None, "HTTP/1.1", BAD),
    (", chunked", None, "HTTP/1.1", BAD),
    ("chunked,", None, "HTTP/1.1", BAD),
    ("gzip,, chunked", None, "HTTP/1.1", BAD),
    ("a b, chunked", None, "HTTP/1.1", BAD),
    ("a;b, chunked", None, "HTTP/1.1", BAD),
    ('a;b="c, chunked', None, "HTTP/1.1", BAD),
    ('"chunked"', None, "HTTP/1.1", BAD),
    ("\x0bchunked", None, "HTTP/1.1", BAD),
)


class BodyLengthTest(unittest.TestCase):

    def test_each(self) -> None:
        for coding, length, version, expected in BODIES:
            with self.subTest(coding=coding, length=length, version=version):
                headers = HTTPHeaders()
                if coding is not None:
                    headers["Transfer-Encoding"] = coding
                if length is not None:
                    headers["Content-Length"] = length
                try:
                    found = body_length(version, headers)
                except BadRequest as error:
                    found = error.status
                self.assertEqual(found, expected)

    def test_lines_of_a_field_are_a_list(self) -> None:
        headers = HTTPHeaders()
        headers.add("Content-Length", "3")
        headers.add("Content-Length", "3")
        with self.assertRaises(BadRequest):
            body_length("HTTP/1.1", headers)


class ExpectTest(unittest.TestCase):
    """RFC 9110 §10.1.1."""

    def test_the_one_that_is_known(self) -> None:
        for value in ("100-continue", "100-Continue", "100-CONTINUE", "100-continue, 100-continue", " 100-continue\t",
                      "a, 100-continue", "100-continue,a=b", "a=\"b, c\",100-continue", ",100-continue,",
                      "100-continue;a=b", "a=b;c=d , 100-Continue ;e=f", 'a="\\", x",100-continue'):
            with self.subTest(value):
                self.assertTrue(waits("HTTP/1.1", value))
                self.assertFalse(waits("HTTP/1.0", value), "it is to be ignored")

    def test_others_are_ignored(self) -> None:
        for value in (None, "", "200-ok", "100-continued", "x100-continue", "100-continue=a", "100 continue",
                      'a="b, 100-continue"', 'a="\\", 100-continue, "'):
            with self.subTest(value):
                self.assertFalse(waits("HTTP/1.1", value))


class KeepAliveTest(unittest.TestCase):
    """RFC 9112 §9.3."""

    def test_each(self) -> None:
        for version, options, expected in (
                ("HTTP/1.1", None, True), ("HTTP/1.1", "", True), ("HTTP/1.1", "x", True),
                ("HTTP/1.1", "close", False), ("HTTP/1.1", "a ,\tCLOSE , b", False), ("HTTP/1.1", "closed", True),
                ("HTTP/1.1", "keep-alive, close", False), ("HTTP/1.0", None, False), ("HTTP/1.0", "x", False),
                ("HTTP/1.0", "Keep-Alive", True), ("HTTP/1.0", "a, keep-alive", True),
                ("HTTP/1.0", "keep-alive, close", False)):
            with self.subTest(version=version, options=options):
                self.assertEqual(keeps_alive(version, options), expected)


class TargetTest(unittest.TestCase):
    """RFC 9112 §3.2."""

    def test_paths(self) -> None:
        for target in ("/", "/a/b?c=d", "//a", "/a%20b", "/?", "/[\"<>]^`{|}\\", "/http://h/"):
            self.assertEqual(origin_form("GET", target), (target, None))

    def test_absolute_ones(self) -> None:
        for method, target, expected in (
                ("GET", "http://h/a?b", ("/a?b", "h")), ("GET", "HTTPS://h:1/", ("/", "h:1")),
                ("GET", "http://h", ("/", "h")), ("GET", "http://h?a", ("/?a", "h")),
                ("GET", "http://[::1]:80/a", ("/a", "[::1]:80")), ("GET", "http://h/http://i/", ("/http://i/", "h")),
                ("OPTIONS", "http://h", ("*", "h")), ("OPTIONS", "http://h/", ("/", "h")),
                ("OPTIONS", "*", ("*", None))):
            with self.subTest(target):
                self.assertEqual(origin_form(method, target), expected)

    def test_raw_utf_8_is_percent_encoded(self) -> None:
        for text, expected in (
                ("/ä?q=é%20", "/%C3%A4?q=%C3%A9%20"), ("/\U0001f600", "/%F0%9F%98%80"), ("/\x85", "/%C2%85"),
                ("/\u2028\"", "/%E2%80%A8\"")):
            self.assertEqual(origin_form("GET", text.encode().decode("latin-1")), (expected, None))
        self.assertEqual(origin_form("GET", "http://h/ä".encode().decode("latin-1")), ("/%C3%A4", "h"))

    def test_what_is_none(self) -> None:
        for method, target in (
                ("GET", "a"), ("GET", "*"), ("get", "*"), ("options", "*"), ("OPTIONS", "*a"), ("GET", "http:///a"),
                ("GET", "http:/h"), ("GET", "ftp://h/"), ("GET", "xhttp://h/"), ("GET", "http://u@h/"),
                ("GET", "http://h:x/"), ("GET", "http://[::1/"), ("GET", "http://\xc3\xa4/"), ("CONNECT", "h:1"),
                ("GET", "/a#b"), ("GET", "/#"), ("GET", "http://h#a"), ("GET", "http://h/#a"), ("GET", "/\xe4"),
                ("GET", "/\xc3"), ("GET", "/\xed\xa0\x80"), ("GET", "/\xc0\xaf"), ("GET", "http://" + "h" * 301)):
            with self.subTest(target), self.assertRaises(BadRequest):
                origin_form(method, target)


class HostTest(unittest.TestCase):

    def headers(self, *hosts: str) -> HTTPHeaders:
        """Return fields with these in them."""
        headers = HTTPHeaders()
        for host in hosts:
            headers.add("Host", host)
        return headers

    def test_one_is_needed_and_no_more(self) -> None:
        check_host("HTTP/1.1", self.headers("h"), None)
        check_host("HTTP/1.1", self.headers(""), None)
        check_host("HTTP/1.0", self.headers(), None)
        for version, hosts in (("HTTP/1.1", ()), ("HTTP/1.1", ("h", "h")), ("HTTP/1.0", ("h", "i")),
                               ("HTTP/1.0", ("h i",)), ("HTTP/1.1", ("h,i",)), ("HTTP/1.1", ("h:123456",)),
                               ("HTTP/1.1", ("h" * 301,)), ("HTTP/1.1", ("", ""))):
            with self.subTest(version, hosts=hosts), self.assertRaises(BadRequest):
                check_host(version, self.headers(*hosts), None)

    def test_that_of_the_target_takes_its_place(self) -> None:
        for version, hosts in (("HTTP/1.1", ("h",)), ("HTTP/1.0", ())):
            headers = self.headers(*hosts)
            check_host(version, headers, "i:1")
            self.assertEqual(headers.get_list("Host"), ["i:1"])
        with self.assertRaises(BadRequest):
            check_host("HTTP/1.1", self.headers(), "i")


class CostTest(unittest.TestCase):
    """What is four times as long costs four times as much: no expression tries one thing in many ways."""

    def test_each_field_and_target(self) -> None:
        for name, text in (
                ("coding", "a,"), ("coding", "a "), ("coding", 'a;b="'), ("coding", 'a;b="c",'), ("coding", "a;b=c;"),
                ("coding", "chunked,"), ("coding", "a\t \t,"), ("expect", '"'), ("expect", "\\\""), ("expect", ","),
                ("expect", ";"), ("expect", " "), ("options", ","), ("options", " "), ("target", "?"), ("target", "/"),
                ("target", "\xc3\xa4"), ("host", "a"), ("host", "%4"), ("host", ":"), ("length", "1")):
            with self.subTest(name, text=text):
                few, many = (self.seconds(name, text, count) for count in (5_000, 20_000))
                self.assertLess(many, at_most(12 * few + 0.002))

    def seconds(self, name: str, text: str, count: int) -> float:
        """Return the processor time that it takes, at best."""
        value, taken = text * count, []
        for _ in range(5):
            started = time.process_time()
            try:
                if name == "coding":
                    body_length("HTTP/1.1", HTTPHeaders({"Transfer-Encoding": value}))
                elif name == "length":
                    body_length("HTTP/1.1", HTTPHeaders({"Content-Length": value}))
                elif name == "expect":
                    waits("HTTP/1.1", value)
                elif name == "options":
                    keeps_alive("HTTP/1.1", value)
                elif name == "host":
                    check_host("HTTP/1.1", HTTPHeaders({"Host": value}), None)
                else:
                    origin_form("GET", f"http://h/{value}")
            except BadRequest:
                pass
            taken.append(time.process_time() - started)
        return min(taken)


if __name__ == "__main__":
    unittest.main()
