"""What an import takes for tasks, and what it calls what it does not take."""

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import threading
import unittest
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from taskservice.client.errors import AwayError
from tests.helpers.api import ndjson
from tests.helpers.transfer import PATIENCE, TransferTestCase, answer, call

TASKS = {"a": {"title": "é"}, "b": {"title": "B", "completed": True}}
TRIPLES = [{"id": id_, "revision": 1, "task": task} for id_, task in TASKS.items()]
BOM = b"\xef\xbb\xbf"


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Give this process other bytes as its standard input."""
    kept = os.dup(0)
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        thread.join(PATIENCE)


class SourceTestCase(TransferTestCase):

    def takes(self, data: bytes, known: int = 0) -> None:
        """The file is taken: it has TASKS."""
        self.file.write_bytes(data)
        self.service.tasks.clear()
        self.assertEqual(call("import", "http://a", self.file), (0, "imported 2 tasks\n", ""))
        self.assertEqual(self.service.tasks, TASKS)

    def refuses(self, data: bytes, message: str) -> None:
        """The file is refused in one line, and nothing is sent."""
        self.file.write_bytes(data)
        code, out, err = call("import", "http://a", self.file)
        self.assertEqual((code, out, err), (1, "", f"import: {message}\n"))
        self.assertEqual(self.service.sent, [])


class EncodingTest(SourceTestCase):

    def test_a_bom_is_skipped_also_where_files_were_put_together(self) -> None:
        self.takes(BOM + ndjson(TRIPLES))
        self.takes(b"".join(BOM + ndjson([triple]) for triple in TRIPLES))

    def test_a_file_that_has_nothing_but_a_bom_is_empty(self) -> None:
        for nothing in (BOM, BOM + b"\n"):
            self.file.write_bytes(nothing)
            self.assertEqual(call("import", "http://a", self.file), (0, "imported 0 tasks\n", ""))

    def test_lines_may_end_as_on_windows(self) -> None:
        self.takes(ndjson(TRIPLES).replace(b"\n", b"\r\n"))

    def test_other_encodings_are_named_with_the_command_that_converts_them(self) -> None:
        text = ndjson(TRIPLES).decode()
        for encoding in ("UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE"):
            with self.subTest(encoding):
                self.refuses(
                    text.encode(encoding),
                    f"{self.file} is {encoding}: iconv -f {encoding} -t UTF-8 '{self.file}' | run.py import -")

    def test_those_commands_do(self) -> None:
        for encoding in ("UTF-16", "UTF-32BE", "ISO-8859-1"):
            text = "".join(json.dumps(triple, ensure_ascii=False) + "\n" for triple in TRIPLES)
            self.file.write_bytes(text.encode(encoding))
            _, _, err = call("import", "http://a", self.file)
            command = err[err.index("iconv"):].partition(" | ")[0]
            self.takes(subprocess.run(command, shell=True, capture_output=True, check=True, timeout=PATIENCE).stdout)

    def test_latin_1_is_named_with_its_line(self) -> None:
        self.refuses(
            ndjson(TRIPLES[1:]) + '{"title": "é"}\n'.encode("latin-1"),
            f"nothing was sent. {self.file}:2: byte 12 is not UTF-8; if it is ISO-8859-1 (latin-1): "
            f"iconv -f ISO-8859-1 -t UTF-8 '{self.file}' | run.py import -")

    def test_compressed_files_are_named_with_the_command_that_unpacks_them(self) -> None:
        text = ndjson(TRIPLES)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("tasks.ndjson", text)
        for form, unpack, data in (
                ("gzip", "gunzip -c", gzip.compress(text)), ("bzip2", "bunzip2 -c", bz2.compress(text)),
                ("xz", "unxz -c", lzma.compress(text)), ("zip", "unzip -p", archive.getvalue()),
                ("Zstandard", "unzstd -c", b"\x28\xb5\x2f\xfd\x04\x00")):
            with self.subTest(form):
                self.refuses(data, f"{self.file} is compressed ({form}): {unpack} '{self.file}' | run.py import -")


class JSONTest(SourceTestCase):

    def test_the_object_of_get_tasks_is_taken_in_one_line_or_many(self) -> None:
        for document in (TASKS, TRIPLES):
            for indent in (None, 2):
                for start in (b"", BOM, b" \r\n"):
                    self.takes(start + json.dumps(document, indent=indent).encode())

    def test_so_is_one_without_tasks(self) -> None:
        for empty in (b"{}", b" { }\n", b"[]"):
            self.file.write_bytes(empty)
            self.assertEqual(call("import", "http://a", self.file), (0, "imported 0 tasks\n", ""))

    def test_and_a_large_one(self) -> None:
        large = {f"id-{number}": {"title": "x" * 1_000} for number in range(3_500)}
        self.file.write_text(json.dumps(large))
        self.assertEqual(call("import", "http://a", self.file), (0, "imported 3500 tasks\n", ""))
        self.assertEqual(self.service.tasks, large)

    def test_one_that_was_cut_is_refused(self) -> None:
        for document in (TASKS, TRIPLES):
            text = json.dumps(document).encode()
            for size in (len(text) - 1, len(text) // 2):
                self.file.write_bytes(text[:size])
                code, _, err = call("import", "http://a", self.file)
                self.assertEqual((code, err.count("\n")), (1, 1))
                self.assertIn(
                    f"{self.file} begins as a JSON array or the JSON object of GET /tasks, and is not whole or ", err)
        self.assertEqual(self.service.sent, [])

    def test_what_is_wrong_is_named_by_the_number_of_the_task(self) -> None:
        self.refuses(
            json.dumps({**TASKS, "c": {"title": ""}}).encode(),
            f'nothing was sent. {self.file}: task 3: /task/title: "" is shorter than 1 character')
        self.refuses(b'[{"title": "a"}, 5]', f'nothing was sent. {self.file}: task 2: /: 5 is not of type "object"')

    def test_it_is_resumed_as_a_file_of_lines_is(self) -> None:
        self.file.write_text(json.dumps([{"title": str(number)} for number in range(1_500)]))
        self.service.answer(None, AwayError("the network"))
        code, _, err = call("import", "http://a", self.file)
        self.assertEqual(
            err, "import: the network. 1000 tasks are done; the same command goes on from there\n")
        self.assertEqual(call("import", "http://a", self.file), (0, "imported 500 tasks\n", ""))

    def test_a_line_that_looks_like_neither_is_reported_as_a_line(self) -> None:
        self.refuses(b'{"task": {"title": "a"}}\n', (
            f"nothing was sent. {self.file}:1: /id: expected 1 to 128 of the characters a-z, A-Z, 0-9, -"))


class StreamTest(SourceTestCase):

    def test_standard_input_is_imported(self) -> None:
        for name in ("-", "/dev/stdin", "/dev/fd/0"):
            for data in (ndjson(TRIPLES), BOM + ndjson(TRIPLES), json.dumps(TASKS).encode()):
                with self.subTest(name=name, data=data), standard_input(data):
                    self.service.tasks.clear()
                    self.assertEqual(call("import", "http://a", name), (0, "imported 2 tasks\n", ""))
                    self.assertEqual(self.service.tasks, TASKS)

    def test_it_cannot_be_resumed_and_says_so_but_the_same_again_is_safe(self) -> None:
        data = ndjson({"title": str(number)} for number in range(1_500))
        self.service.answer(None, AwayError("the network"))
        with standard_input(data):
            self.assertEqual(call("import", "http://a", "-"), (1, "", (
                "import: the network. 1000 lines are done; standard input cannot be resumed, but the same tasks again, "
                "within 24 hours, create nothing twice\n")))
        with standard_input(data):
            self.assertEqual(
                call("import", "http://a", "-"), (0, "imported 500 tasks, 1000 already imported\n", ""))

    def test_its_lines_are_checked_before_any_is_sent(self) -> None:
        with standard_input(ndjson([{"title": "a"}] * 1_500 + [{"title": ""}])):
            code, _, err = call("import", "http://a", "-")
        self.assertEqual(code, 1)
        self.assertTrue(err.startswith("import: nothing was sent. standard input:1501: /title: "), err)
        self.assertEqual(self.service.sent, [])

    def test_what_it_is_in_is_named_with_a_command_that_reads_it(self) -> None:
        for data, said in ((gzip.compress(b"{}"), "compressed (gzip): gunzip -c | run.py import -"),
                           ("{}".encode("utf-16"), "UTF-16: iconv -f UTF-16 -t UTF-8 | run.py import -")):
            with standard_input(data):
                self.assertEqual(
                    call("import", "http://a", "-"), (1, "", f"import: standard input is {said}\n"))

    def test_so_it_is_with_a_fifo(self) -> None:
        os.mkfifo(self.file)
        writer = threading.Thread(target=self.file.write_bytes, args=[ndjson(TRIPLES)], daemon=True)
        writer.start()
        self.assertEqual(call("import", "http://a", self.file), (0, "imported 2 tasks\n", ""))
        writer.join(PATIENCE)
        self.assertEqual(self.files(), {"tasks.ndjson"})
        writer = threading.Thread(target=self.file.write_bytes, args=[ndjson(TRIPLES)], daemon=True)
        writer.start()
        self.service.answer(answer(507))
        _, _, err = call("import", "http://a", self.file)
        self.assertIn(f"{self.file} cannot be resumed, but", err)
        writer.join(PATIENCE)

    def test_without_a_standard_input_that_is_reported(self) -> None:
        kept = os.dup(0)
        os.close(0)
        try:
            self.assertEqual(
                call("import", "http://a", "-"), (1, "", "import: standard input: Bad file descriptor\n"))
        finally:
            os.dup2(kept, 0)
            os.close(kept)


del SourceTestCase, TransferTestCase  # they are no tests

if __name__ == "__main__":
    unittest.main()
