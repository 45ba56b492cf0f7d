"""/docs: the API to read and try, with a token where one is needed, on a phone and in the dark."""

import unittest
from typing import TYPE_CHECKING, Any

from taskservice.tornado.documents.openapi import description
from tests.helpers.browser import BrowserTestCase
from tests.helpers.browser import PHONE
from tests.helpers.running import TOKENS, WRITER

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

OPERATIONS = [
    operation["operationId"] for item in description()["paths"].values() for operation in item.values()
    if "operationId" in operation]

WIDE = """() => [...document.querySelectorAll("main *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5 && !each.closest("pre, table"))
    .map((each) => each.outerHTML.slice(0, 100))"""

LIGHTNESS = """(element) => {
    for (let each = element; each; each = each.parentElement) {
        const [red, green, blue, alpha = 1] = getComputedStyle(each).backgroundColor.match(/[\\d.]+/g).map(Number);
        if (alpha > 0) return (red + green + blue) / 3 / 255;
    }
    return 1;
}"""


class DocsTestCase(BrowserTestCase):

    def open_docs(self, **window: Any) -> "Page":
        """Open the page; wait until it shows the operations."""
        page = self.open("/docs", live=False, **window)
        self.see(self.operation(page, "listTasks")).to_be_visible()
        return page

    def operation(self, page: "Page", name: str) -> "Locator":
        """Return the block of an operation."""
        return page.locator(f".opblock[id$='-{name}']")

    def execute(self, page: "Page", name: str) -> "Locator":
        """Send the operation's request as it is filled in; return where its answer is shown."""
        block = self.operation(page, name)
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table .response").first
        self.see(answer).to_be_visible()
        return answer


class DocsTest(DocsTestCase):

    def test_every_operation_is_shown_and_a_request_can_be_sent(self) -> None:
        self.create("Milk")
        page = self.open_docs()
        self.see(page.locator(".opblock")).to_have_count(len(OPERATIONS))
        answer = self.execute(page, "getHealth")
        self.see(answer).to_contain_text("200")
        self.see(answer).to_contain_text('"status": "ok"')

    def test_it_links_to_the_page(self) -> None:
        page = self.open_docs()
        page.get_by_role("link", name="Tasks", exact=True).click()
        self.see_live(page)

    def test_on_a_phone_nothing_is_wider_than_the_screen(self) -> None:
        page = self.open_docs(**PHONE)
        for name in "listTasks", "createTask", "patchTask":
            block = self.operation(page, name)
            block.locator(".opblock-summary-control").click()
            self.see(block.get_by_role("button", name="Execute")).to_be_visible()
            self.assertEqual(page.evaluate(WIDE), [], name)
            self.assertLessEqual(page.evaluate("document.body.scrollWidth"), 390, name)
        self.screenshot(page, "docs-phone")

    def test_in_the_dark_it_is_dark_and_follows_a_change(self) -> None:
        page = self.open_docs(color_scheme="dark")
        block = self.operation(page, "listTasks")
        block.locator(".opblock-summary-control").click()
        self.screenshot(page, "docs-dark")
        for place in page.locator("body"), block.locator(".opblock-section-header").first:
            self.assertLess(place.evaluate(LIGHTNESS), 0.3)
        page.emulate_media(color_scheme="light")
        self.see(page.locator("html:not(.dark-mode)")).to_have_count(1)
        self.assertGreater(page.locator("body").evaluate(LIGHTNESS), 0.9)


class TokenTest(DocsTestCase):
    """A service with tokens: the page itself needs none, and asks for one to try what does."""

    sections = {"auth": {"tokens": list(TOKENS)}}

    def test_without_a_token_it_can_be_read_and_a_request_is_refused(self) -> None:
        page = self.open_docs()
        self.see(self.execute(page, "listTasks")).to_contain_text("401")

    def test_a_token_is_taken_and_sent(self) -> None:
        page = self.open_docs()
        page.get_by_role("button", name="Authorize").first.click()
        dialog = page.locator(".modal-ux")
        dialog.get_by_label("Value").fill(WRITER)
        dialog.get_by_role("button", name="Apply credentials").click()
        dialog.get_by_role("button", name="Close", exact=True).click()
        self.see(self.execute(page, "listTasks")).to_contain_text("200")

    def test_the_token_of_the_page_in_this_tab_is_used(self) -> None:
        page = self.open(live=False)
        page.get_by_label("Token", exact=True).fill(WRITER)
        page.keyboard.press("Enter")
        self.see_live(page)
        page.goto(f"http://localhost:{self.port}/docs")
        self.see(self.execute(page, "listTasks")).to_contain_text("200")


del DocsTestCase


if __name__ == "__main__":
    unittest.main()
