import json
import unittest

from todo import make_app
from tornado.httpserver import HTTPServer
from tornado.testing import AsyncHTTPTestCase, ExpectLog
from tornado.web import Application


class TodoListTest(AsyncHTTPTestCase):
    def get_app(self) -> Application:
        """Return what is to be tested: a new one for each test, so that none sees another's tasks."""
        return make_app()

    def get_http_server(self) -> HTTPServer:
        """Return the server for it; by default one without options."""
        return HTTPServer(self._app, max_body_size=1000)

    def create(self) -> str:
        return self.fetch("/tasks", method="POST", body='{"title": "Task1"}').headers["Location"]

    def test_a_task_is_created_replaced_and_deleted(self) -> None:
        path = self.create()
        self.assertEqual(json.loads(self.fetch(path).body), {"title": "Task1"})
        self.assertEqual(self.fetch(path, method="PUT", body='{"title": "Task2"}').code, 204)
        self.assertEqual(json.loads(self.fetch(path).body), {"title": "Task2"})
        self.assertEqual(self.fetch(path, method="DELETE").code, 204)
        with ExpectLog("tornado.access", "404 GET"):  # else it is on the terminal
            self.assertEqual(self.fetch(path).code, 404)

    def test_a_bad_body_is_refused_in_json(self) -> None:
        with ExpectLog("tornado.access", "400 POST"):
            response = self.fetch("/tasks", method="POST", body="milk")
        self.assertEqual(json.loads(response.body), {"code": 400, "message": "Invalid JSON body"})

    def test_a_large_body_is_refused_by_the_server(self) -> None:
        self.assertEqual(self.fetch("/tasks", method="POST", body="x" * 1001).code, 400)

    def test_what_nobody_thought_of_is_a_500(self) -> None:
        """`delete` forgot its `try`: what goes wrong where each handler translates errors itself."""
        path = self.create()
        self.fetch(path, method="DELETE")
        with ExpectLog("tornado.application", "Uncaught exception"), ExpectLog("tornado.access", "500 DELETE"):
            self.assertEqual(self.fetch(path, method="DELETE").code, 500)


if __name__ == "__main__":
    unittest.main()
