"""`run.py import` without a network: what is sent, what is reported, and where it goes on."""

import itertools
import json
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

from taskservice.client.errors import AwayError, OptionError
from tests.helpers.transfer import URL, TransferTestCase, answer, call, created, powerless

TASK = {"id": "a", "revision": 5, "task": {"title": "A", "completed": False}}


class ImportTestCase(TransferTestCase):

    def do(self) -> str:
        """Import the file, which succeeds; return what that says."""
        code, out, err = call("import", URL, self.file)
        self.assertEqual((code, err), (0, ""))
        return out

    def fails(self, message: str, code: int = 1) -> None:
        """The import fails, and says so in one line."""
        found, out, err = call("import", URL, self.file)
        self.assertEqual((found, out, err.count("\n")), (code, "", 1), err)
        self.assertRegex(err, f"^import: {message}")

    def numbered(self, count: int) -> list[bytes]:
        """Write so many tasks, each with its number."""
        return self.write(*({"title": str(number)} for number in range(count)))

    def titles(self) -> list[str]:
        """Return the titles of all tasks, in the order in which they came."""
        return [task["title"] for task in self.service.tasks.values()]


class SendTest(ImportTestCase):

    def test_lines_go_in_pieces_each_with_a_key_of_its_own(self) -> None:
        lines = self.numbered(2_500)
        self.assertEqual(self.do(), "imported 2500 tasks\n")
        self.assertEqual(
            [sent.body for sent in self.service.sent],
            [b"".join(lines[start:start + 1_000]) for start in (0, 1_000, 2_000)])
        self.assertEqual(len({sent.key for sent in self.service.sent}), 3)
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_a_key_is_one_for_the_service(self) -> None:
        for line in ({"title": "a"}, TASK):
            self.write(line)
            self.do()
            self.assertRegex(self.service.sent[-1].key, r'\A"[0-9a-z-]{32,100}"\Z')

    def test_a_piece_is_no_larger_than_nginx_takes_by_default_but_a_line_may_be(self) -> None:
        lines = self.write(*({"title": "x" * size} for size in (300_000, 400_000, 400_000, 2_000_000, 1)))
        self.do()
        self.assertEqual(b"".join(sent.body for sent in self.service.sent), b"".join(lines))
        self.assertEqual([sent.count for sent in self.service.sent], [2, 1, 1, 1])

    def test_one_task_is_in_the_singular(self) -> None:
        self.write({"title": "a"})
        self.assertEqual(self.do(), "imported 1 task\n")

    def test_empty_lines_are_no_request(self) -> None:
        self.write(b"\n" * 1_000, {"title": "a"}, b" \r\n" * 1_500, {"title": "b"})
        self.assertEqual(self.do(), "imported 2 tasks\n")
        self.assertEqual([sent.count for sent in self.service.sent], [1, 1])

    def test_an_empty_file_is_imported(self) -> None:
        self.write()
        self.assertEqual(self.do(), "imported 0 tasks\n")
        self.assertEqual(self.service.sent, [])

    def test_the_last_line_needs_no_end(self) -> None:
        self.write({"title": "a"}, b'{"title": "b"}')
        self.do()
        self.assertEqual(self.titles(), ["a", "b"])

    def test_lines_and_triples_may_be_mixed(self) -> None:
        self.write({"title": "b"}, TASK)
        self.do()
        self.assertEqual(sorted(self.titles()), ["A", "b"])
        self.assertIn("a", self.service.tasks)

    def test_no_lost_answer_makes_a_task_twice_whatever_is_there_already(self) -> None:
        """The service creates what it is sent, and then it is away."""
        for lost in range(1, 5):
            for known in (False, True):
                with self.subTest(lost=lost, known=known):
                    self.service = self.service.__class__()
                    if known:
                        self.service.tasks["a"] = TASK["task"]
                    with patch("taskservice.client.import_.Client", self.service):
                        self.write(TASK, {"title": "bare"}, {"id": "b", "task": {"title": "B"}})
                        with patch.object(self.service, "post", self.losing(lost)):
                            call("import", URL, self.file)
                        self.do()
                    self.assertEqual(sorted(self.titles()), ["A", "B", "bare"])

    def losing(self, lost: int) -> Any:
        """Return a `post` whose answer of this number, and all after it, are lost."""
        real, count = self.service.post, itertools.count(1)

        def post(path: str, headers: Any, body: bytes) -> Any:
            number = next(count)
            if number > lost:
                raise AwayError("the network")
            answered = real(path, headers, body)
            if number == lost:
                raise AwayError("the network")
            return answered
        return post


class CheckTest(ImportTestCase):

    def test_nothing_is_sent_where_a_line_is_invalid(self) -> None:
        for bad, said in (({"title": ""}, "/title: "), (b'{"title\n', "/: Invalid JSON body"),
                          ({"id": "_", "task": {"title": "a"}}, "/id: expected 1 to 128"),
                          ({"id": "a", "task": {}}, "/task: ")):
            with self.subTest(bad):
                self.write(*[{"title": "a"}] * 1_499, bad, {"title": "b"})
                self.fails(f"nothing was sent. {self.file}:1500: {said}")
        self.assertEqual(self.service.sent, [])
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_so_it_is_where_an_id_comes_twice_however_far_apart(self) -> None:
        for between in (0, 1, 998, 1_500):
            self.write({"title": "a"}, TASK, *[{"title": "a"}] * between, TASK)
            self.fails(f"nothing was sent. {self.file}:{3 + between}: /id: an earlier line")
        self.assertEqual(self.service.sent, [])

    def test_how_many_more_are_invalid_is_reported(self) -> None:
        self.write({"title": ""}, {"title": 1, "priority": 2})
        self.fails(r".*:1: /title: .* \(and 2 more\)")

    def test_a_message_is_one_line_whatever_the_file_has(self) -> None:
        self.write({"title": "a", "evil\n\x1b[31m": 1})
        self.fails(".*unexpected")

    def test_a_file_that_cannot_be_read_is_reported(self) -> None:
        self.fails(f"{self.file}: No such file or directory")
        code, _, err = call("import", URL, self.folder)
        self.assertEqual((code, err), (1, f"import: {self.folder}: Is a directory\n"))

    def test_ctrl_c_is_reported(self) -> None:
        self.write(TASK)
        with patch("taskservice.client.import_.parse_batch", side_effect=KeyboardInterrupt):
            self.fails("interrupted, nothing was sent$", 130)


class RefusedTest(ImportTestCase):

    def test_another_answer_is_reported_with_how_to_go_on(self) -> None:
        self.numbered(1_500)
        for status in (400, 401, 403, 415, 422, 500, 507):
            self.service.answer(answer(status))
            self.fails(f"the service answered {status}. 0 lines are done; the same command goes on from there$")

    def test_it_may_be_an_answer_of_something_else(self) -> None:
        self.write({"title": "a"})
        for wrong in ({"errors": 5}, {"errors": [5, {}]}, {"errors": [{"pointer": "/9/a", "detail": "no\nway"}]},
                      {"errors": [{"pointer": "", "detail": "expected a task a line"}]}):
            self.service.answer(answer(400, **wrong))
            self.fails(".*0 lines are done")

    def test_one_id_a_task_is_expected(self) -> None:
        self.numbered(3)
        self.service.answer(created(2))
        self.fails("the service answered with 2 ids for 3. 0 lines")

    def test_fewer_lines_are_sent_to_a_service_that_takes_no_more(self) -> None:
        self.numbered(1_500)
        self.service.most = 300
        self.assertEqual(self.do(), "imported 1500 tasks\n")
        self.assertEqual([sent.count for sent in self.service.sent], [1_000, 500] + [250] * 6)
        self.assertEqual(self.do(), "imported 0 tasks, 1500 already imported\n")

    def test_a_line_that_can_never_go_is_reported(self) -> None:
        self.write({"title": "a"}, {"title": "b"}, {"title": "too large"})
        self.service.answer(answer(413), None, None, answer(413))
        self.fails(
            f"{self.file}:3: this line can never go: it has 23 bytes, and the service answered 413. "
            "2 lines are done; the same command goes on from there")
        self.write({"title": "a"}, {"title": "b"}, {"title": "c"})
        self.assertEqual(self.do(), "imported 1 task\n")
        self.assertEqual(self.titles(), ["a", "b", "c"])


class AgainTest(ImportTestCase):
    """The same tasks once more."""

    def test_a_file_of_triples_does_nothing_where_they_are_the_same(self) -> None:
        self.write(TASK, {"id": "b", "task": {"title": "B", "due_date": 1}})
        self.do()
        self.service.forget()
        self.write({"id": "b", "task": {"due_date": 1, "title": "B"}}, b"\n", {**TASK, "revision": 9})
        self.assertEqual(self.do(), "imported 0 tasks, 2 already imported\n")
        self.assertEqual(len(self.service.tasks), 2)

    def test_what_is_not_there_yet_is_created(self) -> None:
        self.write(TASK)
        self.do()
        self.write({"title": "new"}, TASK, {"id": "c", "task": {"title": "C"}})
        self.assertEqual(self.do(), "imported 2 tasks, 1 already imported\n")
        self.assertEqual(sorted(self.titles()), ["A", "C", "new"])

    def test_all_tasks_are_read_once_however_many_there_are(self) -> None:
        self.write(*({"id": f"id-{number}", "task": {"title": "a"}} for number in range(3_500)))
        self.do()
        self.service.sent.clear()
        self.assertEqual(self.do(), "imported 0 tasks, 3500 already imported\n")
        self.assertEqual((self.service.lists, len(self.service.sent)), (1, 1))

    def test_an_id_that_is_there_with_other_content_is_named_by_its_line(self) -> None:
        for other in ({"title": "B", "completed": False}, {"title": "A"}, {"title": "A", "completed": True}):
            self.service.tasks = {"a": other}
            self.service.forget()
            self.write(*[{"title": "x"}] * 1_200, TASK)
            self.fails(f"{self.file}:1201: /id: 'a' exists already, with other content. 1000 lines are done; ")
            self.assertEqual(self.service.tasks["a"], other)
            self.assertEqual(len(self.service.tasks), 1_001)
            self.file.with_name("tasks.ndjson.import").unlink()

    def test_one_that_is_deleted_in_between_is_reported_as_the_service_does(self) -> None:
        self.write(TASK)
        taken = answer(400, errors=[{"pointer": "/1/id", "detail": "'a' exists already"}])
        self.service.answer(taken, taken)
        self.fails(f"{self.file}:1: /id: 'a' exists already. 0 lines")

    def test_triples_that_were_deleted_are_created_again(self) -> None:
        self.write(TASK)
        self.do()
        self.service.tasks.clear()
        self.assertEqual(self.do(), "imported 1 task\n")

    def test_a_file_of_tasks_without_ids_is_known_by_its_content(self) -> None:
        self.numbered(1_500)
        self.do()
        other = self.file.rename(self.folder / "other name")
        self.file.write_bytes(other.read_bytes())
        self.assertEqual(self.do(), "imported 0 tasks, 1500 already imported\n")
        self.service.forget()
        self.assertEqual(self.do(), "imported 1500 tasks\n")

    def test_the_same_lines_in_one_file_are_tasks_each(self) -> None:
        self.write(*[{"title": "a"}] * 3_000)
        self.assertEqual(self.do(), "imported 3000 tasks\n")

    def test_an_answer_that_was_lost_and_came_at_another_try_counts_as_created(self) -> None:
        self.write({"title": "a"})
        self.service.answer(created(1, replayed=True, retried=True))
        self.assertEqual(self.do(), "imported 1 task\n")


class ResumeTestCase(ImportTestCase):

    def stop_after(self, pieces: int, error: BaseException | None = None) -> None:
        """The service goes away after so many requests."""
        self.service.answer(*[None] * pieces, error or AwayError("the network"))

    @property
    def kept(self) -> Path:
        """The file that has the progress."""
        return self.file.with_name(f"{self.file.name}.import")


class ResumeTest(ResumeTestCase):

    def test_it_goes_on_where_it_was_with_the_same_key(self) -> None:
        lines = self.numbered(2_500)
        self.stop_after(1)
        self.fails("the network. 1000 lines are done; the same command goes on from there")
        unanswered = self.service.sent[-1]
        self.service.sent.clear()
        self.assertEqual(self.do(), "imported 1500 tasks\n")
        self.assertEqual(self.service.sent[0], unanswered)
        self.assertEqual(b"".join(sent.body for sent in self.service.sent), b"".join(lines[1_000:]))
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_so_it_does_where_it_was_interrupted(self) -> None:
        for done in (0, 1):
            self.service = self.service.__class__()
            with patch("taskservice.client.import_.Client", self.service):
                self.numbered(1_500)
                self.stop_after(done, KeyboardInterrupt())
                self.fails(
                    rf"interrupted. {done * 1_000} lines are done; the same command goes on from there$", 130)
                unanswered = self.service.sent[-1]
                self.do()
                self.assertEqual(self.service.sent[done + 1], unanswered)
                self.assertEqual(len(self.service.tasks), 1_500)

    def test_one_line_is_in_the_singular(self) -> None:
        self.write({"title": "x" * 900_000}, {"title": "y" * 900_000})
        self.stop_after(1)
        self.fails("the network. 1 line is done; ")

    def test_one_that_has_done_nothing_leaves_nothing(self) -> None:
        self.write(TASK)
        self.stop_after(0)
        self.fails("the network. 0 lines are done")
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_what_is_not_done_yet_may_be_edited(self) -> None:
        self.numbered(2_000)
        self.service.answer(None, answer(400, errors=[{"pointer": "/5/title", "detail": "no"}]))
        self.fails(f"{self.file}:1005: /title: no. 1000 lines are done")
        lines = self.numbered(1_500)
        self.file.write_bytes(b"".join(lines).replace(b'"1004"', b'"another"'))
        self.assertEqual(self.do(), "imported 500 tasks\n")
        self.assertIn("another", self.titles())
        self.assertEqual(len(self.service.tasks), 1_500)

    def test_a_line_is_counted_from_the_beginning_of_the_file(self) -> None:
        self.numbered(1_500)
        self.stop_after(1)
        self.fails("the network")
        self.write(*({"title": str(number)} for number in range(1_200)), {"title": ""})
        self.fails(f"nothing was sent. {self.file}:1201: /title")

    def test_it_does_not_go_on_with_another_file_or_service(self) -> None:
        self.numbered(1_500)
        self.stop_after(1)
        self.fails("the network")
        code, _, err = call("import", "http://other", self.file)
        self.assertEqual((code, err.count("\n")), (1, 1))
        self.assertIn(f"{self.kept} is of an import to {URL}, of a file that began otherwise. "
                      "To import all anew, remove tasks.ndjson.import", err)
        self.write(*[{"title": "x"}] * 1_500)
        self.fails(f"{self.kept} is of an import to {URL}, ")
        self.write({"title": "short"})
        self.fails(f"{self.kept} is of an import to {URL}, ")
        self.assertEqual(len(self.service.sent), 2)

    def test_the_url_is_the_same_with_a_slash(self) -> None:
        self.numbered(1_500)
        self.stop_after(1)
        self.fails("the network")
        self.assertEqual(call("import", f"{URL}/", self.file), (0, "imported 500 tasks\n", ""))

    def test_how_many_lines_the_service_takes_is_kept(self) -> None:
        self.numbered(1_500)
        self.service.most = 300
        self.service.answer(None, None, None, AwayError("the network"))
        self.fails("the network. 250 lines are done")
        self.service.sent.clear()
        self.assertEqual(self.do(), "imported 1250 tasks\n")
        self.assertEqual([sent.count for sent in self.service.sent], [250] * 5)


class DamagedProgressTest(ResumeTestCase):
    """What is in the place of the file that has the progress."""

    def test_what_cannot_be_used_is_one_clear_line(self) -> None:
        self.numbered(1_500)
        self.stop_after(1)
        self.fails("the network")
        good = json.loads(self.kept.read_bytes())
        damaged: list[Any] = [
            {**good, name: value} for name, value in (
                ("version", 2), ("offset", "5"), ("offset", -1), ("line", 1.0), ("most", 0), ("most", True),
                ("url", None), ("done", 5), ("more", 1))]
        texts = [json.dumps(document).encode() for document in (*damaged, [], 5, None, {"version": 1})]
        for text in (*texts, b"", b"{", b"\xff", b"[" * 100_000, self.kept.read_bytes()[:-5]):
            with self.subTest(text[:200]):
                self.kept.write_bytes(text)
                self.fails(
                    f"{self.kept} says how far an import is, and cannot be used: it is damaged, or of another "
                    "version. To import all anew, remove tasks.ndjson.import")
        self.assertEqual(len(self.service.sent), 2)

    def test_so_it_is_with_what_cannot_be_read(self) -> None:
        self.write(TASK)
        self.kept.mkdir()
        self.fails(f"{self.kept} says how far an import is, and cannot be used: Is a directory. To import")
        self.kept.rmdir()
        self.kept.symlink_to(self.kept)
        self.fails(f"{self.kept} says how far an import is, and cannot be used: Too many levels")

    def test_one_of_a_killed_process_is_not_in_the_way(self) -> None:
        self.numbered(1_500)
        left = self.folder / f".{self.kept.name}.{'0' * 32}.part"
        left.write_bytes(b"half")
        self.do()
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_where_it_cannot_be_kept_the_import_goes_on_and_says_that_it_cannot_be_resumed(self) -> None:
        long_name = self.folder / ("x" * 250)  # to which no name fits that is longer by .import
        for self.file, why in ((long_name, "File name too long"), (self.file, "Permission denied")):
            self.numbered(1_500)
            self.folder.chmod(0o555)
            self.addCleanup(self.folder.chmod, 0o755)
            self.stop_after(1)
            with powerless():
                self.fails(
                    f"the network. 1000 lines are done; {self.file} cannot be resumed .*{self.kept}: {why}.*, "
                    "but the same tasks again, within 24 hours, create nothing twice")
                self.assertEqual(self.do(), "imported 500 tasks, 1000 already imported\n")
            self.folder.chmod(0o755)
            self.service.forget()


class OptionTest(ImportTestCase):

    def test_a_wrong_option_is_2_and_reported_before_the_file_is_looked_at(self) -> None:
        with patch("taskservice.client.import_.Client", side_effect=OptionError("--url: expected")):
            self.fails("--url: expected$", 2)


del ImportTestCase, ResumeTestCase, TransferTestCase  # they are no tests

if __name__ == "__main__":
    unittest.main()
