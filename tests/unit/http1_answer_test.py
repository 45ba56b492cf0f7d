"""Answers to bytes: what goes out, and what must not."""

import re
import unittest

from taskservice.http1.answer import (
    MAX_REASON_LENGTH, Refusal, content_length, has_no_body, head_bytes, http_date, refusal_bytes,
    refuse_plainly)


class HeadTest(unittest.TestCase):

    def test_the_bytes(self) -> None:
        self.assertEqual(
            head_bytes(404, "Not Found", ["A: b", "C: \xe9"]),
            b"HTTP/1.1 404 Not Found\r\nA: b\r\nC: \xe9\r\n\r\n")

    def test_a_reason_that_is_too_long_gives_way_to_the_standard_one(self) -> None:
        longest = "x" * MAX_REASON_LENGTH
        for code, reason, said in (
                (404, longest, longest), (404, longest + "x", "Not Found"),
                (299, longest + "x", "Unknown")):
            self.assertEqual(head_bytes(code, reason, []), f"HTTP/1.1 {code} {said}\r\n\r\n".encode())
        self.assertEqual(MAX_REASON_LENGTH, 150)

    def test_no_line_has_a_line_end_in_it(self) -> None:
        for reason, name, value in (
                ("a\nb", "A", "b"), ("OK", "A\r\nB", "b"), ("OK", "A", "b\rc"), ("OK", "A", "b\n")):
            with self.assertRaisesRegex(ValueError, "CR or LF"):
                head_bytes(200, reason, [f"{name}: {value}"])


class LengthTest(unittest.TestCase):

    def test_digits(self) -> None:
        self.assertEqual([content_length(text) for text in ("0", "42", "007")], [0, 42, 7])

    def test_nothing_else(self) -> None:
        for text in ("", "+1", "-1", "1_0", " 1", "1 ", "0x1", "1.0", "1,1", "\u0661", "\xb2"):
            with self.subTest(text), self.assertRaises(ValueError):
                content_length(text)


class BodyTest(unittest.TestCase):

    def test_what_has_none(self) -> None:
        for method, code in (("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 100), ("GET", 199)):
            self.assertTrue(has_no_body(method, code), (method, code))
        for method, code in (("GET", 200), ("OPTIONS", 205), ("DELETE", 404), ("GET", 303)):
            self.assertFalse(has_no_body(method, code), (method, code))


class RefusalTest(unittest.TestCase):

    def refusal(self, **facts: object) -> Refusal:
        """Return a refusal; `facts` are what is not as usual."""
        usual: dict[str, object] = {
            "status": 400, "message": "No Host", "method": "GET", "uri": "/", "remote_ip": "::1",
            "headers": None, "request_id": "", "seconds": None}
        return Refusal(**{**usual, **facts})  # type: ignore[arg-type]  # as the fields are

    def test_it_says_why_and_that_the_connection_closes(self) -> None:
        refusal = self.refusal()
        head, _, body = refusal_bytes(refusal, *refuse_plainly(refusal)).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.assertEqual(lines[0], "HTTP/1.1 400 Bad Request")
        self.assertEqual(body, b"No Host\n")
        self.assertLessEqual({"Content-Length: 8", "Connection: close"}, set(lines))
        self.assertRegex(http_date(), r"^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$")
        self.assertEqual(sum(line.startswith("Date: ") for line in lines), 1)

    def test_head_gets_no_body(self) -> None:
        refusal = self.refusal(method="HEAD")
        data = refusal_bytes(refusal, *refuse_plainly(refusal))
        self.assertTrue(data.endswith(b"\r\n\r\n"), data)
        self.assertRegex(data, re.compile(rb"\r\nContent-Length: 8\r\n"))


if __name__ == "__main__":
    unittest.main()
