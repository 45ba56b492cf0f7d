"""The page and /docs of a service under a path."""

import unittest
from tests.helpers.browser import BrowserTestCase
from tests.helpers.running import TOKENS, WRITER, bearer


class BasePathTest(BrowserTestCase):

    engine = "sqlite"
    sections = {"http": {"base-path": "/todo"}}

    def test_it_is_live_and_its_links_stay_under_the_path(self) -> None:
        page = self.open("/todo")
        self.assertEqual(page.evaluate("location.pathname"), "/todo/")
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see_saved(page)
        self.see_titles(page, "Milk")
        self.ask("POST", "/todo/tasks", {"title": "Bread"})
        self.see_titles(page, "Bread", "Milk")
        page.get_by_role("link", name="Done").click()
        self.wait_for(page, "location.pathname === '/todo/' && location.search !== ''")
        page.reload()
        self.see_live(page)

    def test_it_opens_without_the_network(self) -> None:
        page = self.open("/todo/", service_workers="allow")
        scope = page.evaluate("navigator.serviceWorker.ready.then(({scope}) => new URL(scope).pathname)")
        self.assertEqual(scope, "/todo/")
        self.stop_service()
        page.reload()
        self.see(page.locator("#away")).to_be_visible()


class DocsTest(BrowserTestCase):

    sections = {"http": {"base-path": "/todo"}, "auth": {"tokens": list(TOKENS)}}

    def test_a_request_can_be_tried_with_the_token_of_the_page(self) -> None:
        self.assertEqual(self.ask("POST", "/todo/tasks", {"title": "Milk"}, **bearer(WRITER)).status, 201)
        page = self.open("/todo/", live=False)
        page.get_by_label("Token", exact=True).fill(WRITER)
        page.keyboard.press("Enter")
        self.see_live(page)
        page.goto(f"http://localhost:{self.port}/todo/docs")
        block = page.locator(".opblock[id$='-listTasks']")
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table .response").first
        self.see(answer).to_contain_text("200")
        self.see(answer).to_contain_text("Milk")
        page.get_by_role("link", name="Tasks", exact=True).click()
        self.see_live(page)


if __name__ == "__main__":
    unittest.main()
