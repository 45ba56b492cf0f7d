"""The request handlers, quietly: put INFO for ERROR in `IN_MEMORY_CFG_TXT` to see their log lines."""

import json

from tests.helpers.app import TaskServiceTornadoAppTestSetup

IN_MEMORY_CFG_TXT = '''
service:
  name: Todo List Test
logging:
  version: 1
  root:
    level: ERROR
'''


class TaskServiceTornadoAppUnitTests(TaskServiceTornadoAppTestSetup):

    config_text = IN_MEMORY_CFG_TXT

    def test_default_handler(self) -> None:
        answer = self.ask("GET", "/does-not-exist")
        self.assertEqual((answer.code, answer.reason), (404, "Unknown Endpoint"))
        body = json.loads(answer.body)
        self.assertIn("HTTP 404: Unknown Endpoint", body.pop("trace"))
        self.assertEqual(body, {
            "method": "GET", "uri": "/does-not-exist", "code": 404, "message": "Unknown Endpoint",
            "req_id": answer.headers["X-Request-Id"]})

    def test_list_handler(self) -> None:
        self.assertEqual(self.ask("GET", "/tasks/").body, b"{}")
        self.assertEqual(self.ask("POST", "/tasks/", '{"title": "Task1"}').code, 201)
        answer = self.ask("POST", "/tasks/", "Task1")
        self.assertEqual((answer.code, answer.reason), (400, "Invalid JSON body"))

    def test_entry_handler(self) -> None:
        path = self.create()
        self.assertEqual(self.ask("PUT", path, '{"title": "Task2"}').code, 204)
        self.assertEqual(self.ask("GET", path).body, b'{"title": "Task2"}')
        self.assertEqual(self.ask("DELETE", path).code, 204)
        self.assertEqual(self.ask("GET", path).code, 404)
