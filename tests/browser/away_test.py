"""The service goes away and comes back: the page says so, keeps what was done, and catches up."""

import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.helpers.browser import BrowserTestCase

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
        self.tick(page, "Milk").click()
        self.see(page.locator("#away-text")).to_contain_text("2 changes wait to be saved.")
        self.see(self.row(page, "Water")).to_have_class("unsaved")
        self.wait_for(page, UNSAVED_IS_SEEN)
        self.screenshot(page, "away")
        page.route("**/*", lambda route: route.abort())  # others are faster
        self.start_service(self.port)
        self.create("Salt")
        page.unroute("**/*")
        page.locator("#retry").dispatch_event("click")  # it may be gone by now
        self.see_titles(page, "Salt", "Water", "Bread")
        self.see(page.locator("#away")).to_be_hidden()
        self.see_said(page, "The service is back.")
        self.see_saved(page)
        self.see_stored(
            lambda: sorted((task["title"], task.get("completed", False)) for task in self.stored()),
            [("Bread", False), ("Milk", True), ("Salt", False), ("Water", False)])

    def test_comes_back_by_itself(self) -> None:
        page = self.open()
        self.stop_service()
        self.see_away(page)
        self.start_service(self.port)
        self.see_live(page)
        self.create("Milk")
        self.see_titles(page, "Milk")

    def test_point_4_what_was_done_meanwhile_survives_the_tab_and_is_sent_in_its_order_by_another(self) -> None:
        self.create("Milk")
        page = self.open()
        self.see_titles(page, "Milk")
        page.route("**/tasks/*", lambda route: route.abort())
        for title in ("Water", "Salt"):
            page.get_by_label("New task").fill(title)
            page.keyboard.press("Enter")
        self.tick(page, "Milk").click()
        self.edit(page, "Water").get_by_label("Title").fill("Soda water")
        page.keyboard.press("Enter")
        self.see(page.locator("#away-text")).to_contain_text("4 changes wait to be saved.")
        self.assertFalse(page.evaluate(ASKS_BEFORE_UNLOAD))  # nothing is lost
        another = page.context.new_page()
        another.on("pageerror", lambda error: self.complaints.append(str(error)))
        sent: list[tuple[str, str]] = []
        another.on("request", lambda request: sent.append((request.method, request.post_data or ""))
                   if request.method in ("PUT", "PATCH") else None)
        another.goto(page.url)
        self.see_titles(another, "Milk")
        page.close(run_before_unload=True)
        self.see_titles(another, "Salt", "Soda water")
        self.see_saved(another)
        self.see(another.locator("#list li")).to_have_count(2)
        self.assertEqual(sent, [("PUT", '{"title":"Water"}'), ("PUT", '{"title":"Salt"}'),
                                ("PATCH", '{"completed":true}'), ("PATCH", '{"title":"Soda water"}')])
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Milk", "Soda water", "Salt"])

    def test_point_4_what_was_done_meanwhile_survives_a_reload(self) -> None:
        self.create("Milk")
        page = self.open()
        self.see_titles(page, "Milk")
        page.route("**/tasks/*", lambda route: route.abort())
        page.get_by_label("New task").fill("Water")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Milk", exact=True).focus()
        page.keyboard.press("Delete")
        self.see(page.locator("#away-text")).to_contain_text("2 changes wait to be saved.")
        page.reload()
        self.see_titles(page, "Water")
        self.see(page.locator(".unsaved")).to_have_count(1)
        page.unroute("**/tasks/*")
        page.locator("#retry").dispatch_event("click")
        self.see_saved(page)
        self.see_stored(self.stored, [{"title": "Water"}])


UNSAVED_IS_SEEN = """() => {
  const {content, opacity, position} = getComputedStyle(document.querySelector(".unsaved .body"), "::after");
  return content.includes("Not saved yet") && opacity === "1" && position === "static";
}"""

ASKS_BEFORE_UNLOAD = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"
"""As the browser does it when the page is closed."""


class ForgetfulTest(BrowserTestCase):
    """A store that begins anew: what the page knows is not there, and no event says so."""

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


class ExpiredTest(BrowserTestCase):
    """The changes since the page's position are not kept any more (410): it lists again."""

    def setUp(self) -> None:
        super().setUp()
        self.paths = {title: self.create(title) for title in ("Milk", "Bread", "Salt")}
        self.page = self.open()
        self.see_titles(self.page, "Salt", "Bread", "Milk")

    def expire(self) -> None:
        """Cut the stream off, and refuse once to resume it."""
        refused: list[Route] = []

        def refuse_once(route: "Route") -> None:
            if refused:
                route.continue_()
            else:
                refused.append(route)
                route.fulfill(status=410, json={"message": "gone"})

        self.page.route("**/changes", refuse_once)
        self.page.evaluate("dispatchEvent(new Event('pagehide'))")
        self.ask("DELETE", self.paths["Salt"])
        self.create("Pepper")
        with self.page.expect_response(lambda answer: "/tasks?" in answer.url):
            self.page.evaluate("dispatchEvent(new Event('pageshow'))")
        self.see(self.page.get_by_role("button", name="Pepper", exact=True)).to_be_visible()

    def test_what_is_edited_stays_and_can_be_saved(self) -> None:
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Title").fill("Oat milk")
        self.expire()
        self.see(editor.get_by_label("Title")).to_have_value("Oat milk")
        self.see(editor.get_by_label("Title")).to_be_focused()
        self.page.keyboard.press("Enter")
        self.see_titles(self.page, "Pepper", "Bread", "Oat milk")
        self.see_saved(self.page)
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Oat milk", "Bread", "Pepper"])

    def test_what_is_edited_stays_where_it_was_deleted_meanwhile(self) -> None:
        editor = self.edit(self.page, "Salt")
        editor.get_by_label("Title").fill("Sea salt")
        self.expire()
        self.see(editor.get_by_label("Title")).to_have_value("Sea salt")
        self.page.keyboard.press("Enter")
        self.page.get_by_role("alertdialog").get_by_role("button", name="Bring it back, as mine").click()
        self.see(self.page.get_by_role("button", name="Sea salt", exact=True)).to_be_visible()
        self.see_saved(self.page)
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Milk", "Bread", "Sea salt", "Pepper"])

    def test_point_1_what_was_dropped_before_can_be_had_back_in_the_row_that_is_there_now(self) -> None:
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Title").fill("Oat milk")
        self.page.keyboard.press("Escape")
        self.expire()
        self.page.keyboard.press("Control+z")
        self.see(editor.get_by_label("Title")).to_have_value("Oat milk")
        self.see(self.page.locator("#list li")).to_have_count(3)
        self.page.keyboard.press("Enter")
        self.see_titles(self.page, "Pepper", "Bread", "Oat milk")
        self.see_saved(self.page)
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Oat milk", "Bread", "Pepper"])

    def test_what_is_not_saved_yet_stays_and_is_saved(self) -> None:
        self.page.route("**/tasks/*", lambda route: route.abort())
        self.tick(self.page, "Milk").click()
        self.page.get_by_label("New task").fill("Water")
        self.page.keyboard.press("Enter")
        self.see(self.page.locator("#away-text")).to_contain_text("2 changes wait to be saved.")
        self.see_titles(self.page, "Water", "Salt", "Bread")
        self.expire()
        self.see_titles(self.page, "Pepper", "Water", "Bread")
        self.see(self.page.locator("#away-text")).to_contain_text("2 changes wait to be saved.")
        self.page.unroute("**/tasks/*")
        self.page.locator("#retry").dispatch_event("click")
        self.see_saved(self.page)
        self.see_stored(lambda: sorted((task["title"], task.get("completed", False)) for task in self.stored()), [
            ("Bread", False), ("Milk", True), ("Pepper", False), ("Water", False)])


class StreamTest(BrowserTestCase):
    """The stream of changes, and the time that passes without anything from it."""

    def open_with_clock(self) -> "Page":
        """Open the page with a clock that the test can move."""
        page = self.open(live=False)
        page.clock.install()
        page.reload()
        self.see_live(page)
        return page

    def pause(self, page: "Page", later: int) -> None:
        """Go on by so many seconds, and stop the clock."""
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + later)

    def fail_often(self, page: "Page", path: str) -> None:
        """Have requests fail until the page waits for seven seconds at least before it tries again."""
        for _ in range(7):
            with page.expect_event("requestfailed", lambda request: path in request.url):
                page.clock.fast_forward(15_000)

    def test_one_that_falls_silent_is_not_live_and_is_opened_again_from_where_it_was(self) -> None:
        page = self.open_with_clock()
        path = self.create("Milk")
        self.see_titles(page, "Milk")
        revision = self.ask("GET", path).headers["ETag"].strip('"')
        page.route("**/changes", lambda route: route.abort())
        with page.expect_request("**/changes") as resumed:
            page.clock.fast_forward(41_000)
        self.assertEqual(resumed.value.header_value("Last-Event-ID"), revision)
        self.see(page.locator("#connection")).to_have_attribute("data-state", "away")
        self.create("Bread")
        page.unroute("**/changes")
        page.clock.fast_forward(20_000)
        self.see_live(page)
        self.see_titles(page, "Bread", "Milk")

    def test_any_sign_of_life_is_enough_and_forty_seconds_without_one_are_too_much(self) -> None:
        page = self.open_with_clock()
        page.evaluate(READ_STREAM)
        for pause, outcome in ((30_000, "reads"), (39_000, "reads"), (30_000, "reads"),
                               (41_000, "Error: the event stream fell silent")):
            page.clock.fast_forward(pause)
            self.assertEqual(page.evaluate("window.outcome()"), outcome)
            if outcome == "reads":
                page.evaluate("window.say(': still here\\n\\n')")

    def test_one_whose_answer_does_not_begin_is_asked_for_again(self) -> None:
        page = self.open_with_clock()
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        with self.hold_one(page, "**/changes") as held:
            page.evaluate("dispatchEvent(new Event('pageshow'))")
        with page.expect_response("**/changes"):
            page.clock.fast_forward(21_000)
        self.see_live(page)
        held[0].abort()

    @contextmanager
    def hold_one(self, page: "Page", url: str) -> Iterator[list["Route"]]:
        """Have a request without an answer begin in the block, which is then in the list; others go through."""
        held: list[Route] = []

        def hold(route: "Route") -> None:
            if held:
                route.continue_()
            else:
                held.append(route)

        page.route(url, hold)
        with page.expect_request(url):
            yield held

    def test_what_waits_to_be_saved_is_saved_as_soon_as_it_is_back(self) -> None:
        """No timer runs meanwhile: only the stream shows that the service is back."""
        page = self.open_with_clock()
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        page.route("**/tasks/*", lambda route: route.abort())
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#away-text")).to_contain_text("1 change waits to be saved.")
        self.fail_often(page, "/tasks/")
        self.pause(page, 1)
        with page.expect_response(lambda answer: answer.request.method == "PUT") as saved:
            page.unroute("**/tasks/*")
            page.evaluate("dispatchEvent(new Event('pageshow'))")
        self.assertEqual(saved.value.status, 201)

    def test_so_is_what_was_on_its_way_and_fails_just_then(self) -> None:
        page = self.open_with_clock()
        page.route("**/changes", lambda route: route.abort())
        page.clock.fast_forward(41_000)
        self.see(page.locator("#away")).to_be_visible()
        with self.hold_one(page, "**/tasks/*") as held:
            page.get_by_label("New task").fill("Milk")
            page.keyboard.press("Enter")
        self.pause(page, 5)
        page.unroute("**/changes")
        for event in ("pagehide", "pageshow"):
            page.evaluate(f"dispatchEvent(new Event('{event}'))")
        self.see(page.locator("#connection")).to_have_attribute("data-state", "live")
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            held[0].abort()

    def test_it_is_opened_again_as_soon_as_something_could_be_saved(self) -> None:
        """The other way round: a write that succeeds shows that the service is back."""
        page = self.open_with_clock()
        page.route("**/changes", lambda route: route.abort())
        page.clock.fast_forward(41_000)
        self.fail_often(page, "/changes")
        self.pause(page, 1)
        with page.expect_response("**/changes"):
            page.unroute("**/changes")
            page.get_by_label("New task").fill("Milk")
            page.keyboard.press("Enter")
        self.see(page.locator("#connection")).to_have_attribute("data-state", "live")


READ_STREAM = """async () => {
  const {readEvents} = await import("/static/events.js");
  let controller;
  let outcome = "reads";
  const events = readEvents(new ReadableStream({start: (its) => { controller = its; }}));
  events.next().catch((error) => { outcome = String(error); });
  window.outcome = async () => {
    for (let turn = 0; turn < 10; turn++) await null;
    return outcome;
  };
  window.say = async (text) => {
    controller.enqueue(new TextEncoder().encode(text));
    await new Promise((done) => {
      const {port1, port2} = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(0);
    });
  };
}"""
"""Read a stream that the test speaks on, also while no timer runs."""


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
            status = next(answers, None) if route.request.method == "PUT" else None
            if status is None:
                route.continue_()
            else:
                route.fulfill(status=status, headers={"Retry-After": "1"}, json={"message": "away"})

        page.route("**/tasks/*", refuse)
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#away-text")).to_contain_text("1 change waits to be saved.")
        self.see(page.locator("#away")).to_be_hidden()
        self.see_saved(page)
        self.see_stored(self.stored, [{"title": "Milk"}])

    def test_is_tried_again_at_once_where_the_user_says_so(self) -> None:
        page = self.open()
        page.route("**/tasks/*", lambda route: route.abort())
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        for _ in range(4):  # by then it waits for three seconds at least
            page.wait_for_event("requestfailed")
        with page.expect_request("**/tasks/*", timeout=2_500):
            page.get_by_role("button", name="Try now").click()
        page.unroute("**/tasks/*")
        page.locator("#retry").dispatch_event("click")  # which may be gone by now: the request may still get through
        self.see_saved(page)

    def test_point_4_task_whose_answer_was_lost_is_created_once(self) -> None:
        page = self.open()
        keys: list[tuple[str, str | None]] = []

        def lose_two(route: "Route") -> None:
            keys.append((route.request.url, route.request.header_value("If-None-Match")))
            route.fetch()
            if len(keys) < 3:
                route.abort()
            else:
                route.continue_()

        page.route("**/tasks/*", lose_two)
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk")
        self.see_saved(page)
        self.see_titles(page, "Milk")
        self.see_stored(self.stored, [{"title": "Milk"}])
        self.assertEqual(len(keys), 3)
        self.assertEqual(len(set(keys)), 1)
        self.assertEqual(keys[0][1], "*")

    def test_point_4_task_whose_answer_was_lost_and_that_was_deleted_since_is_not_created_again(self) -> None:
        page = self.open()
        tries: list[str] = []

        def lose_one(route: "Route") -> None:
            tries.append(route.request.method)
            if len(tries) == 1:
                path = urlsplit(route.request.url).path
                self.assertEqual(route.fetch().status, 201)
                self.assertEqual(self.ask("DELETE", path).status, 204)
                route.abort()
            else:
                route.continue_()

        page.route("**/tasks/*", lose_one)
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#toast")).to_contain_text("Somebody else has deleted “Milk” meanwhile.")
        self.see_saved(page)
        self.see_titles(page)
        self.assertEqual(self.stored(), [])
        self.assertEqual(tries, ["PUT"])

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
