"""What Tornado's own server hands to the application, on its way there."""

import unittest

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine

from taskservice.http1.request import BadRequest
from taskservice.tornado.tornado_requests import JudgedDelegate


class Recorder(HTTPMessageDelegate):
    """Keeps what it is called with."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        self.calls.append(start_line)

    def data_received(self, chunk: bytes) -> None:
        self.calls.append(chunk)

    def finish(self) -> None:
        self.calls.append("finish")

    def on_connection_close(self) -> None:
        self.calls.append("close")


class JudgedDelegateTest(unittest.TestCase):

    def setUp(self) -> None:
        self.recorder = Recorder()
        self.delegate = JudgedDelegate(
            self.recorder, lambda line, headers, seconds: self.recorder.calls.append(("cut", line)))

    def test_it_hands_on_all_of_a_request(self) -> None:
        line = RequestStartLine("POST", "/\xc3\xa4", "HTTP/1.2")
        self.delegate.headers_received(line, HTTPHeaders({"Host": "h"}))
        self.delegate.data_received(b"a")
        self.delegate.finish()
        self.delegate.on_connection_close()
        self.assertEqual(
            self.recorder.calls, [RequestStartLine("POST", "/%C3%A4", "HTTP/1.1"), b"a", "finish", "close"])

    def test_one_that_ends_before_its_body_is_reported(self) -> None:
        line = RequestStartLine("POST", "/a", "HTTP/1.1")
        self.delegate.headers_received(line, HTTPHeaders({"Host": "h"}))
        self.delegate.on_connection_close()
        self.assertEqual(self.recorder.calls, [line, "close", ("cut", line)])

    def test_it_hands_on_nothing_of_what_is_refused(self) -> None:
        for target, fields in (("x", {"Host": "h"}), ("/", {}), ("/", {"Host": "h", "Content-Length": "+1"})):
            with self.assertRaises(BadRequest):
                self.delegate.headers_received(RequestStartLine("GET", target, "HTTP/1.1"), HTTPHeaders(fields))
        self.delegate.on_connection_close()
        self.assertEqual(self.recorder.calls, ["close"])


if __name__ == "__main__":
    unittest.main()
