"""The OpenAPI document and the files of /docs, as such; and the checker, which has to find what is wrong."""
import gzip
import json
import re
import subprocess
import sys
import unittest
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from taskservice import __version__, read_schema
from taskservice.datamodel import DELETION_LIFETIME, IDEMPOTENCY_KEY_LIFETIME, TASK_ID
from taskservice.errors import BadInputError
from taskservice.http.fields import parse_idempotency_key, request_id_of
from taskservice.http.listing import MAX_CURSOR_LENGTH, MAX_PAGE_SIZE
from taskservice.tornado.documents import openapi
from tests.helpers.openapi import check, decode, violations
from tests.helpers.strategies import property_settings

EXPLAINING = frozenset({"title", "description", "default", "examples", "format"})
"""Keywords of a schema that demand nothing of a value."""

SWAGGER_UI = find_spec("mkdocs_swagger_ui_tag")


def described(node: Any, name: str) -> Iterator[dict[str, Any]]:
    """Give every object in the document that has a member of this name."""
    if isinstance(node, dict):
        if name in node:
            yield node
        for child in node.values():
            yield from described(child, name)
    elif isinstance(node, list):
        for child in node:
            yield from described(child, name)


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body as `decode` gives it: a list of its lines, or the whole."""
    return {"type": "array", "items": content["x-itemSchema"]} if "x-itemSchema" in content else content["schema"]


def rules(schema: Any) -> Any:
    """Return what a schema demands, references followed, without what only explains it."""
    if isinstance(schema, list):
        return [rules(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return rules(openapi.description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    demands = {name: value for name, value in schema.items() if name not in EXPLAINING}
    if "enum" in schema:
        demands["type"] = "string"
    if "properties" in schema:
        demands["properties"] = {name: rules(member) for name, member in schema["properties"].items()}
    return demands


def examples_with_schema() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Give every example of the document, with its media type and its schema."""
    document = openapi.description()
    for media_types in described(document, "content"):
        for media_type, content in media_types["content"].items():
            shared = [document["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]
                      for example in content.get("examples", {}).values()]
            for value in shared + [content[name] for name in ("example",) if name in content]:
                yield media_type, schema_of(content), value
    for field in described(document, "example"):
        if "content" not in field and "name" in field or "description" in field:
            yield "text/plain", field["schema"], field["example"]
    for schema in described(document["components"]["schemas"], "examples"):
        if isinstance(schema["examples"], list):
            yield from (("text/plain", schema, value) for value in schema["examples"])


def responses() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give every answer that the document declares: to what, its status, and what it is."""
    document = openapi.description()
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:
            for status, response in item[method]["responses"].items():
                if "$ref" in response:
                    response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
                yield f"{method.upper()} {path}", status, response


class DocumentTest(unittest.TestCase):

    @unittest.skipIf(find_spec("openapi_spec_validator") is None, "needs openapi-spec-validator (requirements-dev.txt)")
    def test_is_valid(self) -> None:
        from openapi_spec_validator import OpenAPIV31SpecValidator
        errors = OpenAPIV31SpecValidator(json.loads(openapi.document())).iter_errors()
        self.assertEqual([error.message for error in errors], [])

    def test_task_is_that_of_the_schema_file(self) -> None:
        """But for what only explains: the schema names its defaults, the document has examples and formats."""
        schema = read_schema("todoList-v1.0")
        del schema["$schema"], schema["$id"]
        self.assertEqual(rules(openapi.description()["components"]["schemas"]["Task"]), rules(schema))

    def test_a_patch_has_the_members_of_a_task_and_null_for_those_that_may_be_absent(self) -> None:
        schemas = openapi.description()["components"]["schemas"]
        task, patch = schemas["Task"], schemas["TaskPatch"]
        self.assertEqual(patch["properties"], {
            name: member if name in task["required"] else {"anyOf": [member, {"type": "null"}]}
            for name, member in task["properties"].items()})

    def test_a_service_with_tokens_wants_one_for_every_operation_that_is_not_public(self) -> None:
        self.assertEqual(openapi.description()["security"], [{}, {"bearer": []}])
        document = openapi.description(True)
        self.assertEqual(document["security"], [{"bearer": []}])
        public = {path for path, item in document["paths"].items() if item["get"].get("security") == []}
        self.assertEqual(public, {"/healthz", "/readyz", "/openapi.json"})
        self.assertEqual({**document, "security": None}, {**openapi.description(), "security": None})

    def test_has_the_version_of_the_service(self) -> None:
        self.assertEqual(openapi.description()["info"]["version"], __version__)

    def test_every_reference_leads_to_a_component_and_every_component_is_referred_to(self) -> None:
        """Except for the answers that no operation has: to OPTIONS, and to a method or a path that is not there."""
        document = openapi.description()
        referred = {node["$ref"] for node in described(document, "$ref")}
        there = {f"#/components/{kind}/{name}" for kind, parts in document["components"].items() for name in parts}
        self.assertEqual(referred - there, set())
        secured = {f"#/components/securitySchemes/{name}" for scheme in document["security"] for name in scheme}
        unused = there - referred - secured
        self.assertEqual(
            {reference.rpartition("/")[2] for reference in unused}, {"MethodNotAllowed", "Options", "UnknownEndpoint"})

    def test_every_operation_has_the_failures_of_any_request(self) -> None:
        """Those of `http1/connection.py`, which may answer before there is a path, and of every handler."""
        found: dict[str, set[str]] = {}
        for operation, status, _ in responses():
            found.setdefault(operation, set()).add(status)
        self.assertGreater(len(found), 10)
        for operation, statuses in found.items():
            missing = {"400", "408", "413", "421", "431", "500", "501", "503"} - statuses
            self.assertEqual(missing, set(), operation)

    def test_a_token_is_refused_where_one_is_wanted(self) -> None:
        for path, item in openapi.description()["paths"].items():
            for method in item.keys() - {"parameters"}:
                public = item[method].get("security") == []
                expected = set() if public else {"401"} if method == "get" else {"401", "403"}
                self.assertEqual({"401", "403"} & item[method]["responses"].keys(), expected, f"{method} {path}")

    def test_every_answer_has_the_headers_of_any(self) -> None:
        for operation, status, response in responses():
            missing = {"Server", "Date", "X-Request-Id", "Cache-Control", "Vary"} - response["headers"].keys()
            self.assertEqual(missing, set(), f"{operation}: {status}")

    def test_what_is_compressed_says_so(self) -> None:
        declared = {(operation, status) for operation, status, response in responses()
                    if "Content-Encoding" in response["headers"]}
        self.assertEqual(declared, {("GET /tasks", "200"), ("GET /openapi.json", "200")})

    def test_every_example_is_true(self) -> None:
        found = list(examples_with_schema())
        self.assertGreater(len(found), 20)
        for media_type, schema, value in found:
            with self.subTest(value=value):
                value = decode(media_type, value.encode()) if media_type.endswith("ndjson") else value
                self.assertEqual(violations(schema, value), [])

    @property_settings(100)
    @given(st.text(st.characters(max_codepoint=0x7f), max_size=300)
           | st.from_regex(r'"([ -~]|\\["\\])*"', fullmatch=True))
    def test_idempotency_keys_are_those_that_the_service_takes(self, value: str) -> None:
        schema = openapi.description()["components"]["parameters"]["Idempotency-Key"]["schema"]
        try:
            parse_idempotency_key(value)
        except BadInputError:
            self.assertNotEqual(violations(schema, value), [])
        else:
            self.assertEqual(violations(schema, value), [])

    def test_ids_cursors_and_lifetimes_are_those_of_the_code(self) -> None:
        components = openapi.description()["components"]
        schemas, parameters = components["schemas"], components["parameters"]
        self.assertEqual(schemas["TaskId"]["pattern"], f"^{TASK_ID.pattern}$")
        self.assertEqual(components["headers"]["Location"]["schema"]["pattern"], f"^/tasks/{TASK_ID.pattern}$")
        self.assertEqual(parameters["cursor"]["schema"]["maxLength"], MAX_CURSOR_LENGTH)
        self.assertEqual(parameters["limit"]["schema"]["maximum"], MAX_PAGE_SIZE)
        kept = openapi.description()["paths"]["/tasks/{id}"]["delete"]["description"]
        self.assertIn(f"for {DELETION_LIFETIME / 86_400_000_000:g} days", kept)
        kept = parameters["Idempotency-Key"]["description"]
        self.assertIn(f"for {IDEMPOTENCY_KEY_LIFETIME / 3_600_000_000:g} hours", kept)

    @property_settings(100)
    @given(st.text(st.characters(max_codepoint=0x7f), max_size=5) | st.integers(126, 130).map("a".__mul__))
    def test_request_ids_are_those_that_the_service_takes(self, value: str) -> None:
        wrong = violations(openapi.description()["components"]["schemas"]["RequestId"], value)
        self.assertEqual(request_id_of(value) == value, wrong == [])

    def test_importing_the_module_reads_nothing(self) -> None:
        code = "import sys, taskservice.tornado.documents.openapi; sys.exit('yaml' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code]).returncode, 0)


class ServedFilesTest(unittest.TestCase):

    def test_document_is_served_in_both_forms_under_one_weak_tag(self) -> None:
        file = openapi.openapi_file(False)
        self.assertEqual(gzip.decompress(file.gzipped), file.body)
        self.assertEqual(json.loads(file.body), openapi.description())
        self.assertRegex(file.etag, r'^W/"[0-9a-f]{32}"$')

    def test_page_loads_what_is_served_and_nothing_inline(self) -> None:
        page = openapi.docs_file().body.decode()
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        files = {f"/docs/{name}" for name in openapi.DOCS_FILES}
        self.assertEqual(set(loaded), {"data:,", "/", "/openapi.json", *files})
        self.assertNotRegex(page, r"<script>|<style|style=|\son\w+=|javascript:|//")

    @unittest.skipIf(SWAGGER_UI is None, f"needs {openapi.PACKAGE} (requirements.txt)")
    def test_each_file_of_the_page_is_there_with_its_type(self) -> None:
        for name in openapi.DOCS_FILES:
            with self.subTest(name):
                file = openapi.docs_file(name)
                expected = "text/css" if name.endswith(".css") else "text/javascript"
                self.assertEqual(file.media_type, f"{expected}; charset=UTF-8")
                self.assertGreater(len(file.body), 100)

    def test_missing_package_is_named(self) -> None:
        openapi.docs_file.cache_clear()
        with patch.object(openapi, "find_spec", return_value=None):
            with self.assertRaisesRegex(ModuleNotFoundError, openapi.PACKAGE):
                openapi.docs_file("swagger-ui.css")


class CheckTest(unittest.TestCase):
    """The checker, on an answer with one thing wrong."""

    HEADERS = {"X-Request-Id": "1", "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
    TASK = {**HEADERS, "Content-Type": "application/json", "ETag": '"1"',
            "Last-Modified": "Mon, 14 Jul 2025 08:00:00 GMT"}
    PROBLEM = {**HEADERS, "Content-Type": "application/json; charset=UTF-8"}
    ERROR = json.dumps({"method": "GET", "uri": "/", "code": 404, "message": "?", "req_id": "1"}).encode()

    def test_answers_that_are_declared_pass(self) -> None:
        check("GET", "/tasks/1/?a=b", 200, {**self.TASK, "Date": self.TASK["Last-Modified"]}, b'{"title": "Task1"}')
        check("HEAD", "http://localhost:1/tasks/1", 200, self.TASK, b"")
        check("GET", "/tasks/1", 404, self.PROBLEM, self.ERROR)
        check("GET", "/nowhere", 404, self.PROBLEM, self.ERROR)
        check("GET", "/tasks/a_b", 404, self.PROBLEM, self.ERROR)
        check("TRACE", "/tasks/", 405, {**self.PROBLEM, "Allow": "OPTIONS, POST, HEAD, GET"}, self.ERROR)
        lines = b'{"id": "1", "revision": 1, "task": {"title": "Task1"}}\n'
        many = {**self.HEADERS, "Content-Type": "application/x-ndjson", "ETag": 'W/"1"'}
        check("GET", "/tasks", 200, many, lines)
        check("GET", "/tasks", 200, {**many, "Content-Encoding": "gzip"}, gzip.compress(lines * 2))

    def assert_fails(self, reason: str, *answer: Any) -> None:
        with self.assertRaisesRegex(AssertionError, reason):
            check(*answer)

    def test_undeclared_status(self) -> None:
        self.assert_fails("undeclared status", "GET", "/tasks/1", 402, self.PROBLEM, self.ERROR)

    def test_undeclared_path_and_method_are_404_and_405_only(self) -> None:
        self.assert_fails("undeclared status", "GET", "/nowhere", 200, self.TASK, b'{"title": "Task1"}')
        self.assert_fails("undeclared status", "GET", "/docs/other.js", 200, self.TASK, b"")
        self.assert_fails("undeclared status", "TRACE", "/tasks", 200, self.TASK, b"")

    def test_headers_undeclared_missing_and_malformed(self) -> None:
        for reason, headers in (
            ("undeclared headers: x-powered-by", {"X-Powered-By": "luck"}),
            ("undeclared headers: content-encoding", {"Content-Encoding": "gzip"}),
            ("header etag", {"ETag": 'W/"1"'}),
            ("header last-modified", {"Last-Modified": "yesterday"}),
        ):
            with self.subTest(headers):
                self.assert_fails(reason, "GET", "/tasks/1", 200, {**self.TASK, **headers}, b'{"title": "Task1"}')
        without = {name: value for name, value in self.TASK.items() if name != "X-Request-Id"}
        self.assert_fails("x-request-id is missing", "GET", "/tasks/1", 200, without, b'{"title": "Task1"}')

    def test_allow_that_is_not_the_documents(self) -> None:
        answer = ("OPTIONS", "/tasks", 204, {**self.HEADERS, "Allow": "GET, HEAD"}, b"")
        self.assert_fails("Allow", *answer)

    def test_body_of_another_shape_or_type_or_where_there_is_none(self) -> None:
        text = {**self.TASK, "Content-Type": "text/plain"}
        for reason, answer in (
            ("body: ", ("GET", "/tasks/1", 200, self.TASK, b'{"name": "Task1"}')),
            ("is not application/json", ("GET", "/tasks/1", 200, self.TASK, b"Task1")),
            ("undeclared type text/plain", ("GET", "/tasks/1", 200, text, b"Task1")),
            ("undeclared type none", ("GET", "/tasks/1", 404, self.HEADERS, b"")),
            ("has a body", ("HEAD", "/tasks/1", 200, self.TASK, b"{}")),
            ("has a body", ("DELETE", "/tasks/1", 204, self.HEADERS, b"{}")),
        ):
            with self.subTest(answer):
                self.assert_fails(reason, *answer)


if __name__ == "__main__":
    unittest.main()
