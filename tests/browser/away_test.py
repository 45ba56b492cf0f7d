"""The service goes away and comes back: the page says so, keeps what was done, and catches up."""

import unittest
from typing import TYPE_CHECKING

from tests.browser.harness import BrowserTestCase

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


class RestartTest(BrowserTestCase):

    engine = "sqlite"

    def see_away(self, page: "Page") -> None:
        """Wait until the page says that the service is away."""
        self.see(page.locator("#away")).to_contain_text("The service is away.")
        self.see_said(page, "The service is away.")

    def test_what_was_done_meanwhile_is_saved_and_what_others_did_is_shown(self) -> None:
        self.create("Milk")
        self.create("Bread")
        page = self.open()
        self.stop_service()
        self.see_away(page)
        page.get_by_label("New task").fill("Water")
        page.keyboard.press("Enter")
        self.tick(page, "Milk").check()
        self.see(page.locator("#away-text")).to_contain_text("2 changes wait to be saved.")
        self.see(self.row(page, "Water")).to_have_class("unsaved")
        page.wait_for_function(UNSAVED_IS_SEEN)
        self.screenshot(page, "away")
        page.route("**/*", lambda route: route.abort())  # others are faster
        self.start_service(self.port)
        self.create("Salt")
        page.unroute("**/*")
        page.locator("#retry").dispatch_event("click")  # it may be gone by now
        self.see_titles(page, "Water", "Salt", "Bread")
        self.see(page.locator("#away")).to_be_hidden()
        self.see_said(page, "The service is back.")
        self.see(page.locator(".unsaved")).to_have_count(0)
        self.assertEqual(
            sorted((task["title"], task.get("completed", False)) for task in self.stored()),
            [("Bread", False), ("Milk", True), ("Salt", False), ("Water", False)])

    def test_comes_back_by_itself(self) -> None:
        page = self.open()
        self.stop_service()
        self.see_away(page)
        self.start_service(self.port)
        self.see_live(page)
        self.create("Milk")
        self.see_titles(page, "Milk")

    def test_closing_the_page_with_something_unsaved_is_asked_about(self) -> None:
        page = self.open()
        self.stop_service()
        page.get_by_label("New task").fill("Water")
        page.keyboard.press("Enter")
        self.see(page.locator("#away-text")).to_contain_text("1 change waits to be saved.")
        self.assertTrue(page.evaluate(ASKS_BEFORE_UNLOAD))
        self.start_service(self.port)
        self.see(page.locator(".unsaved")).to_have_count(0)
        self.assertFalse(page.evaluate(ASKS_BEFORE_UNLOAD))


UNSAVED_IS_SEEN = """() => {
  const {content, opacity, position} = getComputedStyle(document.querySelector(".unsaved .body"), "::after");
  return content.includes("Not saved yet") && opacity === "1" && position === "static";
}"""

ASKS_BEFORE_UNLOAD = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"
"""As the browser does it when the page is closed."""


class ForgetfulTest(BrowserTestCase):
    """A store that begins anew: what the page has heard of is not there, nor can it be told so."""

    def test_lists_again(self) -> None:
        self.create("Milk")
        page = self.open()
        self.see_titles(page, "Milk")
        self.stop_service()
        self.see(page.locator("#away")).to_be_visible()
        self.start_service(self.port)
        self.see_live(page)
        self.see_titles(page)
        self.create("Bread")
        self.see_titles(page, "Bread")


class FaultTest(BrowserTestCase):

    def test_loading_is_shown_and_a_list_that_is_late_comes(self) -> None:
        self.create("Milk")
        page = self.open(live=False)
        page.route("**/tasks?*", lambda route: route.abort())
        page.reload()
        self.see(page.locator("#skeleton")).to_be_visible()
        self.see(page.locator("#away")).to_contain_text("The service is away.")
        self.see(page.locator("#empty")).to_be_hidden()
        page.unroute("**/tasks?*")
        self.see_titles(page, "Milk")
        self.see(page.locator("#skeleton")).to_be_hidden()

    def test_list_that_is_refused_says_why_and_can_be_tried_again(self) -> None:
        self.create("Milk")
        page = self.open(live=False)
        page.route("**/tasks?*", lambda route: route.fulfill(
            status=500, json={"message": "Internal Server Error"}))
        page.reload()
        self.see(page.get_by_role("alert")).to_contain_text("Internal Server Error")
        page.unroute("**/tasks?*")
        page.get_by_role("button", name="Try again").click()
        self.see_titles(page, "Milk")
        self.see(page.get_by_role("alert")).to_have_count(0)

    def test_store_that_is_away_is_waited_for(self) -> None:
        page = self.open()
        answers = iter([503, 503])

        def refuse(route: "Route") -> None:
            status = next(answers, None) if route.request.method == "POST" else None
            if status is None:
                route.continue_()
            else:
                route.fulfill(status=status, headers={"Retry-After": "1"}, json={"message": "away"})

        page.route("**/tasks", refuse)
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#away-text")).to_contain_text("1 change waits to be saved.")
        self.see(page.locator("#away")).to_be_hidden()
        self.see(page.locator(".unsaved")).to_have_count(0)
        self.assertEqual(self.stored(), [{"title": "Milk"}])

    def test_is_tried_again_at_once_where_the_user_says_so(self) -> None:
        page = self.open()
        page.route("**/tasks", lambda route: route.abort())
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        for _ in range(4):  # by then it waits for three seconds at least
            page.wait_for_event("requestfailed")
        with page.expect_request("**/tasks", timeout=2_500):
            page.get_by_role("button", name="Try now").click()
        page.unroute("**/tasks")
        page.get_by_role("button", name="Try now").click()
        self.see(page.locator(".unsaved")).to_have_count(0)

    def test_task_whose_answer_was_lost_is_created_once(self) -> None:
        page = self.open()
        keys: list[str | None] = []

        def lose_two(route: "Route") -> None:
            keys.append(route.request.header_value("Idempotency-Key"))
            route.fetch()
            if len(keys) < 3:
                route.abort()
            else:
                route.continue_()

        page.route("**/tasks", lose_two)
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk")
        self.see(page.locator(".unsaved")).to_have_count(0)
        self.see_titles(page, "Milk")
        self.assertEqual(self.stored(), [{"title": "Milk"}])
        self.assertEqual(len(keys), 3)
        self.assertEqual(len(set(keys)), 1)
        self.assertNotIn(None, keys)

    def test_stream_that_is_cut_goes_on_from_where_it_was(self) -> None:
        page = self.open()
        path = self.create("Milk")
        self.see_titles(page, "Milk")
        revision = self.ask("GET", path).headers["ETag"].strip('"')
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        self.create("Bread")
        with page.expect_request("**/changes") as resumed:
            page.evaluate("dispatchEvent(new Event('pageshow'))")
        self.assertEqual(resumed.value.header_value("Last-Event-ID"), revision)
        self.see_titles(page, "Bread", "Milk")


if __name__ == "__main__":
    unittest.main()
