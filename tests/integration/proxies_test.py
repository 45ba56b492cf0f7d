"""What comes in fields that proxies and tracers add: the client's address, a trace."""

import json

from tests.helpers.raw import request
from tests.helpers.running import ServedTestCase, on_both_servers


@on_both_servers
class TrustedProxiesTest(ServedTestCase):
    """The test is a proxy, which is trusted."""

    http = {"trusted_proxies": ("127.0.0.1", "10.0.0.0/8"), "max_header": 1_000}

    def ip(self) -> object:
        """Return the address of the last canonical line."""
        return self.journal.responses()[-1].values["ip"]

    def test_the_client_is_who_the_proxy_says(self) -> None:
        self.ask("GET", "/tasks", X_Forwarded_For="1.1.1.1, 203.0.113.7, 10.0.0.2")
        self.assertEqual(self.ip(), "203.0.113.7")

    def test_several_fields_are_one_list(self) -> None:
        self.send(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                  b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
        self.assertEqual(self.ip(), "203.0.113.7")

    def test_without_the_field_it_is_the_proxy(self) -> None:
        self.ask("GET", "/tasks", Forwarded="for=203.0.113.7", X_Real_Ip="203.0.113.7")
        self.assertEqual(self.ip(), "127.0.0.1")


class RefusedThroughProxyTest(ServedTestCase):

    http = {"trusted_proxies": ("127.0.0.1",), "body_timeout": 0.2}

    def test_a_request_that_the_connection_refuses(self) -> None:
        self.send(request("POST", "/tasks", b"", 10, X_Forwarded_For="203.0.113.7"))
        line = self.journal.responses()[-1]
        self.assertEqual((line.values["status"], line.values["ip"]), (408, "203.0.113.7"))


@on_both_servers
class NoProxiesTest(ServedTestCase):
    """By default nobody is trusted."""

    def test_what_a_client_says_of_itself_is_ignored(self) -> None:
        self.ask("GET", "/tasks", X_Forwarded_For="203.0.113.7", X_Real_Ip="203.0.113.7", Forwarded="for=203.0.113.7")
        self.assertEqual(self.journal.responses()[-1].values["ip"], "127.0.0.1")


@on_both_servers
class TraceTest(ServedTestCase):

    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    def test_lines_and_errors_name_the_trace_of_a_request(self) -> None:
        for path, code in (("/tasks", 200), ("/tasks/none", 404), ("/none", 404)):
            answer = self.ask("GET", path, traceparent=self.parent)
            self.assertEqual(answer.code, code)
            self.assertEqual({line.values["trace_id"] for line in self.journal.lines[-2:]}, {self.parent[3:35]})
            if code != 200:
                self.assertEqual(json.loads(answer.body)["trace_id"], self.parent[3:35])
        problem = self.ask("GET", "/none", traceparent=self.parent, Accept="application/problem+json")
        self.assertEqual(json.loads(problem.body)["trace_id"], self.parent[3:35])

    def test_without_one_there_is_none(self) -> None:
        for fields in ({}, {"traceparent": "wrong"}):
            self.assertNotIn("trace_id", json.loads(self.ask("GET", "/none", **fields).body))
            self.assertNotIn("trace_id", self.journal.responses()[-1].values)
