"""Two windows at once: changes appear live, and nobody overwrites another's without being asked."""

import unittest
from typing import TYPE_CHECKING

from tests.helpers.api import wait_until
from tests.helpers.browser import BrowserTestCase

if TYPE_CHECKING:
    from playwright.sync_api import Route


class LiveTest(BrowserTestCase):

    def test_what_one_window_does_appears_in_the_other(self) -> None:
        one, other = self.open(), self.open()
        one.get_by_label("New task").fill("Milk")
        one.keyboard.press("Enter")
        self.see_titles(other, "Milk")
        self.edit(other, "Milk").get_by_label("Title").fill("Oat milk")
        other.keyboard.press("Enter")
        self.see_titles(one, "Oat milk")
        self.tick(one, "Oat milk").click()
        self.see_titles(other)
        one.get_by_role("button", name="Undo").click()
        self.see_titles(other, "Oat milk")
        one.get_by_role("button", name="Oat milk", exact=True).focus()
        one.keyboard.press("Delete")
        self.see_titles(other)
        self.see(other.locator("#empty")).to_be_visible()

    def test_own_task_is_not_shown_twice(self) -> None:
        """Its event may come before its answer."""
        page = self.open()
        most = page.evaluate_handle(
            """() => { const most = {rows: 0}; new MutationObserver(() => {
            most.rows = Math.max(most.rows, document.querySelectorAll("#list li").length);
            }).observe(document.querySelector("#list"), {childList: true}); return most; }""")
        held: list[Route] = []
        page.route("**/tasks/*", lambda route: held.append(route))
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#list li.unsaved")).to_have_count(1)
        while not held:  # its request is on its way
            page.wait_for_timeout(10)
        [route] = held
        answer = route.fetch()
        self.see_titles(self.open(), "Milk")  # the service has done it, and others see it
        self.see(page.locator("#list li.unsaved")).to_have_count(1)
        route.fulfill(response=answer)
        self.see(page.locator("#list li:not(.unsaved)")).to_have_count(1)
        page.unroute("**/tasks/*")
        self.create("Bread")
        self.see_titles(page, "Bread", "Milk")
        self.assertEqual(most.evaluate("(most) => most.rows"), 2)

    def test_what_changes_goes_where_it_belongs_and_out_of_what_it_does_not_match(self) -> None:
        paths = [self.create(title) for title in ("Anchovies", "Bread", "Milk")]
        page = self.open("/?q=a&sort=title")
        self.see_titles(page, "Anchovies", "Bread")
        self.ask("PATCH", paths[0], {"title": "Canned fish"})
        self.see_titles(page, "Bread", "Canned fish")
        self.ask("PATCH", paths[1], {"title": "Toast", "description": "a lot"})
        self.see_titles(page, "Canned fish", "Toast")
        self.ask("PATCH", paths[2], {"description": "anything"})
        self.see_titles(page, "Canned fish", "Milk", "Toast")
        self.ask("PATCH", paths[0], {"title": "Fish"})
        self.see_titles(page, "Milk", "Toast")

    def test_change_by_others_is_shown_to_be_one(self) -> None:
        path = self.create("Milk")
        page = self.open()
        self.see(page.locator("li.news")).to_have_count(0)
        self.ask("PATCH", path, {"description": "two litres"})
        self.see(self.row(page, "Milk")).to_have_class("news")


class ConflictTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.create("Milk", priority="low")
        self.page = self.open()
        self.dialog = self.page.get_by_role("alertdialog")

    def edit_what_another_changes(self, **members: object) -> None:
        """Edit the title while somebody else changes something, and save."""
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Title").fill("Oat milk")
        self.ask("PATCH", self.path, members)
        self.see(editor).to_contain_text("Somebody changed this task meanwhile.")
        self.see_said(self.page, "Somebody changed this task meanwhile.")
        self.page.keyboard.press("Enter")
        self.see(self.dialog).to_contain_text("Somebody else changed this task")

    def test_point_5_what_each_side_made_of_it_is_shown_and_mine_can_be_kept(self) -> None:
        self.edit_what_another_changes(title="Soy milk", description="two litres")
        mine = self.dialog.get_by_role("region", name="Yours")
        theirs = self.dialog.get_by_role("region", name="Theirs")
        self.see(mine.locator(".differs")).to_have_text(["was Milk now Oat milk"])
        self.see(theirs.locator(".differs")).to_have_text(["was Milk now Soy milk", "was none now two litres"])
        self.see_stored(lambda: self.stored()[0]["title"], "Soy milk")
        self.screenshot(self.page, "conflict")
        self.dialog.get_by_role("button", name="Keep mine").click()
        self.see_titles(self.page, "Oat milk")
        self.see_saved(self.page)
        self.see_stored(self.stored, [
            {"title": "Oat milk", "description": "two litres", "priority": "low"}])

    def test_point_5_edits_of_different_members_merge_by_themselves(self) -> None:
        editor = self.edit(self.page, "Milk")
        editor.get_by_label("Title").fill("Oat milk")
        self.ask("PATCH", self.path, {"description": "two litres", "priority": "high"})
        self.see(editor).to_contain_text("What you save is merged with it.")
        self.page.keyboard.press("Enter")
        self.see(self.row(self.page, "Oat milk")).to_contain_text("two litres")
        self.see_saved(self.page)
        self.see(self.dialog).to_be_hidden()
        self.see_stored(self.stored, [{"title": "Oat milk", "description": "two litres", "priority": "high"}])

    def test_points_1_and_5_theirs_that_was_kept_can_be_undone(self) -> None:
        self.edit_what_another_changes(title="Soy milk")
        self.dialog.get_by_role("button", name="Keep theirs").click()
        self.see_titles(self.page, "Soy milk")
        self.page.keyboard.press("Control+z")
        self.see_titles(self.page, "Oat milk")
        self.see_stored(lambda: self.stored()[0]["title"], "Oat milk")
        self.see_saved(self.page)

    def test_the_focus_stays_in_a_field_when_the_question_has_gone(self) -> None:
        self.edit_what_another_changes(title="Soy milk")
        self.page.evaluate("""() => {
            document.querySelector("#keep-theirs").click();
            document.querySelector("#new-title").focus();
        }""")
        self.see_titles(self.page, "Soy milk")
        self.see(self.page.get_by_label("New task")).to_be_focused()

    def test_theirs_can_be_kept(self) -> None:
        self.edit_what_another_changes(title="Soy milk")
        self.dialog.get_by_role("button", name="Keep theirs").click()
        self.see_titles(self.page, "Soy milk")
        self.see_saved(self.page)
        self.see_stored(lambda: self.stored()[0]["title"], "Soy milk")

    def test_point_5_escape_leaves_the_choice_for_later_and_one_enter_too_many_chooses_nothing(self) -> None:
        self.edit_what_another_changes(title="Soy milk")
        self.page.keyboard.press("Enter")
        self.see(self.dialog).to_be_visible()
        self.page.keyboard.press("Escape")
        self.see(self.dialog).to_be_hidden()
        row = self.row(self.page, "Oat milk")
        self.see(row).to_contain_text("Not saved: somebody else changed it, too.")
        self.see_stored(lambda: self.stored()[0]["title"], "Soy milk")
        self.page.reload()
        self.see_live(self.page)
        row.get_by_role("button", name="Compare").click()
        self.dialog.get_by_role("button", name="Keep mine").click()
        self.see_stored(lambda: self.stored()[0]["title"], "Oat milk")
        self.see_saved(self.page)

    def test_deleted_meanwhile_can_be_brought_back(self) -> None:
        for again in ("Bring it back, as mine", "Leave it deleted"):
            with self.subTest(again):
                editor = self.edit(self.page, "Milk")
                editor.get_by_label("Description").fill(again)
                self.ask("DELETE", self.path)
                self.see(editor).to_contain_text("Somebody deleted this task meanwhile.")
                editor.get_by_role("button", name="Save").click()
                self.see(self.dialog).to_contain_text("Somebody else deleted this task")
                self.dialog.get_by_role("button", name=again).click()
                kept = [{"title": "Milk", "description": again, "priority": "low"}] if again.startswith("Bring") else []
                self.see_stored(self.stored, kept)
                self.see_saved(self.page)
                self.see(self.page.locator("#list li")).to_have_count(len(kept))

    def change_unseen(self, method: str = "PATCH") -> None:
        """Have somebody change the task so that the page has yet to hear of it."""
        self.page.route("**/changes", lambda route: route.abort())
        self.page.evaluate("dispatchEvent(new Event('pagehide'))")
        self.ask(method, self.path, None if method == "DELETE" else {"title": "Soy milk"})

    def test_deleting_what_was_changed_is_asked_about(self) -> None:
        self.change_unseen()
        self.page.get_by_role("button", name="Milk", exact=True).focus()
        self.page.keyboard.press("Delete")
        self.see(self.dialog).to_contain_text("Somebody else changed the task that you deleted")
        self.see_stored(lambda: self.stored()[0]["title"], "Soy milk")
        self.dialog.get_by_role("button", name="Keep it").click()
        self.see_titles(self.page, "Soy milk")

    def test_point_5_a_tick_never_asks(self) -> None:
        self.change_unseen()
        self.tick(self.page, "Milk").click()
        self.see_saved(self.page)
        self.see(self.dialog).to_be_hidden()
        self.see_stored(lambda: self.stored()[0], {"title": "Soy milk", "priority": "low", "completed": True})

    def test_point_5_a_tick_of_what_somebody_deleted_says_so(self) -> None:
        self.change_unseen("DELETE")
        self.tick(self.page, "Milk").click()
        self.see(self.page.locator("#toast")).to_contain_text("Somebody else has deleted “Milk” meanwhile.")
        self.see_titles(self.page)
        self.see(self.dialog).to_be_hidden()

    def test_point_1_undo_takes_back_only_the_members_that_it_concerns(self) -> None:
        self.page.goto(self.page.url + "?show=all")
        self.see_live(self.page)
        self.tick(self.page, "Milk").click()
        self.see_saved(self.page)
        self.ask("PATCH", self.path, {"title": "Soy milk"})
        self.see_titles(self.page, "Soy milk")
        self.page.get_by_role("button", name="Undo").click()
        self.see(self.tick(self.page, "Soy milk")).not_to_be_checked()
        self.see_saved(self.page)
        self.see(self.dialog).to_be_hidden()
        self.see_stored(self.stored, [{"title": "Soy milk", "priority": "low"}])

    def test_point_1_undo_of_what_somebody_changed_since_says_so(self) -> None:
        self.edit(self.page, "Milk").get_by_label("Title").fill("Oat milk")
        self.page.keyboard.press("Enter")
        self.see_saved(self.page)
        self.ask("PATCH", self.path, {"title": "Soy milk"})
        self.see_titles(self.page, "Soy milk")
        self.page.keyboard.press("Control+z")
        self.see(self.page.locator("#toast")).to_contain_text(
            "Somebody else has changed its title since: that stays.")
        self.see_titles(self.page, "Soy milk")

    def test_two_conflicts_are_asked_about_one_after_the_other(self) -> None:
        """Also where no "close" event comes: it waits for a frame, of which a tab behind another shows few."""
        self.page.evaluate("addEventListener('close', (event) => event.stopImmediatePropagation(), {capture: true})")
        other = self.create("Bread")
        self.see_titles(self.page, "Bread", "Milk")
        self.page.route("**/tasks/*", lambda route: route.abort())
        self.change_unseen()
        self.ask("PATCH", other, {"title": "Toast"})
        for title, new in (("Milk", "Oat milk"), ("Bread", "Rye bread")):
            self.edit(self.page, title).get_by_label("Title").fill(new)
            self.page.keyboard.press("Enter")
        self.see(self.page.locator("#away-text")).to_contain_text("2 changes wait to be saved.")
        self.page.unroute("**/tasks/*")
        self.page.locator("#retry").dispatch_event("click")
        mine = self.dialog.get_by_role("region", name="Yours")
        self.see(mine.locator(".differs")).to_have_text(["was Milk now Oat milk"])
        self.see(self.page.locator("#refused-text")).to_have_text("2 changes are not saved.")
        self.dialog.get_by_role("button", name="Keep mine").click()
        self.see(mine.locator(".differs")).to_have_text(["was Bread now Rye bread"])
        self.dialog.get_by_role("button", name="Keep theirs").click()
        self.see_saved(self.page)
        self.see(self.dialog).to_be_hidden()
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Oat milk", "Toast"])

    def test_points_2_and_5_a_conflict_takes_no_key_of_what_is_being_typed(self) -> None:
        held: list[Route] = []
        self.page.route("**/tasks/*", lambda route: held.append(route))
        self.change_unseen()
        self.edit(self.page, "Milk").get_by_label("Title").fill("Oat milk")
        self.page.keyboard.press("Enter")
        wait_until(lambda: self.page.evaluate("1") and held, "the edit is on its way")
        self.page.get_by_label("New task").focus()
        self.page.keyboard.type("Bre")
        self.page.unroute("**/tasks/*")
        held[0].continue_()
        self.see(self.page.locator("#toast")).to_contain_text("Somebody else changed “Milk”, too.")
        self.page.keyboard.type("ad")
        self.page.keyboard.press("Enter")
        self.see_titles(self.page, "Bread", "Oat milk")
        self.see(self.dialog).to_be_hidden()
        self.page.get_by_role("button", name="Compare").first.click()
        self.see(self.dialog).to_contain_text("Somebody else changed this task")
        self.dialog.get_by_role("button", name="Keep mine").click()
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["Oat milk", "Bread"])
        self.see_saved(self.page)

    def test_an_answer_that_was_lost_is_no_conflict(self) -> None:
        lost: list[str] = []

        def lose_the_first(route: object) -> None:
            request = route.request  # type: ignore[attr-defined]  # Playwright, which may be missing
            if request.method in ("PATCH", "DELETE") and request.method not in lost:
                lost.append(request.method)
                route.fetch()  # type: ignore[attr-defined]  # as above
                route.abort()  # type: ignore[attr-defined]  # as above
            else:
                route.continue_()  # type: ignore[attr-defined]  # as above

        self.page.route("**/tasks/*", lose_the_first)
        self.edit(self.page, "Milk").get_by_label("Title").fill("Oat milk")
        self.page.keyboard.press("Enter")
        self.see_titles(self.page, "Oat milk")
        self.see_saved(self.page)
        self.page.keyboard.press("Delete")
        self.see_titles(self.page)
        self.see_saved(self.page)
        self.see(self.page.locator("#connection")).to_have_attribute("data-state", "live")
        self.see(self.dialog).to_be_hidden()
        self.assertEqual((self.stored(), lost), ([], ["PATCH", "DELETE"]))


if __name__ == "__main__":
    unittest.main()
