"""The files of the page, as such."""
import gzip
import json
import re
import unittest
from pathlib import Path

from taskservice.datamodel import TASK_ID
from taskservice.tornado.documents import page

TYPES = ("text/html; charset=UTF-8", "text/css; charset=UTF-8", "text/javascript; charset=UTF-8", "image/svg+xml",
         "image/png", "application/manifest+json")
FOLDER = Path(page.__file__).parents[1] / "static" / "page"


class FilesTest(unittest.TestCase):

    def test_are_those_in_the_folder(self) -> None:
        self.assertEqual({file.name for file in FOLDER.iterdir()}, {"index.html", *page.PAGE_FILES})

    def test_are_served_compressed_and_tagged_with_their_type(self) -> None:
        for name in ("index.html", *page.PAGE_FILES):
            with self.subTest(name):
                file = page.page_file(name)
                if name not in ("index.html", page.WORKER):
                    self.assertEqual(file.body, (FOLDER / name).read_bytes())
                self.assertEqual(gzip.decompress(file.gzipped), file.body)
                self.assertRegex(file.etag, r'^W/"[0-9a-f]{32}"$')
                self.assertIn(file.media_type, TYPES)

    def test_point_11_page_loads_them_from_the_folder_with_their_joint_hash_and_has_nothing_inline(self) -> None:
        text = page.page_file().body.decode()
        loaded = re.findall(r'(?:src|href)="static/([^"]+)"', text)
        self.assertEqual(sorted(loaded), sorted(
            [page.MANIFEST, "icon-touch.png", *(f"{page.folder_name()}/{name}" for name in page.LOADED_FILES)]))
        self.assertNotRegex(text, r"<script>|<style|\sstyle=|\son\w+=|javascript:|//")

    def test_point_11_worker_knows_them_and_manifest_has_the_icons(self) -> None:
        folder, files = page.page_file(page.WORKER).body.decode().splitlines()[:2]
        self.assertEqual(folder, f'const FOLDER = "{page.folder_name()}";')
        self.assertEqual(json.loads(files.removeprefix("const FILES = ").removesuffix(";")),
                         [f"{page.folder_name()}/{name}" for name in sorted(page.LOADED_FILES)])
        manifest = json.loads(page.page_file(page.MANIFEST).body)
        self.assertLessEqual({icon["src"] for icon in manifest["icons"]}, page.PAGE_FILES)
        self.assertLessEqual({"192x192", "512x512", "any"}, {icon["sizes"] for icon in manifest["icons"]})

    def test_modules_import_only_each_other(self) -> None:
        for name in page.PAGE_FILES:
            if not name.endswith(".js"):
                continue
            text = page.page_file(name).body.decode()
            imported = re.findall(r'from "([^"]+)"', text)
            with self.subTest(name):
                self.assertEqual({each.removeprefix("./") for each in imported} - page.PAGE_FILES, set())
                self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function")
                self.assertNotRegex(text, r"https?://\w")

    def test_an_id_in_the_address_is_one_that_the_service_takes(self) -> None:
        self.assertIn(f"!/^{TASK_ID.pattern}$/u.test(id)", page.page_file("app.js").body.decode())

    def test_script_is_small(self) -> None:
        size = sum(len(page.page_file(name).gzipped) for name in ("index.html", *page.LOADED_FILES))
        self.assertLess(size, 80 * 1024)


class PolicyTest(unittest.TestCase):

    def test_has_nothing_inline_and_nothing_from_elsewhere(self) -> None:
        directives = dict(each.strip().split(" ", 1) for each in page.CONTENT_SECURITY_POLICY.split(";"))
        self.assertEqual(directives["default-src"], "'self'")
        self.assertEqual(directives["require-trusted-types-for"], "'script'")
        self.assertEqual(directives["trusted-types"], "taskservice-worker")
        self.assertNotIn("unsafe", page.CONTENT_SECURITY_POLICY)


if __name__ == "__main__":
    unittest.main()
