"""The files of the page, as such."""
import gzip
import re
import unittest
from pathlib import Path

from taskservice.tornado import page

FOLDER = Path(page.__file__).parent / "static" / "page"


class FilesTest(unittest.TestCase):

    def test_are_those_in_the_folder(self) -> None:
        self.assertEqual({file.name for file in FOLDER.iterdir()}, {"index.html", *page.PAGE_FILES})

    def test_are_served_compressed_and_tagged_with_their_type(self) -> None:
        for name in ("index.html", *page.PAGE_FILES):
            with self.subTest(name):
                file = page.page_file(name)
                self.assertEqual(file.body, (FOLDER / name).read_bytes())
                self.assertEqual(gzip.decompress(file.gzipped), file.body)
                self.assertRegex(file.etag, r'^W/"[0-9a-f]{32}"$')
                self.assertRegex(file.media_type, r"^(text/(html|css|javascript); charset=UTF-8|image/svg\+xml)$")

    def test_page_loads_each_of_them_and_has_nothing_inline(self) -> None:
        text = page.page_file().body.decode()
        loaded = re.findall(r'(?:src|href)="/static/([^"]+)"', text)
        self.assertEqual(sorted(loaded), sorted(page.PAGE_FILES))
        self.assertNotRegex(text, r"<script>|<style|\sstyle=|\son\w+=|javascript:|//")

    def test_modules_import_only_each_other(self) -> None:
        for name in page.PAGE_FILES:
            text = page.page_file(name).body.decode()
            imported = re.findall(r'from "([^"]+)"', text)
            with self.subTest(name):
                self.assertEqual({each.removeprefix("./") for each in imported} - page.PAGE_FILES, set())
                self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function")
                self.assertNotRegex(text.replace("http://www.w3.org/2000/svg", ""), r"https?://")

    def test_script_is_small(self) -> None:
        size = sum(len(page.page_file(name).gzipped) for name in ("index.html", *page.PAGE_FILES))
        self.assertLess(size, 48 * 1024)


class PolicyTest(unittest.TestCase):

    def test_has_nothing_inline_and_nothing_from_elsewhere(self) -> None:
        directives = dict(each.strip().split(" ", 1) for each in page.CONTENT_SECURITY_POLICY.split(";"))
        self.assertEqual(directives["default-src"], "'self'")
        self.assertEqual(directives["require-trusted-types-for"], "'script'")
        self.assertNotIn("unsafe", page.CONTENT_SECURITY_POLICY)


if __name__ == "__main__":
    unittest.main()
