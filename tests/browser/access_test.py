"""A service that wants a token: the page asks for one, and keeps it in the tab only."""

import re
import unittest
from typing import TYPE_CHECKING

from tests.helpers.api import wait_until
from tests.helpers.browser import BrowserTestCase
from tests.helpers.running import READER, TOKENS, WRITER

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


class TokenTest(BrowserTestCase):

    sections = {"auth": {"tokens": TOKENS}}

    def setUp(self) -> None:
        super().setUp()
        self.ask("POST", "/tasks", {"title": "Milk"}, Authorization=f"Bearer {WRITER}")

    def give(self, page: "Page", token: str) -> None:
        """Answer the page's question."""
        dialog = page.get_by_role("dialog", name="A token is needed")
        self.see(dialog.get_by_label("Token")).to_be_focused()
        dialog.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")

    def test_is_asked_for_and_asked_again_when_it_is_not_known(self) -> None:
        page = self.open(live=False)
        self.give(page, "luck")
        problem = page.get_by_text("The service does not know this token, or it may only read.")
        self.see(problem).to_be_visible()
        self.screenshot(page, "token")
        self.give(page, WRITER)
        self.see_live(page)
        self.see_titles(page, "Milk")
        self.see(page.get_by_role("dialog")).to_have_count(0)

    def test_is_sent_with_everything_and_kept_in_the_tab_only(self) -> None:
        page = self.open(live=False)
        self.give(page, WRITER)
        self.see_live(page)
        page.get_by_label("New task").fill("Bread")
        page.keyboard.press("Enter")
        self.see_titles(page, "Bread", "Milk")
        self.see_saved(page)
        page.reload()
        self.see_live(page)
        self.assertEqual(page.evaluate("[Object.values(sessionStorage), localStorage.length, document.cookie]"),
                         [[WRITER], 0, ""])
        self.assertNotIn(WRITER, page.url + page.content())
        another = page.context.new_page()
        another.goto(page.url)
        self.see(another.get_by_role("dialog", name="A token is needed")).to_be_visible()

    def test_one_that_may_only_read_says_so_and_can_be_changed(self) -> None:
        page = self.open(live=False)
        self.give(page, READER)
        self.see_live(page)
        self.tick(page, "Milk").click()
        self.see(self.row(page, "Milk")).to_contain_text("Not saved: this token may read, not write.")
        page.get_by_role("button", name="Use another token").click()
        self.give(page, WRITER)
        self.see_titles(page)
        self.assertIn(b"true", self.ask("GET", "/tasks", Authorization=f"Bearer {READER}").body)

    def test_is_not_asked_for_in_the_middle_of_typing(self) -> None:
        page = self.open(live=False)
        self.give(page, WRITER)
        self.see_titles(page, "Milk")
        dialog = page.get_by_role("dialog", name="A token is needed")
        for how in ("the notice", "leaving the field"):
            with self.subTest(how):
                page.route("**/tasks/*", lambda route: route.fulfill(status=401), times=1)
                self.tick(page, "Milk").evaluate("""(tick) => {
                    tick.click();
                    document.querySelector("#new-title").focus();
                }""")
                page.keyboard.type("Bre")
                self.see(page.locator("#toast")).to_contain_text("The service wants a token before it goes on.")
                page.keyboard.type("ad")
                self.see(page.get_by_label("New task")).to_have_value("Bread")
                self.see(dialog).to_be_hidden()
                if how == "the notice":
                    page.get_by_role("button", name="Give a token").click()
                else:
                    self.tick(page, "Milk").focus()
                self.give(page, WRITER)
                self.see_saved(page)
                page.get_by_label("New task").fill("")

    def test_is_asked_for_once_however_many_requests_are_refused(self) -> None:
        """Also where one is refused late, after another token was given, or the same."""
        for late in (False, True):
            for token in ("another", WRITER):
                with self.subTest(late=late, token=token):
                    self.refuse_two(late, token)

    def refuse_two(self, late: bool, token: str) -> None:
        """Have a create and a list refused: at once, or the second when a token was given for the first."""
        page = self.open(live=False)
        self.give(page, WRITER)
        self.see_live(page)
        held: list[Route] = []

        def hold_two(route: "Route") -> None:
            if len(held) < 2:
                held.append(route)
            else:  # as if the service knew the new token, whichever it is
                route.continue_(headers={**route.request.headers, "authorization": f"Bearer {WRITER}"})

        page.route(re.compile(r"/tasks[/?]"), hold_two)
        page.get_by_label("New task").fill("Bread")
        page.keyboard.press("Enter")
        page.get_by_label("Search").fill("a")
        wait_until(lambda: page.evaluate("1") and len(held) == 2, "two requests")
        first, second = held
        for route in (first,) if late else (first, second):
            route.fulfill(status=401, json={"message": "a token is needed"})
        page.get_by_role("button", name="Give a token").click()
        self.give(page, token)
        if late:
            self.see(page.get_by_role("dialog")).to_have_count(0)
            second.fulfill(status=401, json={"message": "a token is needed"})
        self.see_saved(page)
        self.see(page.get_by_role("dialog")).to_have_count(0)
        page.context.close()

    def test_escape_does_not_pass_it_by(self) -> None:
        page = self.open(live=False)
        self.see(page.get_by_role("dialog")).to_be_visible()
        for _ in range(3):
            page.keyboard.press("Escape")
        self.give(page, WRITER)
        self.see_titles(page, "Milk")


if __name__ == "__main__":
    unittest.main()
