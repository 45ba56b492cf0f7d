"""The request handlers, quietly: put INFO for ERROR below to see their log lines."""

import json
from dataclasses import replace

from taskservice.config import Config, parse_config
from taskservice.utils import log_config
from tests.support import ENGINES, AppTestCase, logging_put_back

IN_MEMORY_CFG_TXT = '''
service:
  name: Todo List Test
logging:
  version: 1
  root:
    level: ERROR
'''


class TaskServiceTornadoAppTestSetup(AppTestCase):
    """The application in debug mode as the text above has it, its log lines where that says."""

    debug_mode = True

    def set_up_logging(self) -> None:
        self.enterContext(logging_put_back())
        log_config.configure(self.config().logging)

    def config(self) -> Config:
        config = parse_config(IN_MEMORY_CFG_TXT)
        return replace(config, task_db=ENGINES[self.engine](self.folder))


class TaskServiceTornadoAppUnitTests(TaskServiceTornadoAppTestSetup):

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
