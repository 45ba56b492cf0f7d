"""Keys, choosing several, links, the menu (point 10 of the page)."""

import json
import unittest
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.helpers.browser import BrowserTestCase


class KeysTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        for title in ("C", "B", "A"):
            self.create(title)
        self.page = self.open("/?sort=title")
        self.see_titles(self.page, "A", "B", "C")

    def focus(self, title: str) -> None:
        """Set the focus on a task."""
        self.page.get_by_role("button", name=title, exact=True).focus()

    def task(self, title: str) -> dict[str, object]:
        """Return the task as the service has it, once it has all that was done."""
        self.see_saved(self.page)
        return next(task for task in self.stored() if task["title"] == title)

    def test_point_10_single_keys_do_what_the_overlay_says(self) -> None:
        press = self.page.keyboard.press
        press("?")
        overlay = self.page.get_by_role("dialog", name="Keyboard shortcuts")
        self.see(overlay).to_be_visible()
        self.screenshot(self.page, "shortcuts")
        press("n")  # nothing while a dialog is open
        press("Escape")
        self.see(overlay).to_be_hidden()
        press("ArrowDown")
        self.see(self.page.get_by_role("button", name="A", exact=True)).to_be_focused()
        press("ArrowDown")
        press("2")
        self.assertEqual(self.task("B")["priority"], "high")
        press("t")
        now = datetime.now(ZoneInfo("Europe/Berlin"))
        self.assertEqual(self.task("B")["due_date"], datetime(now.year, now.month, now.day, tzinfo=UTC).timestamp())
        press("z")
        self.assertNotIn("due_date", self.task("B"))
        self.focus("B")
        press("e")
        self.see(self.page.get_by_role("form").get_by_label("Title")).to_have_value("B")
        press("Escape")
        press("d")
        self.see_titles(self.page, "A", "C")
        press("/")
        self.see(self.page.get_by_label("Search")).to_be_focused()
        self.page.get_by_label("Search").blur()
        press("n")
        self.see(self.page.get_by_label("New task")).to_be_focused()
        press("d")
        self.see(self.page.get_by_label("New task")).to_have_value("d")

    def test_point_10_single_keys_can_be_turned_off_which_is_remembered(self) -> None:
        self.page.keyboard.press("?")
        self.page.get_by_label("Single keys do something").uncheck()
        self.page.keyboard.press("Escape")
        for _ in range(2):
            self.focus("A")
            for key in ("d", "1", "n", "?"):
                self.page.keyboard.press(key)
            self.see(self.page.get_by_role("button", name="A", exact=True)).to_be_focused()
            self.see(self.page.get_by_role("dialog")).to_have_count(0)
            self.page.reload()
            self.see_titles(self.page, "A", "B", "C")
        self.assertEqual(self.task("A"), {"title": "A"})

    def test_point_10_several_are_chosen_with_shift_and_ctrl_and_changed_together(self) -> None:
        title = self.page.locator("#list button.title")
        title.nth(0).click(modifiers=["Control"])
        title.nth(2).click(modifiers=["Shift"])
        bar = self.page.get_by_role("group", name="Chosen tasks")
        self.see(bar).to_contain_text("3 chosen")
        self.screenshot(self.page, "chosen")
        bar.get_by_label("Priority for all chosen").select_option("low")
        self.see(self.page.locator("#list .priority")).to_have_count(3)
        self.see(bar).to_be_hidden()
        self.see_saved(self.page)
        self.see_stored(lambda: {task["priority"] for task in self.stored()}, {"low"})
        self.focus("A")
        self.page.keyboard.press("Shift+ArrowDown")
        self.see(bar).to_contain_text("2 chosen")
        bar.get_by_role("button", name="Complete").click()
        self.see_titles(self.page, "C")
        self.page.keyboard.press("Control+z")
        self.see_titles(self.page, "A", "B", "C")
        title.nth(1).click(modifiers=["Control"])
        bar.get_by_role("button", name="Delete all chosen").click()
        self.see_titles(self.page, "A", "C")
        self.see_saved(self.page)
        self.see_stored(lambda: [task["title"] for task in self.stored()], ["C", "A"])


class FocusTest(BrowserTestCase):
    """Keys go where somebody types, and single keys are shortcuts where nobody does."""

    def setUp(self) -> None:
        super().setUp()
        self.create("Milk")

    def test_undo_and_redo_leave_the_focus_in_the_field_that_has_it(self) -> None:
        page = self.open()
        field = page.get_by_label("New task")
        self.edit(page, "Milk").get_by_label("Title").fill("Oat milk")
        page.keyboard.press("Enter")
        for keys, title in (("Control+z", "Milk"), ("Control+Shift+z", "Oat milk")):
            field.press(keys)
            self.see_titles(page, title)
            self.see(field).to_be_focused()
        editor = self.edit(page, "Oat milk")
        editor.get_by_label("Title").fill("Soy milk")
        page.keyboard.press("Escape")
        field.press("Control+z")
        self.see(editor.get_by_label("Title")).to_have_value("Soy milk")
        field.press("Control+Shift+z")
        self.see(editor).to_have_count(0)
        self.see(field).to_be_focused()
        page.keyboard.type("d")
        self.see(field).to_have_value("d")
        self.see_titles(page, "Oat milk")

    def test_single_keys_are_shortcuts_still_when_the_last_row_or_the_bar_has_gone(self) -> None:
        page = self.open()
        milk = page.get_by_role("button", name="Milk", exact=True)
        for delete in ("a key", "the bar"):
            with self.subTest(delete):
                if delete == "a key":
                    milk.press("d")
                else:
                    milk.click(modifiers=["Control"])
                    page.get_by_role("button", name="Delete all chosen").click()
                self.see_titles(page)
                page.keyboard.press("z")
                self.see_titles(page, "Milk")
                self.see(page.get_by_label("New task")).to_have_value("")

    def test_a_notice_stays_while_it_has_the_focus_also_when_it_says_something_else(self) -> None:
        page = self.open(live=False)
        page.clock.install()
        page.reload()
        self.see_titles(page, "Milk")
        toast = page.locator("#toast")
        self.tick(page, "Milk").click()
        page.get_by_role("button", name="Undo").focus()
        page.evaluate("location.hash = 'nothing-like-this'")
        self.see(toast).to_contain_text("There is no such task (any more).")
        self.see(page.get_by_role("button", name="Close this notice")).to_be_focused()
        page.clock.fast_forward(60_000)
        self.see(toast).to_be_visible()
        page.keyboard.press("Shift+Tab")
        page.clock.fast_forward(60_000)
        self.see(toast).to_be_hidden()


class LinksTest(BrowserTestCase):

    def test_point_10_links_in_descriptions_are_links_and_lines_stay(self) -> None:
        self.create("Milk", description="See [the shop](https://shop.example/a),\nor javascript:alert(1)")
        page = self.open()
        description = self.row(page, "Milk").locator(".description")
        self.see(description).to_have_text("See the shop,\nor javascript:alert(1)", use_inner_text=True)
        link = description.get_by_role("link")
        self.see(link).to_have_attribute("href", "https://shop.example/a")
        self.see(link).to_have_attribute("rel", "noopener noreferrer")
        page.context.route("https://shop.example/**", lambda route: route.fulfill(body="the shop"))
        with page.context.expect_page() as shop:
            link.click()
        self.assertEqual(shop.value.url, "https://shop.example/a")
        self.see(page.get_by_role("form", name="Edit the task")).to_have_count(0)

    def test_point_10_each_task_has_a_link(self) -> None:
        task_id = self.create("Milk", completed=True).rpartition("/")[2]
        self.create("Bread")
        page = self.open(f"/#{task_id}")
        self.see_titles(page, "Bread", "Milk")
        self.see(page.get_by_role("button", name="Milk", exact=True)).to_be_focused()
        editor = self.edit(page, "Bread")
        self.see(editor.get_by_role("link", name="Link")).to_have_attribute("href", "#" + list(json.loads(
            self.ask("GET", "/tasks").body))[1])
        page = self.open("/#nothing-like-this")
        self.see(page.locator("#toast")).to_contain_text("There is no such task (any more).")

    def test_the_focus_stays_in_a_field_while_the_linked_task_is_fetched(self) -> None:
        path = self.create("Milk", completed=True)
        self.create("Bread")
        page = self.open()
        self.see_titles(page, "Bread")
        held: list[Any] = []
        page.route(f"**{path}", lambda route: held.append(route))
        page.goto("about:blank")
        with page.expect_request(f"**{path}"):
            page.goto(f"http://localhost:{self.port}/#{path.rpartition('/')[2]}")
        page.get_by_label("New task").fill("But")
        held[0].continue_()
        self.see_titles(page, "Bread", "Milk")
        self.see(page.get_by_label("New task")).to_be_focused()


class MenuTest(BrowserTestCase):

    def test_point_10_export_and_import(self) -> None:
        self.create("Milk", priority="low")
        self.create("Brot \u00e4")
        page = self.open()
        page.get_by_role("button", name="Menu").click()
        self.screenshot(page, "menu")
        self.see(page.get_by_role("link", name="The API")).to_have_attribute("href", "docs")
        with page.expect_download() as download:
            page.get_by_role("button", name="Export all tasks").click()
        file = self.folder / "tasks.ndjson"
        download.value.save_as(file)
        self.assertEqual([json.loads(line)["task"] for line in file.read_text("utf-8").splitlines()], self.stored())
        self.see(page.locator("#toast")).to_contain_text("Exported 2 tasks.")
        before = self.stored()
        for task_id in json.loads(self.ask("GET", "/tasks").body):
            self.ask("DELETE", f"/tasks/{task_id}")
        self.see_titles(page)
        page.get_by_role("button", name="Menu").click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Import tasks").click()
        chooser.value.set_files(file)
        self.see(page.locator("#toast")).to_contain_text("Imported 2 tasks.")
        self.see_titles(page, "Brot \u00e4", "Milk")
        self.see_stored(self.stored, before)

    def test_point_10_an_import_that_is_refused_says_why(self) -> None:
        page = self.open()
        file = self.folder / "bad.ndjson"
        file.write_text('{"title": ""}\n')
        page.locator("#import-file").set_input_files(file)
        self.see(page.locator("#toast")).to_contain_text("Not imported: ")
        self.see_stored(self.stored, [])


if __name__ == "__main__":
    unittest.main()
