"""Export and import against a server that says what a real one may say, cut where a real one may be cut."""

import json
import os
import socket
import ssl
import tempfile
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from taskservice.client import connection
from tests.helpers.api import ndjson
from tests.helpers.running import make_certificate
from tests.helpers.transfer import PATIENCE, Raw, RawServer, call, raw_server

LINES = ndjson({"id": f"id-{number}", "revision": number, "task": {"title": "x" * 50}} for number in range(3))
LINE = LINES.index(b"\n") + 1
"""Where the first line ends."""
FORM = b"Content-Type: application/x-ndjson\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\n" + FORM + b"Content-Length: %d\r\n\r\n" % len(LINES)
CHUNKED = b"HTTP/1.1 200 OK\r\n" + FORM + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSED = b"HTTP/1.0 200 OK\r\n" + FORM + b"\r\n"
IDS = b'{"id": "a", "revision": 1}\n'
CREATED = b"HTTP/1.1 200 OK\r\n" + FORM + b"Content-Length: %d\r\n\r\n" % len(IDS) + IDS


def chunks(*pieces: bytes) -> bytes:
    """Return these chunks, without the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def error(status: int, reason: str, body: bytes = b"", *fields: str) -> bytes:
    """Return an error as bytes."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@contextmanager
def refusing_server(answer: bytes) -> Iterator[str]:
    """Start a server that answers when it has seen a head, and leaves; gives its URL."""
    def serve() -> None:
        with listener, suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                connection.recv(1_000)
                connection.sendall(answer)

    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://localhost:{listener.getsockname()[1]}"
    thread.join(PATIENCE)


class AnswersTestCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "tasks.ndjson"
        self.file.write_text("before")
        self.enterContext(patch.object(connection, "RETRY_DELAYS", (0.0, 0.0)))
        self.enterContext(patch.object(connection, "TIMEOUT", 20.0))

    def export(self, *answers: Raw) -> tuple[int, str, str]:
        """Export from a server that answers so."""
        with raw_server(*answers) as server:
            code, out, err = call("export", server.url, self.file)
        return code, out, err.replace(server.url, "URL")

    def fails(self, message: str, data: bytes, end: str = "fin") -> None:
        """An export from such an answer fails in one line, and the file is as it was."""
        code, out, err = self.export(Raw(data, end))
        self.assertEqual((code, out, err.count("\n")), (1, "", 1), err)
        self.assertRegex(err, f"^export: {message}")
        self.assertEqual(self.file.read_text(), "before")
        self.assertEqual([file.name for file in self.folder.iterdir()], ["tasks.ndjson"])

    def succeeds(self, data: bytes, lines: bytes = LINES, end: str = "fin") -> None:
        """An export from such an answer has these lines."""
        self.assertEqual(self.export(Raw(data, end)), (0, f"exported {len(lines.splitlines())} tasks\n", ""))
        self.assertEqual(self.file.read_bytes(), lines)


class CutTest(AnswersTestCase):
    """An answer that was cut never passes for a whole one."""

    said = "the export broke off, .* is as it was: the answer "

    def test_by_its_length(self) -> None:
        for size in (0, LINE - 5, LINE, len(LINES) - 1):
            for end in ("fin", "rst"):
                with self.subTest(size=size, end=end):
                    self.fails(f"{self.said}was cut|URL: Connection reset", LENGTH + LINES[:size], end)
        self.fails(f"{self.said}was cut after {LINE} of {len(LINES)} bytes$", LENGTH + LINES[:LINE])

    def test_by_its_chunks(self) -> None:
        whole = CHUNKED + chunks(LINES[:LINE], LINES[LINE:])
        for cut in (CHUNKED, CHUNKED + b"f", CHUNKED + chunks(LINES)[:-5], CHUNKED + chunks(LINES)[:-2],
                    CHUNKED + chunks(LINES[:LINE]), whole, whole + b"0", whole + b"00", whole + b"0\r\n"):
            for end in ("fin", "rst"):
                with self.subTest(cut=cut, end=end):
                    self.fails(f"{self.said}was cut|URL: Connection reset", cut, end)

    def test_by_a_reset_where_neither_delimits_it(self) -> None:
        for size in (0, LINE - 5, LINE, len(LINES)):
            with self.subTest(size=size):
                self.fails(f"{self.said}was cut|URL: Connection reset", CLOSED + LINES[:size], "rst")

    def test_by_a_line_without_an_end_where_neither_delimits_it(self) -> None:
        for size in (1, LINE - 1, len(LINES) - 1):
            self.fails(f"{self.said}ends in the middle of line", CLOSED + LINES[:size])

    def test_in_its_head(self) -> None:
        for head in (LENGTH, CHUNKED, CLOSED):
            for size in (0, 5, head.index(FORM), head.index(FORM) + len(FORM), len(head) - 2, len(head) - 1):
                with self.subTest(head=head[:size]):
                    self.fails("URL: (the connection was closed before the end of the answer|what ans)", head[:size])

    def test_a_line_that_is_no_task(self) -> None:
        bad = b'{"error": "the store went away"}\n'
        self.fails(f"{self.said.replace('the answer ', '')}line 4 of the answer is not a task", CLOSED + LINES + bad)


class WholeTest(AnswersTestCase):

    def test_by_its_length(self) -> None:
        for end in ("fin", "keep"):
            self.succeeds(LENGTH + LINES, end=end)

    def test_by_its_chunks(self) -> None:
        for last in (b"0\r\n\r\n", b"0;a=b\r\nTrailer: x\r\n\r\n"):
            self.succeeds(CHUNKED + chunks(*(LINES[at:at + 7] for at in range(0, len(LINES), 7))) + last, end="keep")

    def test_by_the_end_of_the_connection(self) -> None:
        self.succeeds(CLOSED + LINES)

    def test_without_tasks(self) -> None:
        for data in (LENGTH.replace(b"%d" % len(LINES), b"0"), CHUNKED + b"0\r\n\r\n", CLOSED):
            self.succeeds(data, b"")

    def test_after_interim_answers(self) -> None:
        interim = b"".join(
            b"HTTP/1.1 %b\r\n\r\n" % line for line in (
                b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </a>\r\nContent-Length: 7"))
        self.succeeds(interim + LENGTH + LINES)

    def test_with_a_content_type_that_says_more(self) -> None:
        self.succeeds(LENGTH.replace(b"x-ndjson", b"X-NDJSON; charset=utf-8") + LINES)


class OtherAnswersTest(AnswersTestCase):

    def test_another_form_is_named(self) -> None:
        html = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
        self.fails(r"the answer is text/html, not application/x-ndjson: is --url that of the service\?$", html)

    def test_a_compressed_one_is_named(self) -> None:
        self.fails(r"the answer is compressed \(gzip\), which was not asked for$",
                   LENGTH.replace(FORM, FORM + b"Content-Encoding: gzip\r\n") + LINES)

    def test_a_redirect_is_named(self) -> None:
        for status in (301, 302, 303, 307, 308):
            self.fails(
                f"the service answered {status} Moved: it is at https://elsewhere/tasks, which --url should name$",
                error(status, "Moved", b"", "Location: https://elsewhere/tasks"))

    def test_another_status_is_named_with_what_the_service_says(self) -> None:
        body = json.dumps({"message": "the token may only\nwrite"}).encode()
        self.fails("the service answered 403 Forbidden: the token may only write$", error(403, "Forbidden", body))
        for status in (304, 404, 500, 507):
            self.fails(f"the service answered {status} Reason$", error(status, "Reason"))
        for status in (204, 206):
            self.fails(f"the service answered {status} Reason$", error(status, "Reason", b""))
        self.fails("the service answered 404$", b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n")
        for status in (429, 502, 503, 504):
            self.fails(f"URL: the service answered {status} Reason$", error(status, "Reason", b"<html>"))
        self.fails(
            "the service answered 401 Unauthorized: TASKSERVICE_TOKEN has no token that it knows$",
            error(401, "Unauthorized", b'{"message": "a token"}'))

    def test_an_error_that_is_cut_is_named_all_the_same(self) -> None:
        for end in ("fin", "rst"):
            self.fails("the service answered 500 Reason|URL: Connection reset", error(500, "Reason", b"body")[:-2], end)

    def test_a_framing_that_is_not_understood_is_named(self) -> None:
        for field, said in (
                (b"Transfer-Encoding: gzip, chunked", "an unknown Transfer-Encoding: gzip, chunked"),
                (b"Content-Length: -5", "a wrong Content-Length: -5"),
                (b"Content-Length: x", "a wrong Content-Length: x"),
                (b"Content-Length: 5\r\nContent-Length: 6", "a wrong Content-Length: 5, 6"),
                (b"Content-Length: " + b"9" * 5_000, "a wrong Content-Length: 999")):
            self.fails(f".*the answer has {said}", CLOSED[:-2] + field + b"\r\n\r\n" + LINES)

    def test_what_does_not_speak_http_is_named(self) -> None:
        for data in (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16\n", b"HTTP/1.1 abc\r\n\r\n", b"\n"):
            self.fails("URL: what answers there does not speak HTTP$", data)

    def test_a_head_that_is_too_large_is_reported(self) -> None:
        self.fails("URL: got more than 65536 bytes", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000)


class ImportTest(AnswersTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.file.write_bytes(b'{"title": "a"}\n')

    def do(self, *answers: Raw) -> tuple[RawServer, tuple[int, str, str]]:
        """Import into a server that answers so."""
        with raw_server(*answers) as server:
            code, out, err = call("import", server.url, self.file)
        return server, (code, out, err.replace(server.url, "URL"))

    def fails(self, message: str, data: bytes, end: str = "fin") -> None:
        """An import fails in one line that says how to go on."""
        _, (code, out, err) = self.do(*[Raw(data, end)] * 3)
        self.assertEqual((code, out, err.count("\n")), (1, "", 1), err)
        self.assertRegex(err, f"^import: {message}. 0 lines are done; the same command goes on from there")

    def test_while_the_service_is_away_the_same_is_sent_again_on_the_same_connection(self) -> None:
        for status in (429, 502, 503, 504):
            for body in (b"", b"{}", b"x" * 1_000):
                with self.subTest(status=status, body=body):
                    server, result = self.do(Raw(error(status, "Away", body), "keep"), Raw(CREATED, "keep"))
                    self.assertEqual(result, (0, "imported 1 task\n", ""))
                    [[first, second]] = server.requests
                    self.assertEqual(first, second)

    def test_a_body_that_is_too_long_to_be_read_ends_its_connection(self) -> None:
        server, result = self.do(Raw(error(503, "Away", b"x" * 200_000), "keep"), Raw(CREATED, "keep"))
        self.assertEqual(result, (0, "imported 1 task\n", ""))
        self.assertEqual([len(requests) for requests in server.requests], [1, 1])

    def test_tasks_that_are_there_are_found_on_the_same_connection(self) -> None:
        taken = error(400, "Bad Request", b'{"errors": [{"pointer": "/1/id", "detail": "exists"}]}')
        self.file.write_bytes(b'{"id": "id-0", "task": {"title": "%b"}}\n{"id": "new", "task": {"title": "b"}}\n' % (
            b"x" * 50))
        for answer in (LENGTH + LINES, CHUNKED + chunks(LINES) + b"0\r\n\r\n"):
            server, result = self.do(Raw(taken, "keep"), Raw(answer, "keep"), Raw(CREATED, "keep"))
            self.assertEqual(result, (0, "imported 1 task, 1 already imported\n", ""))
            [requests] = server.requests
            self.assertEqual([request.split()[0] for request in requests], [b"POST", b"GET", b"POST"])

    def test_it_waits_as_long_as_the_service_asks(self) -> None:
        for value, waited in (("7", 7.0), ("0", 0.0), ("9999999", 60.0), ("soon", 0.0),
                              ("Wed, 21 Oct 2065 07:28:00 GMT", 0.0)):
            with patch("time.sleep") as sleep:
                _, (code, _, _) = self.do(
                    Raw(error(503, "Away", b"", f"Retry-After: {value}"), "keep"), Raw(CREATED))
            self.assertEqual(code, 0)
            sleep.assert_called_once_with(waited)

    def test_an_answer_that_was_cut_or_lost_is_asked_for_again_with_the_same_key(self) -> None:
        lost = [Raw(b""), Raw(b"", "rst"), Raw(CREATED[:20]), Raw(CREATED[:-5]), Raw(CREATED[:-5], "rst")]
        for answer in lost:
            with self.subTest(answer):
                server, result = self.do(answer, Raw(CREATED.replace(FORM, FORM + b"Idempotent-Replayed: true\r\n")))
                self.assertEqual(result, (0, "imported 1 task\n", ""))
                [[first], [second]] = server.requests
                self.assertEqual(first, second)

    def test_one_that_stays_away_is_reported(self) -> None:
        self.fails("URL: the service answered 503 Away", error(503, "Away"))
        self.fails("URL: the connection was closed before the end of the answer", b"")
        self.fails("URL: (Connection reset by peer|Broken pipe)", b"", "rst")

    def test_other_answers_are_reported(self) -> None:
        for status in (302, 400, 401, 403, 404, 415, 422, 500, 507):
            self.fails(f"the service answered {status} .*", error(status, "Reason", b'{"message": "why"}'))
        self.fails("the answer is text/html, not .*", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>")
        self.fails("the service answered 204 No", error(204, "No", b"", FORM.decode().strip()))

    def test_a_201_of_an_earlier_version_is_a_success(self) -> None:
        self.assertEqual(self.do(Raw(CREATED.replace(b"200 OK", b"201 Created")))[1], (0, "imported 1 task\n", ""))

    def test_a_refusal_that_comes_before_all_is_sent_is_reported(self) -> None:
        """The server reads nothing of the body, which is more than the buffers between have room for."""
        self.file.write_bytes(b'{"title": "%b"}\n' % (b"x" * 20_000_000))
        with refusing_server(error(413, "Too Large", b"", "Connection: close")) as url:
            code, _, err = call("import", url, self.file)
        self.assertEqual(code, 1)
        self.assertIn(":1: this line can never go: it has 20000014 bytes, and the service answered 413 Too Large", err)


class TLSTest(AnswersTestCase):

    def setUp(self) -> None:
        super().setUp()
        tls = make_certificate(self.folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(tls["certificate"], tls["key"])
        self.certificate = tls["certificate"]

    def do(self, data: bytes, trusted: bool = True) -> tuple[int, str, str]:
        """Export over TLS from a server that answers so and then closes without close_notify."""
        variables = {"SSL_CERT_FILE": self.certificate} if trusted else {}
        with patch.dict(os.environ, variables), raw_server(Raw(data), context=self.context) as server:
            code, out, err = call("export", server.url, self.file)
        return code, out, err.replace(server.url, "URL")

    def test_an_end_without_close_notify_is_a_cut_where_nothing_else_delimits(self) -> None:
        code, out, err = self.do(CLOSED + LINES)
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))
        self.assertIn("the answer was cut after", err)
        self.assertEqual(self.file.read_text(), "before")
        for data in (LENGTH + LINES, CHUNKED + chunks(LINES) + b"0\r\n\r\n"):
            self.assertEqual(self.do(data), (0, "exported 3 tasks\n", ""))

    def test_one_that_is_not_trusted_is_reported_at_once(self) -> None:
        self.assertEqual(self.do(LENGTH + LINES, trusted=False), (1, "", "export: URL: self-signed certificate\n"))


del AnswersTestCase  # it is no test

if __name__ == "__main__":
    unittest.main()
