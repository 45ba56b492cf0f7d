"""The page over HTTP: its files, their headers, for everybody."""
import gzip
import unittest

from taskservice.tornado.documents import page
from tests.helpers.running import TOKENS, ServedTestCase, on_both_servers


@on_both_servers
class PageTest(ServedTestCase):

    tokens = TOKENS

    def test_page_and_files_are_for_everybody_with_the_policy(self) -> None:
        for path, name in [("/", "index.html"), *((f"/static/{name}", name) for name in page.PAGE_FILES)]:
            with self.subTest(path):
                answer = self.ask("GET", path)
                file = page.page_file(name)
                self.assertEqual((answer.code, answer.body), (200, file.body))
                self.assertEqual(answer.headers["Content-Type"], file.media_type)
                self.assertEqual(answer.headers["Content-Security-Policy"], page.CONTENT_SECURITY_POLICY)
                self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")

    def test_point_11_files_are_kept_for_good_under_the_name_of_their_hash(self) -> None:
        for name in page.LOADED_FILES:
            answer = self.ask("GET", f"/static/{page.folder_name()}/{name}")
            self.assertEqual((answer.code, answer.body), (200, page.page_file(name).body))
            self.assertEqual(answer.headers["Cache-Control"], "public, max-age=31536000, immutable")
        for path in (f"/static/{'0' * 16}/app.js", f"/static/{page.folder_name()}/index.html",
                     f"/static/{page.folder_name()}/{page.WORKER}", f"/static/{page.folder_name()}/"):
            self.assertEqual(self.ask("GET", path, Authorization="Bearer secret-of-the-reader").code, 404, path)

    def test_point_11_worker_may_serve_the_page_and_is_asked_for_again(self) -> None:
        answer = self.ask("GET", f"/static/{page.WORKER}")
        self.assertEqual(answer.headers["Service-Worker-Allowed"], "/")
        self.assertEqual(answer.headers["Cache-Control"], "private, no-cache")

    def test_comes_compressed_where_that_is_accepted(self) -> None:
        answer = self.ask("GET", "/", Accept_Encoding="gzip")
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(answer.body), page.page_file().body)

    def test_unchanged_is_not_sent_again(self) -> None:
        etag = self.etag("/static/app.js")
        answer = self.ask("GET", "/static/app.js", If_None_Match=etag)
        self.assertEqual((answer.code, answer.body, answer.headers["ETag"]), (304, b"", etag))

    def test_head_is_as_get_without_the_body(self) -> None:
        head, get = self.ask("HEAD", "/"), self.ask("GET", "/")
        self.assertEqual((head.code, head.body), (200, b""))
        for name in ("Content-Length", "Content-Type", "ETag", "Content-Security-Policy"):
            self.assertEqual(head.headers[name], get.headers[name])

    def test_nothing_else_is_there(self) -> None:
        for path in ("/static/", "/static/other.js", "/static/../page.py", "/static/index.html", "/static/app.js/"):
            with self.subTest(path):
                self.assertIn(self.ask("GET", path, Authorization="Bearer secret-of-the-reader").code, (404,))

    def test_is_not_written_to(self) -> None:
        self.assertEqual(self.ask("POST", "/", "{}").code, 405)


if __name__ == "__main__":
    unittest.main()
