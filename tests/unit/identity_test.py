"""What log lines and errors say of a request: its id, its client, its trace."""

import unittest

from taskservice.http.fields import trace_id_of
from taskservice.http.forwarded import TrustedProxies
from taskservice.http.identity import identify

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class TraceIdTest(unittest.TestCase):

    def test_a_traceparent_has_it(self) -> None:
        for value in (PARENT, f"00-{TRACE}-00f067aa0ba902b7-00", f"01-{TRACE}-00f067aa0ba902b7-01",
                      f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like"):
            self.assertEqual(trace_id_of(value), TRACE, value)

    def test_what_is_wrong_is_ignored(self) -> None:
        for value in (None, "", TRACE, PARENT.upper(), f"{PARENT}-more", f" {PARENT}", f"{PARENT}\n", f"ff{PARENT[2:]}",
                      f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01",
                      f"00-{TRACE[1:]}-00f067aa0ba902b7-01",
                      f"00-{TRACE}-00f067aa0ba902b7", f"00-{TRACE}-00f067aa0ba902b7-0g", f"01{PARENT[2:]}.x"):
            self.assertIsNone(trace_id_of(value), value)


class IdentifyTest(unittest.TestCase):

    def facts(self, headers: dict[str, str], request_id: str | None = None) -> dict[str, object]:
        return identify(headers, "GET", "/x", "10.0.0.1", TrustedProxies(["10.0.0.1"]), request_id)

    def test_all_of_it(self) -> None:
        facts = self.facts({"x-request-id": "mine", "x-forwarded-for": "203.0.113.7", "traceparent": PARENT})
        self.assertEqual(list(facts.items()), [
            ("req_id", "mine"), ("method", "GET"), ("uri", "/x"), ("ip", "203.0.113.7"), ("trace_id", TRACE)])

    def test_the_least(self) -> None:
        facts = self.facts({"x-request-id": "not well-formed", "traceparent": "wrong"})
        self.assertRegex(str(facts.pop("req_id")), r"\A[0-9a-f]{32}\Z")
        self.assertEqual(facts, {"method": "GET", "uri": "/x", "ip": "10.0.0.1"})

    def test_an_id_that_it_has_already_stays(self) -> None:
        self.assertEqual(self.facts({"x-request-id": "mine"}, "its own")["req_id"], "its own")


if __name__ == "__main__":
    unittest.main()
