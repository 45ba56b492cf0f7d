"""Adding, ticking, editing and deleting on the page, each by mouse and by keyboard."""

import re
import unittest
from typing import TYPE_CHECKING

from tests.helpers.browser import BrowserTestCase

if TYPE_CHECKING:
    from playwright.sync_api import Route

LATE_IN_2030 = 1924905600
"""The last day of 2030: its midnight in UTC."""


class AddingTest(BrowserTestCase):

    def test_enter_adds_and_the_field_is_ready_for_the_next(self) -> None:
        page = self.open()
        for title in ("Milk", "  Bread "):
            page.keyboard.type(title) if title == "  Bread " else page.get_by_label("New task").fill(title)
            page.keyboard.press("Enter")
        self.see_titles(page, "Bread", "Milk")
        self.see(page.get_by_label("New task")).to_be_focused()
        self.see(page.get_by_label("New task")).to_have_value("")
        self.see_said(page, "Added “Bread”")
        self.see_saved(page)
        self.see_stored(self.stored, [{"title": "Milk"}, {"title": "Bread"}])

    def test_blank_is_not_added(self) -> None:
        page = self.open()
        page.get_by_label("New task").fill("   ")
        page.keyboard.press("Enter")
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk")

    def test_with_priority_and_date(self) -> None:
        page = self.open()
        composer = page.locator("#composer")
        composer.get_by_label("New task").fill("Pack")
        composer.get_by_label("Due", exact=True).select_option("Another day …")
        self.see(composer.get_by_label("Due on")).to_be_focused()
        composer.get_by_label("Due on").fill("2030-12-31")
        composer.get_by_label("Priority").select_option("High")
        composer.get_by_role("button", name="Add").click()
        self.see(self.row(page, "Pack")).to_contain_text("31 Dec 2030")
        self.see(self.row(page, "Pack")).to_contain_text("High")
        self.see(composer.get_by_label("Due on")).to_be_hidden()
        self.see(composer.get_by_label("Priority")).to_have_value("none")
        self.see_saved(page)
        self.see_stored(
            self.stored, [{"title": "Pack", "priority": "high", "due_date": LATE_IN_2030}])

    def test_today_and_tomorrow_are_said_in_words(self) -> None:
        page = self.open()
        composer = page.locator("#composer")
        for day in ("Today", "Tomorrow"):
            composer.get_by_label("New task").fill(f"Due {day[:3]}")
            composer.get_by_label("Due", exact=True).select_option(day)
            page.keyboard.press("Enter")
            composer.get_by_role("button", name="Add").click()
            self.see(self.row(page, f"Due {day[:3]}").locator("time")).to_have_text(day)

    def test_what_the_filter_leaves_out_is_said_to_be_added(self) -> None:
        page = self.open("/?show=done")
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#toast")).to_contain_text("Added “Milk”. It is not among the tasks shown here.")
        self.see_titles(page)

    def test_point_3_what_the_service_refuses_stays_visible_with_the_reason_until_the_person_decides(self) -> None:
        page = self.open()
        page.route("**/tasks/*", lambda route: route.fulfill(status=400, json={"message": "not today"}))
        for title in ("Bread", "Milk"):
            page.get_by_label("New task").fill(title)
            page.keyboard.press("Enter")
        self.see(page.locator("#refused-text")).to_have_text("2 changes are not saved.")
        page.reload()
        self.see(page.locator("#refused-text")).to_have_text("2 changes are not saved.")
        for title in ("Bread", "Milk"):
            self.see(self.row(page, title)).to_contain_text("Not saved: the service takes no such task (not today).")
        page.unroute("**/tasks/*")
        self.row(page, "Bread").get_by_role("button", name="Retry").click()
        self.see(page.locator("#refused-text")).to_have_text("1 change is not saved.")
        self.row(page, "Milk").get_by_role("button", name="Discard").click()
        self.see_titles(page, "Bread")
        self.see(page.locator("#refused")).to_be_hidden()
        self.see_stored(self.stored, [{"title": "Bread"}])
        page.keyboard.press("Control+z")
        self.see_titles(page, "Milk", "Bread")
        self.see_saved(page)
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Bread", "Milk"])

    def test_point_3_what_is_too_long_says_so_and_is_saved_once_it_is_shorter(self) -> None:
        page = self.open()
        page.get_by_label("New task").fill("x" * 70_000)
        page.keyboard.press("Enter")
        row = page.locator("#list li")
        self.see(row).to_contain_text("Not saved: it is longer than the service takes.")
        row.locator("button.title").click()
        row.get_by_role("textbox", name="Title").fill("Short")
        page.keyboard.press("Enter")
        self.see_saved(page)
        self.see_stored(self.stored, [{"title": "Short"}])

    def test_point_3_each_refusal_says_what_is_wrong_and_what_to_do(self) -> None:
        refusals = {
            400: ("the service takes no such task (no). Edit it.", ["Retry", "Discard"]),
            403: ("this token may read, not write.", ["Use another token", "Retry", "Discard"]),
            413: ("it is longer than the service takes. Make it shorter.", ["Retry", "Discard"]),
            507: ("the store of the service is full. Retry once there is room.", ["Retry", "Discard"]),
        }
        page = self.open("/?sort=title")
        page.route("**/tasks/*", lambda route: route.fulfill(
            status=int(route.request.post_data_json["title"]), json={"message": "no"}))
        for status, (reason, ways) in refusals.items():
            page.get_by_label("New task").fill(str(status))
            page.keyboard.press("Enter")
            row = self.row(page, str(status))
            self.see(row.locator("[data-part=reason]")).to_have_text(f"Not saved: {reason}")
            self.see(row.locator(".trouble button:visible")).to_have_text(ways)
        self.see(page.locator("#away")).to_be_hidden()
        self.screenshot(page, "refused")
        page.unroute("**/tasks/*")
        page.route("**/tasks/*", lambda route: route.fulfill(status=503, json={"message": "no"}))
        page.get_by_label("New task").fill("503")
        page.keyboard.press("Enter")
        self.see(page.locator("#away-text")).to_have_text("The service is away. 1 change waits to be saved.")
        self.see(self.row(page, "503").locator(".trouble")).to_have_count(0)
        page.unroute("**/tasks/*")
        page.locator("#retry").dispatch_event("click")  # which may be gone by now: it tries again by itself, too
        for status in refusals:
            self.row(page, str(status)).get_by_role("button", name="Retry").click()
        self.see_saved(page)
        self.see(page.locator("#refused")).to_be_hidden()
        self.see_stored(lambda: sorted(task["title"] for task in self.stored()), ["400", "403", "413", "503", "507"])


class WeakTagsTest(BrowserTestCase):

    def test_point_4_a_proxy_that_weakens_tags_hinders_no_change(self) -> None:
        """As nginx does where it compresses (RFC 9110 §8.8.3.2): a weak tag never matches in If-Match."""
        self.create("Milk")
        page = self.open(live=False)

        def weaken(route: "Route") -> None:
            answer = route.fetch()
            tag = answer.headers.get("etag", '""')
            route.fulfill(response=answer, headers={**answer.headers, "etag": "W/" + tag.removeprefix("W/")})

        page.route(re.compile("/tasks"), weaken)
        page.reload()
        self.see_titles(page, "Milk")
        self.edit(page, "Milk").get_by_label("Title").fill("Oat milk")
        page.keyboard.press("Enter")
        self.tick(page, "Oat milk").click()
        self.see_saved(page)
        self.see(page.locator("#refused")).to_be_hidden()
        self.see_stored(self.stored, [{"title": "Oat milk", "completed": True}])
        page.keyboard.press("Control+z")
        page.get_by_role("button", name="Oat milk", exact=True).press("Delete")
        self.see_saved(page)
        self.see_stored(self.stored, [])


class ChangingTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.create("Milk", priority="high", due_date=LATE_IN_2030 + 0.5)
        self.create("Bread")
        self.page = self.open()

    def test_ticked_stays_a_while_then_leaves_and_comes_back_by_undo(self) -> None:
        self.tick(self.page, "Milk").click()  # and not check(): it may have left before that looks
        self.see_said(self.page, "Done: “Milk”.")
        self.see_titles(self.page, "Bread")
        self.assertTrue(self.stored()[0]["completed"])
        self.page.get_by_role("button", name="Undo").click()
        self.see_titles(self.page, "Bread", "Milk")
        self.see(self.page.get_by_role("button", name="Milk", exact=True)).to_be_focused()
        self.see_saved(self.page)
        self.see_stored(
            lambda: self.stored()[0], {"title": "Milk", "priority": "high", "due_date": LATE_IN_2030 + 0.5})

    def test_several_ticks_leave_together(self) -> None:
        for title in ("Milk", "Bread"):
            self.tick(self.page, title).click()
        self.see(self.page.locator("#list li")).to_have_count(0)
        self.see(self.page.locator("#empty")).to_contain_text("All done")
        self.see(self.page.get_by_role("region", name="The tasks")).to_be_focused()

    def test_edited_in_place(self) -> None:
        editor = self.edit(self.page, "Milk")
        self.see(editor.get_by_label("Title")).to_be_focused()
        editor.get_by_label("Title").fill("Oat milk")
        editor.get_by_label("Description").fill("two litres")
        editor.get_by_role("button", name="Save").click()
        self.see(self.row(self.page, "Oat milk")).to_contain_text("two litres")
        self.see(self.page.get_by_role("button", name="Oat milk", exact=True)).to_be_focused()
        self.see_saved(self.page)
        self.see_stored(lambda: self.stored()[0], {
            "title": "Oat milk", "description": "two litres", "priority": "high",
            "due_date": LATE_IN_2030 + 0.5})

    def test_only_what_was_edited_is_sent(self) -> None:
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Priority").select_option("No priority")
        with self.page.expect_request(lambda request: request.method == "PATCH") as sent:
            editor.get_by_role("button", name="Save").click()
        self.assertEqual(sent.value.post_data_json, {"priority": None})

    def test_enter_saves_escape_does_not_and_nothing_new_is_not_sent(self) -> None:
        patches: list[str] = []
        self.page.on("request", lambda request: patches.append(request.method) if request.method == "PATCH" else None)
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Title").fill("Cream")
        self.page.keyboard.press("Escape")
        self.see_titles(self.page, "Bread", "Milk")
        self.see(self.page.get_by_role("button", name="Milk", exact=True)).to_be_focused()
        self.page.keyboard.press("Enter")
        self.see(editor.get_by_label("Title")).to_be_focused()
        self.page.keyboard.press("Enter")
        self.see(editor).to_have_count(0)
        self.assertEqual(patches, [])
        self.page.keyboard.press("F2")
        editor.get_by_label("Title").fill("Cream")
        self.page.keyboard.press("Enter")
        self.see_titles(self.page, "Bread", "Cream")

    def test_keys_of_an_input_method_are_its_own(self) -> None:
        """Enter picks a word and Escape drops it; browsers mark such keys in one of two ways."""
        editor = self.edit(self.page, "Milk")
        title = editor.get_by_label("Title")
        title.fill("Cream")
        for sign in ({"isComposing": True}, {"keyCode": 229}):
            for key in ("Enter", "Escape"):
                title.dispatch_event("keydown", {"key": key, "bubbles": True, "cancelable": True, **sign})
                self.see(title).to_have_value("Cream")
        self.see_titles(self.page, "Bread", "Milk")
        self.page.keyboard.press("Enter")
        self.see_titles(self.page, "Bread", "Cream")

    def test_a_title_is_needed(self) -> None:
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Title").fill(" ")
        self.page.keyboard.press("Enter")
        self.see(editor).to_contain_text("A task needs a title.")
        self.see_said(self.page, "A task needs a title.")
        self.see_stored(lambda: self.stored()[0]["title"], "Milk")

    def test_date_can_be_moved_and_removed(self) -> None:
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Due on").fill("2031-01-02")
        editor.get_by_role("button", name="Save").click()
        self.see(self.row(self.page, "Milk")).to_contain_text("2 Jan 2031")
        self.edit(self.page, "Milk").get_by_label("Due", exact=True).select_option("No date")
        editor.get_by_role("button", name="Save").click()
        self.see(self.row(self.page, "Milk").locator("time")).to_have_count(0)
        self.see_saved(self.page)
        self.see_stored(lambda: self.stored()[0], {"title": "Milk", "priority": "high"})

    def test_deleted_and_brought_back_as_it_was(self) -> None:
        before = self.stored()
        self.row(self.page, "Milk").hover()
        self.page.get_by_role("button", name="Delete Milk").click()
        self.see_titles(self.page, "Bread")
        self.see_said(self.page, "Deleted “Milk”.")
        self.page.get_by_role("button", name="Undo").click()
        self.see_titles(self.page, "Bread", "Milk")
        self.see_saved(self.page)
        self.see_stored(self.stored, before)
        self.assertEqual(self.ask("GET", self.path).status, 200)

    def test_deleted_and_brought_back_by_keys(self) -> None:
        self.page.get_by_role("button", name="Bread", exact=True).focus()
        self.page.keyboard.press("Delete")
        self.see_titles(self.page, "Milk")
        self.see(self.page.get_by_role("button", name="Milk", exact=True)).to_be_focused()
        self.page.keyboard.press("Control+z")
        self.see_titles(self.page, "Bread", "Milk")
        self.see_said(self.page, "Undone: “Bread”.")

    def test_point_1_a_held_key_changes_one_task(self) -> None:
        """The focus moves on to the next task, but the key that is still down is not for that one."""
        for title in ("Tea", "Salt"):
            self.create(title)
        self.see_titles(self.page, "Salt", "Tea", "Bread", "Milk")
        self.page.get_by_role("button", name="Salt", exact=True).focus()
        self.hold("Delete", "Tea", "Bread", "Milk")
        self.page.get_by_role("button", name="Delete Tea").focus()
        self.hold("Enter", "Bread", "Milk")
        self.tick(self.page, "Bread").focus()
        self.hold("Space", "Milk")
        self.see_saved(self.page)
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Milk", "Bread"])
        self.assertEqual([task.get("completed", False) for task in self.stored()], [False, True])

    def test_a_held_enter_opens_the_editor_and_leaves_it_open(self) -> None:
        self.page.get_by_role("button", name="Milk", exact=True).focus()
        for _ in range(4):
            self.page.keyboard.down("Enter")
        self.page.keyboard.up("Enter")
        editor = self.page.get_by_role("form", name="Edit the task")
        self.see(editor.get_by_label("Title")).to_be_focused()
        self.see(editor.get_by_label("Title")).to_have_value("Milk")

    def test_point_14_the_next_space_after_a_row_has_left_changes_no_other_task(self) -> None:
        editor = self.page.get_by_role("form", name="Edit the task")
        self.create("Salt")
        for part, key in ((self.tick(self.page, "Salt"), "Space"),
                          (self.page.get_by_role("button", name="Delete Bread"), "Enter")):
            self.see(part).to_be_attached()
            part.focus()
            self.page.keyboard.press(key)
            self.see(part).to_have_count(0)
            self.see(self.page.locator("#list li button.title").first).to_be_focused()
            self.page.keyboard.press("Space")
            self.see(editor.get_by_label("Title")).to_be_focused()
            self.page.keyboard.press("Escape")
        self.see_titles(self.page, "Milk")
        self.see_saved(self.page)
        self.see_stored(lambda: [(task["title"], task.get("completed", False)) for task in self.stored()],
                        [("Milk", False), ("Salt", True)])

    def hold(self, key: str, *left: str) -> None:
        """Hold a key down on a task while that leaves the list, and some time longer."""
        self.page.keyboard.down(key)
        for _ in range(5):
            self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            self.page.keyboard.down(key)
        self.page.keyboard.up(key)
        self.see_titles(self.page, *left)

    def test_changes_in_a_row_are_sent_one_after_the_other(self) -> None:
        """Each is for what the one before it makes: none is refused as stale."""
        self.page.goto(self.page.url + "?show=all")
        self.see_live(self.page)
        for _ in range(6):
            self.tick(self.page, "Milk").click()
        self.see_saved(self.page)
        self.see(self.page.locator("#conflict-dialog")).to_be_hidden()
        self.assertFalse(self.stored()[0].get("completed", False))


if __name__ == "__main__":
    unittest.main()
