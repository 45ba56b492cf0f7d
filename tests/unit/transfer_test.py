"""Export and import, without a network: what is sent, what is told, and where it goes on."""

import contextlib
import http.client
import io
import json
import tempfile
import unittest
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from taskservice import transfer
from taskservice.transfer import (
    OptionError, TransferError, _AwayError, export_tasks, import_tasks)
from tests.api import NDJSON, ndjson

URL = "http://service:8080"


class Sent(NamedTuple):
    """A request of the client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def key(self) -> str:
        """Its idempotency key."""
        return self.headers["Idempotency-Key"]


class Answer:
    """What the service answers."""

    def __init__(self, status: int, body: bytes | list[bytes | Exception] = b"") -> None:
        self.status = status
        self.reason = http.client.responses[status]
        self._chunks = [body] if isinstance(body, bytes) else list(body)

    def read1(self, _size: int) -> bytes:
        """Return a chunk; b'' at the end."""
        chunk = self._chunks.pop(0) if self._chunks else b""
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def read(self) -> bytes:
        """Return the body."""
        return b"".join(iter(lambda: self.read1(0), b""))


class Service:
    """Stands for the client and the service: it creates what it is sent, unless told otherwise."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.answers: Iterator[Answer | Exception | None] = iter(())

    def __call__(self, url: str) -> "Service":
        """Take the place of the class."""
        return self

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Answer as was told, or as the service does."""
        self.sent.append(Sent(method, path, headers, body))
        answer = next(self.answers, None)
        if isinstance(answer, Exception):
            raise answer
        return answer or Answer(200, b"{}\n" * _count(body or b""))

    def answer(self, *answers: Answer | Exception | None) -> None:
        """Give these answers first; None is the usual one."""
        self.answers = iter(answers)


def _count(body: bytes) -> int:
    return sum(1 for line in body.splitlines() if line.strip())


def taken(pointer: str) -> Answer:
    """Make the answer to a line whose id is taken."""
    errors = [{"pointer": pointer, "detail": "'a' exists already"}]
    return Answer(400, json.dumps({"errors": errors}).encode())


class TransferCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "tasks.ndjson"
        self.service = Service()
        self.enterContext(patch.object(transfer, "Client", self.service))
        self.enterContext(patch.object(transfer, "RETRIES", (0.0, 0.0)))

    def write(self, *lines: Any) -> list[bytes]:
        """Write a file of lines, each a document or bytes, and return them."""
        made = [line if isinstance(line, bytes) else ndjson([line]) for line in lines]
        self.file.write_bytes(b"".join(made))
        return made

    def fails(self, message: str) -> None:
        """An import fails, and says so."""
        with self.assertRaisesRegex(TransferError, message):
            import_tasks(URL, self.file)

    def files(self) -> set[str]:
        """Return what is in the folder."""
        return {file.name for file in self.folder.iterdir()}


class ImportTest(TransferCase):

    def test_lines_go_in_batches_each_with_a_key_of_its_own(self) -> None:
        lines = self.write(*({"title": str(number)} for number in range(2_500)))
        self.assertEqual(import_tasks(URL, self.file), 2_500)
        self.assertEqual(
            [sent.body for sent in self.service.sent],
            [b"".join(lines[start:start + 1_000]) for start in (0, 1_000, 2_000)])
        self.assertEqual(len({sent.key for sent in self.service.sent}), 3)
        for sent in self.service.sent:
            self.assertEqual((sent.method, sent.path), ("POST", "/tasks"))
            self.assertEqual(sent.headers["Content-Type"], NDJSON)
            self.assertRegex(sent.key, r'\A"[0-9a-f]{32}-\d+"\Z')
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_a_batch_is_of_bounded_size(self) -> None:
        self.enterContext(patch.object(transfer, "BATCH_BYTES", 100))
        lines = self.write(*({"title": "x" * size} for size in (20, 30, 40, 300, 1)))
        import_tasks(URL, self.file)
        self.assertEqual(b"".join(sent.body or b"" for sent in self.service.sent), b"".join(lines))
        self.assertEqual(
            [len((sent.body or b"").splitlines()) for sent in self.service.sent], [3, 1, 1])

    def test_empty_lines_are_no_request(self) -> None:
        self.enterContext(patch.object(transfer, "BATCH_LINES", 2))
        self.write(b"\n", b" \n", {"title": "a"}, b"\n", b"\n", b"\n")
        self.assertEqual(import_tasks(URL, self.file), 1)
        self.assertEqual([sent.body for sent in self.service.sent], [b'{"title": "a"}\n\n'])

    def test_nothing_is_sent_where_a_line_is_invalid(self) -> None:
        for bad, told in (({"title": ""}, "/title: "), (b'{"title\n', "/: Invalid JSON body"),
                          ({"id": "_", "task": {"title": "a"}}, "/id: expected 1 to 128"),
                          ({"id": "a", "task": {}}, "/task: ")):
            with self.subTest(bad):
                self.write(*[{"title": "a"}] * 1_499, bad, {"title": "b"})
                self.fails(f"nothing was sent. {self.file}:1500: {told}")
        self.assertEqual(self.service.sent, [])
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_so_it_is_where_an_id_comes_twice_however_far_apart(self) -> None:
        self.enterContext(patch.object(transfer, "BATCH_LINES", 2))
        task = {"id": "a", "task": {"title": "a"}}
        for between in (0, 1, 2, 5):
            self.write({"title": "a"}, task, *[{"title": "a"}] * between, task)
            self.fails(f"nothing was sent. {self.file}:{3 + between}: /id: an earlier line")
        self.assertEqual(self.service.sent, [])

    def test_how_many_more_are_invalid_is_told(self) -> None:
        self.write({"title": ""}, {"title": 1, "priority": 2})
        self.fails(r":1: /title: .* \(and 2 more\)")

    def test_an_id_that_exists_is_told_by_its_line_in_the_file(self) -> None:
        self.enterContext(patch.object(transfer, "BATCH_LINES", 2))
        self.write(*({"title": str(number)} for number in range(6)))
        self.service.answer(None, taken("/2/id"))
        self.fails(f"{self.file}:4: /id: 'a' exists already. 2 lines are done")
        self.assertEqual(self.files(), {"tasks.ndjson", "tasks.ndjson.import"})

    def test_one_that_is_refused_from_the_start_leaves_nothing_to_go_on_with(self) -> None:
        self.write({"title": "a"})
        self.service.answer(taken("/1/id"))
        self.fails(":1: /id: ")
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_while_the_service_is_away_the_same_is_sent_again(self) -> None:
        self.write({"title": "a"})
        self.service.answer(_AwayError("away"), _AwayError("away"), None)
        self.assertEqual(import_tasks(URL, self.file), 1)
        self.assertEqual(len(self.service.sent), 3)
        self.assertEqual(self.service.sent[1:], self.service.sent[:1] * 2)

    def test_one_that_stopped_goes_on_where_it_was_with_the_same_key(self) -> None:
        self.enterContext(patch.object(transfer, "BATCH_LINES", 2))
        lines = self.write(*({"title": str(number)} for number in range(5)))
        self.service.answer(None, *[_AwayError("the network")] * 3)
        self.fails("the network. 2 lines are done; the same command goes on from there")
        unanswered = self.service.sent[-1]
        self.service.sent.clear()
        import_tasks(URL, self.file)
        self.assertEqual(self.service.sent[0], unanswered)
        self.assertEqual([sent.body for sent in self.service.sent], [lines[2] + lines[3], lines[4]])
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_one_that_is_interrupted_while_it_sends_goes_on_with_the_same_key(self) -> None:
        self.write({"title": "a"})
        with self.assertRaises(KeyboardInterrupt), patch.object(
                self.service, "request", side_effect=KeyboardInterrupt) as request:
            import_tasks(URL, self.file)
        import_tasks(URL, self.file)
        self.assertEqual(self.service.sent[0].headers, request.call_args.args[2])

    def test_two_runs_have_other_keys(self) -> None:
        self.write({"title": "a"})
        for _ in range(2):
            import_tasks(URL, self.file)
        self.assertNotEqual(self.service.sent[0].key, self.service.sent[1].key)

    def test_it_does_not_go_on_with_another_file_or_service(self) -> None:
        self.enterContext(patch.object(transfer, "BATCH_LINES", 1))
        self.write({"title": "a"}, {"title": "b"})
        self.service.answer(None, *[_AwayError("away")] * 3)
        self.fails("1 lines are done")
        with self.assertRaisesRegex(TransferError, "another service"):
            import_tasks("http://other", self.file)
        self.write({"title": "a"}, {"title": "c!"})
        self.fails(f"{self.file}.import is of an import of another file")
        self.assertEqual(len(self.service.sent), 4)

    def test_another_answer_is_told(self) -> None:
        self.write({"title": "a"})
        for status in (401, 413, 415, 422, 500):
            self.service.answer(Answer(status))
            self.fails(f"the service answered {status} {http.client.responses[status]}")

    def test_a_file_that_is_not_there_is_told(self) -> None:
        self.fails(f"{self.file}: No such file or directory")


class ExportTest(TransferCase):

    def test_what_comes_is_written_as_it_is(self) -> None:
        self.service.answer(Answer(200, [b'{"id": 1}\n{"id"', b': 2}\n']))
        self.assertEqual(export_tasks(URL, self.file), 2)
        self.assertEqual(self.file.read_bytes(), b'{"id": 1}\n{"id": 2}\n')
        self.assertEqual(self.files(), {"tasks.ndjson"})
        self.assertEqual(self.service.sent, [Sent("GET", "/tasks", {"Accept": NDJSON}, None)])

    def test_one_that_breaks_off_leaves_the_file_as_it_was(self) -> None:
        self.file.write_text("before")
        for error in (http.client.IncompleteRead(b""), ConnectionResetError()):
            self.service.answer(Answer(200, [b"{}\n", error]))
            with self.assertRaisesRegex(TransferError, f"broke off, {self.file} is as it was"):
                export_tasks(URL, self.file)
            self.assertEqual((self.file.read_text(), self.files()), ("before", {"tasks.ndjson"}))

    def test_a_place_that_cannot_be_written_is_told(self) -> None:
        self.service.answer(Answer(200, b"{}\n"))
        with self.assertRaisesRegex(TransferError, "nowhere"):
            export_tasks(URL, self.folder / "nowhere" / "file")

    def test_another_answer_is_told(self) -> None:
        self.service.answer(Answer(500))
        with self.assertRaisesRegex(TransferError, "answered 500 Internal Server Error"):
            export_tasks(URL, self.file)


class CommandTest(TransferCase):

    def main(self, command: str) -> tuple[int, str, str]:
        """Run a command; return its exit code and what it printed."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = transfer.main(command, URL, self.file)
        return code, out.getvalue(), err.getvalue()

    def test_it_says_what_it_did_and_shows_no_progress_to_nobody(self) -> None:
        self.service.answer(Answer(200, b"{}\n{}\n"))
        self.assertEqual(self.main("export"), (0, "exported 2 tasks\n", ""))
        self.write({"title": "a"})
        self.assertEqual(self.main("import"), (0, "imported 1 tasks\n", ""))

    def test_it_fails_in_one_line(self) -> None:
        self.service.answer(Answer(500))
        code, out, err = self.main("export")
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))
        self.assertTrue(err.startswith("export: the service answered 500"))
        code, out, err = self.main("import")
        self.assertEqual(
            (code, out, err), (1, "", f"import: {self.file}: No such file or directory\n"))

    def test_a_wrong_option_is_2_and_told_before_the_file_is_looked_at(self) -> None:
        with patch.object(transfer, "Client", side_effect=OptionError("--url: expected")):
            for command in ("export", "import"):
                self.assertEqual(self.main(command), (2, "", f"{command}: --url: expected\n"))

    def test_a_401_tells_where_the_token_is_to_be(self) -> None:
        self.write({"title": "a"})
        told = "the service answered 401 Unauthorized: TASKSERVICE_TOKEN has no token that it knows"
        for command, more in (("export", ""), ("import", ". 0 lines are done; the same command")):
            self.service.answer(Answer(401))
            code, _, err = self.main(command)
            self.assertEqual(code, 1)
            self.assertTrue(err.startswith(f"{command}: {told}{more}"), err)

    def test_an_answer_without_a_hint_ends_without_a_blank(self) -> None:
        self.service.answer(Answer(500))
        self.assertEqual(
            self.main("export")[2], "export: the service answered 500 Internal Server Error\n")


class ClientTest(unittest.TestCase):

    def test_what_is_no_url_of_a_service_is_told(self) -> None:
        for url in ("localhost:8080", "ftp://a", "http://", "", "http://a:port", "http://a:0",
                    "http://a:65536", "http://[::1", "http://a..b", "http://a b", "http://a/ä"):
            with self.subTest(url), self.assertRaisesRegex(
                    OptionError, "--url: expected http://HOST:PORT"):
                transfer.Client(url)

    def test_a_url_need_not_have_a_port(self) -> None:
        for url, connected in (("http://[::1]", ("::1", 80)), ("https://a", ("a", 443)),
                               ("http://a:8080", ("a", 8080)), ("http://bücher", ("bücher", 80))):
            connection = transfer.Client(url)._connection
            self.assertEqual((connection.host, connection.port), connected)

    def test_a_token_that_cannot_be_sent_is_told_and_not_shown(self) -> None:
        told = "TASKSERVICE_TOKEN: expected a token of printable ASCII characters"
        for token in ("bad\nx", "bad\r", "bad\0", "b€d", "b\udcffd"):
            with self.subTest(token), self.assertRaises(OptionError) as caught:
                transfer._access(token)
            self.assertEqual(str(caught.exception), told)

    def test_a_token_is_sent(self) -> None:
        self.assertEqual(transfer._access("a-Z_9"), {"Authorization": "Bearer a-Z_9"})
        self.assertEqual((transfer._access(None), transfer._access("")), ({}, {}))


if __name__ == "__main__":
    unittest.main()
