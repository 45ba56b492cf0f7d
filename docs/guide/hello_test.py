import unittest

from hello import make_app
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application


class HelloTest(AsyncHTTPTestCase):
    def get_app(self) -> Application:
        return make_app()

    def test_it_says_hello(self) -> None:
        self.assertEqual(self.fetch("/").body, b'{"hello": "world"}')


if __name__ == "__main__":
    unittest.main()
