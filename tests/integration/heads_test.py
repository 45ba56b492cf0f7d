"""The head of every answer is smaller than 4 KiB, which is what proxies take by default."""

import asyncio
import json
from collections.abc import Iterator

from taskservice import read_schema
from tests.helpers.api import NDJSON, PROBLEM
from tests.helpers.openapi import all_paths
from tests.helpers.raw import request
from tests.helpers.running import TOKENS, WRITER, ServedTestCase, on_both_servers

ORIGIN = f"https://{'.'.join(['a' * 62] * 3)[:186]}:65535"
LONGEST_ID = "aZ0-" * 32
TASK = b'{"title": "a"}'
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FROB")
BODIES = ("POST", "PUT", "PATCH", "FROB")


@on_both_servers
class HeadsTest(ServedTestCase):
    """Whatever is asked, with each field that an answer repeats as long as it may be."""

    http = {"cors_origins": (ORIGIN,)}
    tokens = TOKENS

    def head(self, method: str, path: str, body: bytes = b"", /, **fields: str) -> str:
        """Send a request; check the head of the answer, and return it."""
        longest = {
            "Origin": ORIGIN, "X-Request-Id": "x" * 128, "Authorization": f"Bearer {WRITER}",
            "Accept-Encoding": "gzip", "Connection": "close", **fields}

        async def talk() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
            writer.write(request(method, path, body, **longest))
            head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return head

        head: bytes = self.io_loop.run_sync(talk, timeout=30)
        with self.subTest(f"{method} {path[:100]}", **fields):
            self.assertLess(len(head), 4 * 1024)
            reason = head.partition(b"\r\n")[0].split(b" ", 2)[2]
            self.assertLessEqual(len(reason), 150)
        return head.decode("latin-1")

    def paths(self) -> Iterator[str]:
        """Give a path for each route, as long as it may be, and some that are none."""
        for path, item in all_paths().items():
            yield path.replace("{id}", LONGEST_ID).replace(
                "{file}", "swagger-ui-bundle.js").replace("{page_file}", "connection.js")
        yield from ("/tasks/" + "a" * 5_000, "/" + "a" * 5_000, "/tasks/" + "%41" * 1_500)

    def test_of_every_method_on_every_path(self) -> None:
        for path in self.paths():
            for method in METHODS:
                body = TASK if method in BODIES else b""
                for fields in (
                        {}, {"If_None_Match": "*", "Prefer": "return=representation"},
                        {"If_Match": '"1"', "Accept": PROBLEM},
                        {"Content_Type": "a" * 3_000, "Content_Encoding": "b" * 3_000},
                        {"Authorization": "Bearer " + "c" * 5_000}, {"Host": "d" * 250}):
                    self.head(method, path, body, **fields)
            self.head("OPTIONS", path, Access_Control_Request_Method="e" * 2_000,
                      Access_Control_Request_Headers="f" * 2_000)

    def test_of_a_write(self) -> None:
        for prefer in ("return=representation", "return=minimal"):
            for key in ("k" * 255, "k" * 256):
                self.head("POST", "/tasks", TASK, Idempotency_Key=key, Prefer=prefer)
        for count in range(2):
            self.head("POST", "/tasks", TASK, Content_Type=NDJSON, Idempotency_Key="n" * 255)

    def test_of_what_is_wrong_with_a_query(self) -> None:
        for path in ("/tasks", "/changes"):
            for query in ("x" * 5_000, "limit=" + "1" * 2_000, "&".join(["sort=x"] * 200), "q=%ff",
                          f"cursor={'a' * 5_000}", f"since={'1' * 2_000}"):
                self.assertIn(" 400 Bad Request\r\n", self.head("GET", f"{path}?{query}"))

    def test_of_what_the_connection_refuses(self) -> None:
        path = "/tasks/" + "a" * 5_000
        for fields in ({"Host": "no host"}, {"Content_Length": "x"}, {"Transfer_Encoding": "chunked, y"}):
            head = self.head("POST", path, b"", Accept=PROBLEM, **fields)
            self.assertRegex(head, r"^HTTP/1\.1 (400|501) ")
        if self.server == "taskservice":  # Tornado's closes without an answer
            self.assertIn(" 431 ", self.head("GET", path, b"", Cookie="c" * 20_000))

    def test_of_an_event_stream(self) -> None:
        for method in ("GET", "HEAD"):
            head = self.head(method, "/changes?since=0", Accept="text/event-stream", Last_Event_ID="0")
            self.assertIn(" 200 OK\r\n", head)

    def test_the_longest_origin_is_that_of_the_config(self) -> None:
        origins = read_schema("config-v1.0")["properties"]["http"]["properties"]["cors-origins"]
        self.assertEqual(len(ORIGIN), origins["items"]["maxLength"])

    def test_of_a_page_with_the_longest_link(self) -> None:
        title = "\N{GRINNING FACE}" * 500
        for last in "12":
            body = json.dumps({"title": title, "description": "q" * 2_000 + "x" * 30_000}).encode()
            self.head("PUT", f"/tasks/{LONGEST_ID[:-1]}{last}", body, If_None_Match="*")
        for sort in ("created", "updated", "due_date", "priority", "title"):
            query = f"limit=1&sort=-{sort}&q=q"
            query += "+%71" * ((2_048 - len(query)) // 4)
            query += "+" * (2_048 - len(query))
            for accept in ("application/json", NDJSON):
                head = self.head("GET", f"/tasks/?{query}", Accept=accept)
                self.assertIn("\r\nLink: </tasks/?limit=1&", head)
                head = self.head("GET", f"/tasks/?{query}q", Accept=accept)
                self.assertIn(" 400 Bad Request\r\n", head)
