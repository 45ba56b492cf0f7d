"""A query has a deadline, and a limited number wait for a reader: the 503 beyond each limit, on each engine."""

import asyncio
import json
import unittest

from tests.helpers.api import NDJSON, ndjson
from tests.helpers.app import on_every_engine
from tests.helpers.running import ServedTestCase, samples, total

MANY = 2_500
"""More tasks than an engine in memory looks at on the event loop."""


class QueriesCase(ServedTestCase):

    def fill(self) -> str:
        """Create many tasks and one more; return the path of that."""
        answer = self.ask("POST", "/tasks", ndjson([{"title": "a"}] * MANY), Content_Type=NDJSON)
        self.assertEqual(answer.code, 200)
        return self.create()

    def value(self, name: str) -> float:
        return total(samples(self.ask("GET", "/metrics").body.decode())[name])


@on_every_engine
class DeadlineTest(QueriesCase):

    http = {"query_timeout": 1e-6}

    def test_a_query_that_takes_longer_is_503_and_says_what_to_do(self) -> None:
        path = self.fill()
        for target in ("/tasks?q=nosuchword", "/tasks?sort=title&limit=5"):
            with self.subTest(target):
                timed_out = self.value("taskservice_reads_timed_out_total")
                answer = self.ask("GET", target)
                self.assertEqual((answer.code, answer.headers["Retry-After"]), (503, "1"))
                self.assertRegex(
                    json.loads(answer.body)["message"], r"longer than .* s \(http\.query-timeout\): .*\bq\b")
                self.assertEqual(self.value("taskservice_reads_timed_out_total"), timed_out + 1)
        self.assertEqual(self.ask("GET", path).code, 200, "a single task is none of them")
        [line] = [line for line in self.journal.responses() if "sort=title" in line.values["uri"]]
        self.assertIn("http.query-timeout", line.values["reason"])
        self.assertNotIn("trace", line.values)


@on_every_engine
class QueueTest(QueriesCase):

    http = {"max_queued_reads": 1}

    async def searches(self, count: int) -> list[int]:
        """Search so often at once; return the statuses."""
        return [answer.code for answer in await asyncio.gather(*(
            self.http_client.fetch(self.get_url("/tasks?q=nosuchword"), raise_error=False)
            for _ in range(count)))]

    def test_searches_at_once_are_answered_or_refused(self) -> None:
        self.fill()
        statuses = self.io_loop.run_sync(lambda: self.searches(10), timeout=30)
        self.assertLessEqual({200}, set(statuses))
        self.assertLessEqual(set(statuses), {200, 503})
        self.assertEqual(self.value("taskservice_reads_refused_total"), statuses.count(503))
        self.assertEqual(self.value("taskservice_reads_waiting"), 0)


if __name__ == "__main__":
    unittest.main()
