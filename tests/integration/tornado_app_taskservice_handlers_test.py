"""The endpoints: the tutorial's session, and what each of them promises in `API.md`."""

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import data
from tests.helpers.app import AppTestCase, TaskServiceTornadoAppTestSetup, on_every_engine

JSON = "application/json; charset=UTF-8"


@on_every_engine
class TestTodoListServiceApp(TaskServiceTornadoAppTestSetup):

    def test_todoList_endpoints(self) -> None:
        """The tutorial's session, from an empty list to an empty list."""
        self.assertEqual(self.ask("GET", "/tasks").body, b"{}")
        created = self.ask("POST", "/tasks", '{"title": "Task1"}')
        self.assertEqual((created.code, created.reason, created.body), (201, "Created", b""))
        self.assertEqual(created.headers["Content-Length"], "0")
        path = created.headers["Location"]
        self.assertRegex(path, r"\A/tasks/[0-9a-f]{32}\Z")
        self.assert_reads(path, b'{"title": "Task1"}')
        self.assert_replaced(path, '{"title": "Task2"}')
        self.assert_reads("/tasks", b'{"%b": {"title": "Task2"}}' % path[7:].encode())
        deleted = self.ask("DELETE", path)
        self.assertEqual((deleted.code, deleted.reason), (204, "No Content"))
        self.assert_reads("/tasks", b"{}")
        gone = self.ask("GET", path)
        self.assertEqual((gone.code, gone.reason), (404, f"'{path[7:]}'"))
        self.assertEqual(json.loads(gone.body)["message"], f"'{path[7:]}'")

    def assert_reads(self, path: str, body: bytes) -> None:
        answer = self.ask("GET", path)
        self.assertEqual((answer.code, answer.reason, answer.body), (200, "OK", body))
        self.assertEqual(answer.headers["Content-Type"], JSON)
        self.assertEqual(answer.headers["Content-Length"], str(len(body)))
        self.assertRegex(answer.headers["ETag"], r'\A(W/)?"[0-9]+"\Z')

    def assert_replaced(self, path: str, body: str) -> None:
        before = self.etag(path)
        answer = self.ask("PUT", path, body)
        self.assertEqual((answer.code, answer.reason, answer.body), (204, "No Content", b""))
        self.assertNotIn(answer.headers["ETag"], ("", before))

    def test_the_data_files_are_posted_read_replaced_listed_and_deleted(self) -> None:
        first, second = (file.read_bytes() for file in data.task_data_suite())
        path = self.create(first)
        self.assertEqual(json.loads(self.ask("GET", path).body), json.loads(first))
        self.assertEqual(self.ask("PUT", path, second).code, 204)
        self.assertEqual(
            json.loads(self.ask("GET", "/tasks").body), {path[7:]: json.loads(second)})
        self.assertEqual(self.ask("DELETE", path).code, 204)


@on_every_engine
class TaskTest(AppTestCase):
    """What one task answers."""

    def test_it_reads_back_with_the_members_that_were_sent_and_no_other(self) -> None:
        for body in ('{"title": "Task1"}', '{"title": "é \\" 日本", "completed": false}',
                     '{"title": "t", "description": "", "priority": "none", "due_date": 0}'):
            with self.subTest(body):
                self.assertEqual(self.ask("GET", self.create(body)).body, body.encode())

    def test_numbers_keep_their_type(self) -> None:
        for sent, read in (("1", "1"), ("1.5", "1.5"), ("1.0", "1.0"), ("1e3", "1000.0"),
                           ("-0.0", "-0.0"), ("9007199254740991", "9007199254740991")):
            with self.subTest(sent):
                path = self.create('{"title": "t", "due_date": %s}' % sent)
                self.assertEqual(
                    self.ask("GET", path).body, b'{"title": "t", "due_date": %b}' % read.encode())

    def test_its_tag_is_that_of_its_last_write(self) -> None:
        created = self.ask("POST", "/tasks", '{"title": "a"}')
        path, tag = created.headers["Location"], created.headers["ETag"]
        self.assertRegex(tag, r'\A"[0-9]+"\Z')
        self.assertEqual(self.etag(path), tag)
        replaced = self.ask("PUT", path, '{"title": "b"}')
        self.assertGreater(int(replaced.headers["ETag"].strip('"')), int(tag.strip('"')))
        self.assertEqual(self.etag(path), replaced.headers["ETag"])

    def test_last_modified_is_when_it_was_written(self) -> None:
        before = datetime.now(timezone.utc).replace(microsecond=0)
        answer = self.ask("GET", self.create())
        written = parsedate_to_datetime(answer.headers["Last-Modified"])
        self.assertTrue(before <= written <= datetime.now(timezone.utc), written)
        self.assertTrue(answer.headers["Last-Modified"].endswith(" GMT"))

    def test_a_replacement_leaves_nothing_of_what_was(self) -> None:
        path = self.create('{"title": "a", "description": "b", "completed": true}')
        self.ask("PUT", path, '{"title": "c"}')
        self.assertEqual(self.ask("GET", path).body, b'{"title": "c"}')

    def test_one_that_is_not_there_is_named_by_its_quoted_id(self) -> None:
        for method, body in (("GET", None), ("PUT", '{"title": "x"}'), ("DELETE", None)):
            with self.subTest(method):
                answer = self.ask(method, "/tasks/No-Such-1", body)
                self.assertEqual((answer.code, answer.reason), (404, "'No-Such-1'"))
                self.assertEqual(json.loads(answer.body)["message"], "'No-Such-1'")

    def test_a_task_that_is_deleted_twice_is_there_once(self) -> None:
        path = self.create()
        self.assertEqual([self.ask("DELETE", path).code for _ in range(2)], [204, 404])

    def test_a_body_is_json_whatever_curl_declares(self) -> None:
        for kind in ("application/x-www-form-urlencoded", "application/json",
                     "application/json; charset=utf-8"):
            for body in ('{"title": "%s"}' % ("&" * 2000), '{"title": "a=b&c=%00+"}'):
                with self.subTest(kind):
                    answer = self.ask("POST", "/tasks", body, Content_Type=kind)
                    self.assertEqual(answer.code, 201, answer.body)
                    path = answer.headers["Location"]
                    self.assertEqual(self.ask("GET", path).body, body.encode())

    def test_a_multipart_body_is_no_error_of_the_server(self) -> None:
        for kind in ("multipart/form-data", "multipart/form-data; boundary=x", "multipart/mixed"):
            for body in ('{"title": "a"}', "--x\r\n\r\nbroken", "--x--"):
                with self.subTest(kind=kind, body=body):
                    answer = self.ask("POST", "/tasks", body, Content_Type=kind)
                    self.assertLess(answer.code, 500)


class MethodsTest(AppTestCase):
    """Which methods and paths there are; the same over any engine."""

    def test_a_trailing_slash_is_accepted(self) -> None:
        created = self.ask("POST", "/tasks/", '{"title": "Task1"}')
        path = created.headers["Location"]
        self.assertFalse(path.endswith("/"))
        self.assertEqual(self.ask("GET", path + "/").body, b'{"title": "Task1"}')
        self.assertEqual(self.ask("PUT", path + "/", '{"title": "b"}').code, 204)
        self.assertIn(path[7:], json.loads(self.ask("GET", "/tasks/").body))
        self.assertEqual(self.ask("DELETE", path + "/").code, 204)

    def test_head_is_get_without_the_body(self) -> None:
        for path in (self.create(), "/tasks", "/tasks/none", "/nope"):
            with self.subTest(path):
                get, head = (self.ask(method, path, X_Request_Id="x") for method in ("GET", "HEAD"))
                self.assertEqual(head.body, b"")
                self.assertEqual((head.code, head.reason), (get.code, get.reason))
                for name in get.headers.keys() - {"Date", "Content-Length"}:
                    self.assertEqual(head.headers.get(name), get.headers[name], name)
                if get.code == 200:
                    self.assertEqual(head.headers["Content-Length"], str(len(get.body)))

    def test_options_shows_the_methods(self) -> None:
        for path, methods in (("/tasks", {"GET", "HEAD", "POST", "OPTIONS"}),
                              (self.create(), {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})):
            with self.subTest(path):
                answer = self.ask("OPTIONS", path)
                self.assertEqual((answer.code, answer.body), (204, b""))
                self.assertLessEqual(methods, allowed(answer.headers["Allow"]))

    def test_another_method_is_405_and_lists_those_there_are(self) -> None:
        for path, methods in (("/tasks", ("DELETE", "PUT", "FROB")), ("/tasks/x", ("POST", "FROB"))):
            for method in methods:
                with self.subTest(path=path, method=method):
                    answer = self.ask(method, path)
                    self.assertEqual((answer.code, answer.reason), (405, "Method Not Allowed"))
                    allow = allowed(answer.headers["Allow"])
                    self.assertEqual(allow, allowed(self.ask("OPTIONS", path).headers["Allow"]))
                    self.assertNotIn(method, allow)
                    self.assertEqual(json.loads(answer.body)["code"], 405)

    def test_an_unknown_path_is_404_for_any_method(self) -> None:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FROB"):
            for path in ("/nope", "/tasks/a/b", "/tasks/%C3%A9", "/TASKS", "/tasks//"):
                with self.subTest(method=method, path=path):
                    answer = self.ask(method, path)
                    self.assertEqual((answer.code, answer.reason), (404, "Unknown Endpoint"))
                    self.assertEqual(json.loads(answer.body)["message"], "Unknown Endpoint")

    def test_what_every_answer_has(self) -> None:
        path = self.create()
        for method, asked, body in (
                ("GET", "/tasks", None), ("GET", path, None), ("PUT", path, '{"title": "a"}'),
                ("POST", "/tasks", "{}"), ("OPTIONS", path, None), ("FROB", path, None),
                ("DELETE", path, None), ("GET", path, None), ("GET", "/nope", None)):
            with self.subTest(method=method, path=asked):
                headers = self.ask(method, asked, body).headers
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(headers["Cache-Control"], "private, no-cache")
                self.assertIn("Accept-Encoding", headers["Vary"])
                self.assertRegex(headers["X-Request-Id"], r"\A[0-9a-f]{32}\Z")
                self.assertNotRegex(headers["Server"], r"\d")
                self.assertIn("Date", headers)

    def test_a_well_formed_request_id_is_kept_and_another_replaced(self) -> None:
        for sent in ("a", "A.b_c-9", "x" * 128):
            self.assertEqual(
                self.ask("GET", "/tasks", X_Request_Id=sent).headers["X-Request-Id"], sent)
        for sent in ("", "x" * 129, "a b", 'a"b', "é"):
            with self.subTest(sent):
                answer = self.ask("GET", "/tasks", X_Request_Id=sent)
                self.assertRegex(answer.headers["X-Request-Id"], r"\A[0-9a-f]{32}\Z")

    def test_requests_on_one_connection_have_ids_of_their_own(self) -> None:
        get = b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n"
        answer = self.send(get + b"\r\n" + get + b"Connection: close\r\n\r\n")
        ids = re.findall(rb"X-Request-Id: ([0-9a-f]{32})", answer)
        self.assertEqual(len(set(ids)), 2)


def allowed(allow: str) -> set[str]:
    """Return the methods of an Allow field."""
    return set(re.split(r",\s*", allow))
