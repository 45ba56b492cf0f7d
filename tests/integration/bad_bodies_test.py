"""What is no task is refused with every reason, and never breaks the server."""

import json

from tests.helpers.app import AppTestCase, on_every_engine

NO_JSON: dict[str, bytes] = {
    "empty": b"",
    "white space": b"  \n",
    "a word": b"Task1",
    "cut": b'{"title": "Task1"',
    "two": b'{"title": "a"} {"title": "b"}',
    "single quotes": b"{'title': 'a'}",
    "trailing comma": b'{"title": "a",}',
    "invalid UTF-8": b'{"title": "\xff"}',
    "UTF-16": '{"title": "a"}'.encode("utf-16"),
    "overlong UTF-8": b'{"title": "\xc0\x80"}',
    "surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "lone surrogate": b'{"title": "\\ud800"}',
    "NaN": b'{"title": "a", "due_date": NaN}',
    "Infinity": b'{"title": "a", "due_date": -Infinity}',
    "bare control character": b'{"title": "a\x01"}',
    "deep": b'{"title": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep and cut": b"[" * 10_000,
}

NO_TASK: dict[str, tuple[str, list[str]]] = {
    "null": ("null", [""]),
    "a list": ('[{"title": "a"}]', [""]),
    "a text": ('"title"', [""]),
    "no title": ("{}", [""]),
    "empty title": ('{"title": ""}', ["/title"]),
    "null title": ('{"title": null}', ["/title"]),
    "U+0000": ('{"title": "a\\u0000b", "description": "\\u0000"}', ["/description", "/title"]),
    "unknown priority": ('{"title": "a", "priority": "soon"}', ["/priority"]),
    "priority in capitals": ('{"title": "a", "priority": "LOW"}', ["/priority"]),
    "completed is a number": ('{"title": "a", "completed": 1}', ["/completed"]),
    "due date is a text": ('{"title": "a", "due_date": "1"}', ["/due_date"]),
    "due date is too late": ('{"title": "a", "due_date": 9007199254740992}', ["/due_date"]),
    "due date is too early": ('{"title": "a", "due_date": -1e300}', ["/due_date"]),
    "unknown member": ('{"title": "a", "a/b~": 1}', [""]),
    "everything": ('{"title": 1, "description": 2, "priority": 3, "completed": 4, "due_date": "5",'
                   ' "x": 6}', ["", "/completed", "/description", "/due_date", "/priority",
                                "/title"]),
}


@on_every_engine
class BadBodiesTest(AppTestCase):

    def test_what_is_not_json_is_reported(self) -> None:
        for method, path in (("POST", "/tasks"), ("PUT", self.create())):
            for name, body in NO_JSON.items():
                with self.subTest(name, method=method):
                    answer = self.ask(method, path, body)
                    self.assertEqual((answer.code, answer.reason), (400, "Invalid JSON body"))
                    self.assertEqual(json.loads(answer.body), {
                        "method": method, "uri": path, "code": 400, "message": "Invalid JSON body",
                        "req_id": answer.headers["X-Request-Id"]})
        self.assert_nothing_was_written()

    def test_what_is_no_task_gets_every_reason(self) -> None:
        for method, path in (("POST", "/tasks"), ("PUT", self.create())):
            for name, (body, pointers) in NO_TASK.items():
                with self.subTest(name, method=method):
                    answer = self.ask(method, path, body)
                    self.assertEqual(
                        (answer.code, answer.reason), (400, "JSON Schema validation failed"))
                    reported = json.loads(answer.body)
                    self.assertEqual(reported["message"], "JSON Schema validation failed")
                    self.assertEqual(sorted(error["pointer"] for error in reported["errors"]), pointers)
                    self.assertTrue(all(error["detail"] for error in reported["errors"]))
        self.assert_nothing_was_written()

    def assert_nothing_was_written(self) -> None:
        self.assertEqual(
            list(json.loads(self.ask("GET", "/tasks").body).values()), [{"title": "Task1"}])

    def test_a_task_that_is_not_there_is_not_validated_away(self) -> None:
        """The order of checks: the body comes before the store."""
        self.assertEqual(self.ask("PUT", "/tasks/none", "{}").code, 400)

    def test_an_error_that_is_not_of_validation_has_no_list(self) -> None:
        self.assertNotIn("errors", json.loads(self.ask("GET", "/tasks/none").body))


class DebugTest(AppTestCase):
    """In debug mode a client sees the traceback."""

    debug_mode = True

    def test_an_error_has_its_trace(self) -> None:
        for method, path, body, last in (
                ("GET", "/tasks/none", None, "TaskNotFoundError: 'none'"),
                ("POST", "/tasks", "x", "MalformedBodyError: Invalid JSON body"),
                ("GET", "/nope", None, "HTTP 404: Unknown Endpoint"),
                ("FROB", "/tasks", None, "HTTP 405: Method Not Allowed")):
            with self.subTest(last):
                reported = json.loads(self.ask(method, path, body).body)
                self.assertTrue(reported["trace"].startswith("Traceback (most recent call last):\n"))
                self.assertTrue(reported["trace"].endswith(last), reported["trace"])
                self.assertEqual(list(reported)[:4], ["method", "uri", "code", "message"])
