"""What somebody typed is never lost (points 1 and 2 of the page)."""

import unittest

from tests.helpers.browser import BrowserTestCase

ASKS_BEFORE_UNLOAD = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"
"""As the browser does it when the page is closed."""


class DraftsTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.create("Milk")
        self.create("Bread")
        self.page = self.open()
        self.editor = self.edit(self.page, "Milk")
        self.title = self.editor.get_by_label("Title")
        self.title.fill("Oat milk")

    def test_point_2_an_open_editor_stays_when_its_row_is_filtered_out(self) -> None:
        for text in ("bread", "nothing like this"):
            self.page.get_by_label("Search").fill(text)
            self.wait_for(self.page, "(text) => new URLSearchParams(location.search).get('q') === text", arg=text)
            self.see(self.title).to_have_value("Oat milk")
        for view in ("Done", "Today"):
            self.page.get_by_role("link", name=view).click()
            self.wait_for(self.page, "document.querySelector('#list').ariaBusy === 'false'")
            self.see(self.title).to_have_value("Oat milk")
        self.title.focus()
        self.page.keyboard.press("Enter")
        self.see_titles(self.page)
        self.see_saved(self.page)
        self.see_stored(lambda: self.stored()[0], {"title": "Oat milk"})

    def test_point_2_an_open_editor_stays_when_midnight_passes(self) -> None:
        page = self.open(live=False)
        page.clock.install()
        page.goto(page.url + "?show=today")
        self.see_live(page)
        page.get_by_label("New task").fill("Tea")
        page.keyboard.press("Enter")
        self.see_titles(page, "Tea")
        self.edit(page, "Tea").get_by_label("Title").fill("Green tea")
        page.clock.fast_forward(2 * 86_400_000)
        self.see(page.get_by_role("form").get_by_label("Title")).to_have_value("Green tea")

    def test_point_2_drafts_survive_a_reload_and_leaving_asks(self) -> None:
        self.assertTrue(self.page.evaluate(ASKS_BEFORE_UNLOAD))
        self.page.get_by_label("New task").fill("Butter tomorrow")
        self.page.reload()
        self.see_live(self.page)
        self.see(self.title).to_have_value("Oat milk")
        self.see(self.page.get_by_label("New task")).to_have_value("Butter tomorrow")
        self.see(self.page.get_by_role("group", name="Understood").get_by_role("button")).to_have_text(["tomorrow"])
        self.editor.get_by_role("button", name="Save").click()
        self.page.get_by_label("New task").press("Enter")
        self.see_titles(self.page, "Butter", "Bread", "Oat milk")
        self.see_saved(self.page)
        self.assertFalse(self.page.evaluate(ASKS_BEFORE_UNLOAD))
        self.assertEqual(self.page.evaluate("sessionStorage.length"), 0)
        self.page.reload()
        self.see_titles(self.page, "Butter", "Bread", "Oat milk")
        self.see(self.editor).to_have_count(0)

    def test_point_2_a_draft_of_a_task_that_is_gone_survives_too(self) -> None:
        self.ask("DELETE", self.path)
        self.see(self.editor).to_contain_text("Somebody deleted this task meanwhile.")
        self.page.reload()
        self.see(self.title).to_have_value("Oat milk")

    def test_point_2_escape_with_a_changed_draft_can_be_undone(self) -> None:
        self.title.press("Escape")
        self.see(self.editor).to_have_count(0)
        self.see(self.page.locator("#toast")).to_contain_text("Dropped what was typed for “Milk”.")
        self.page.get_by_role("button", name="Undo").click()
        self.see(self.title).to_have_value("Oat milk")
        self.see(self.title).to_be_focused()

    def test_point_2_several_editors_are_open_at_once(self) -> None:
        self.edit(self.page, "Bread")
        self.see(self.editor).to_have_count(2)
        self.see(self.title.first).to_have_value("Bread")
        self.see(self.title.last).to_have_value("Oat milk")


class UndoTest(BrowserTestCase):

    def test_point_1_undo_and_redo_walk_adds_edits_ticks_and_deletes(self) -> None:
        page = self.open("/?show=all&sort=title")
        page.get_by_label("New task").fill("A")
        page.keyboard.press("Enter")
        self.edit(page, "A").get_by_label("Title").fill("B")
        page.keyboard.press("Enter")
        self.tick(page, "B").click()
        page.get_by_role("button", name="B", exact=True).focus()
        page.keyboard.press("Delete")
        self.see_titles(page)
        states: list[tuple[str, bool] | None] = [None, ("A", False), ("B", False), ("B", True), None]
        back = states[-2::-1]
        for key, order in (("Control+z", back), ("Control+Shift+z", states[1:]), ("Control+z", back)):
            for state in order:
                page.keyboard.press(key)
                self.see_titles(page, *([state[0]] if state else []))
                if state:
                    self.see(self.tick(page, state[0])).to_be_checked(checked=state[1])
        page.keyboard.press("Control+z")
        self.see_said(page, "There is nothing to undo.")
        self.see_saved(page)
        self.see_stored(self.stored, [])

    def test_point_1_undo_has_no_limit_in_time(self) -> None:
        self.create("Milk")
        page = self.open(live=False)
        page.clock.install()
        page.reload()
        self.see_live(page)
        page.get_by_role("button", name="Milk", exact=True).focus()
        page.keyboard.press("Delete")
        self.see_titles(page)
        page.clock.fast_forward(3_600_000)
        self.see(page.locator("#toast")).to_be_hidden()
        page.keyboard.press("Control+z")
        self.see_titles(page, "Milk")


if __name__ == "__main__":
    unittest.main()
