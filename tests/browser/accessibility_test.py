"""WCAG AA: what axe-core finds, and what it cannot: keyboard, focus, announcements, motion."""

import unittest
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers.browser import BrowserTestCase

if TYPE_CHECKING:
    from playwright.sync_api import Page

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

WINDOWS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}


def axe_core() -> str | None:
    """Return the script of axe-core, which a package has with it; None where that is missing."""
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        return None
    return (Path(spec.origin).parent / "axe.min.js").read_text("utf-8")


class AxeTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.axe = axe_core()
        if self.axe is None:
            self.skipTest("needs axe-playwright-python (requirements-dev.txt)")
        for priority in ("urgent", "high", "normal", "low", "none"):
            for due in (1_000_000_000, 4_000_000_000):
                self.create(f"Task {priority} {due}", priority=priority, due_date=due, description="more")
        self.path = self.create("Milk")

    def check(self, page: "Page") -> None:
        """Fail for each violation that axe-core finds in what is seen now."""
        for _ in range(3):  # one may lead to another
            page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished)).then(() => null)")
        if page.evaluate("typeof axe") == "undefined":
            page.evaluate(self.axe or "")
        result = page.evaluate("(tags) => axe.run({runOnly: tags, resultTypes: ['violations']})", STANDARDS)
        found = [f"{each['id']}: {each['help']}: {node['html'][:200]} {node['failureSummary']}"
                 for each in result["violations"] for node in each["nodes"]]
        self.assertEqual(found, [])
        self.assertGreater(len(result["passes"]), 10)

    def test_lists(self) -> None:
        for name, window in WINDOWS.items():
            page = self.open(**window)
            self.see(page.locator("#list li")).to_have_count(11)
            with self.subTest(name, state="list"):
                self.check(page)
            with self.subTest(name, state="hover, done, toast"):
                self.tick(page, "Milk").click()
                self.see(page.locator("#toast")).to_be_visible()
                self.row(page, "Milk").hover()
                self.check(page)
                page.keyboard.press("Control+z")  # the button may have gone by now
                self.see(page.locator("#list li")).to_have_count(11)
            with self.subTest(name, state="editor"):
                editor = self.edit(page, "Task urgent 1000000000")
                editor.get_by_role("textbox", name="Title").fill("")
                page.keyboard.press("Enter")
                self.see(editor).to_contain_text("A task needs a title.")
                self.check(page)
                page.keyboard.press("Escape")
            with self.subTest(name, state="empty"):
                page.get_by_label("Search").fill("nothing like this")
                self.see(page.locator("#empty")).to_be_visible()
                self.check(page)

    def test_filters_chosen_tasks_menu_and_shortcuts(self) -> None:
        for name, window in WINDOWS.items():
            page = self.open(**window)
            self.see(page.locator("#list li")).to_have_count(11)
            with self.subTest(name, state="filters"):
                page.get_by_role("button", name="Filters", exact=True).click()
                page.get_by_label("Filter by priority").select_option("urgent,high")
                self.see(page.locator("#list li")).to_have_count(4)
                self.check(page)
                page.get_by_role("button", name="Remove the filter Urgent or high").click()
            with self.subTest(name, state="chosen, quick add"):
                self.see(page.locator("#list li")).to_have_count(11)
                page.get_by_role("button", name="Milk", exact=True).click(modifiers=["Control"])
                page.get_by_label("New task").fill("Pay rent tomorrow !high")
                self.see(page.get_by_role("group", name="Chosen tasks")).to_be_visible()
                self.check(page)
                page.get_by_label("New task").fill("")
                page.get_by_role("button", name="Choose none").click()
            with self.subTest(name, state="menu"):
                page.get_by_role("button", name="Menu").click()
                self.check(page)
            with self.subTest(name, state="shortcuts"):
                page.get_by_role("button", name="Keyboard shortcuts").click()
                self.see(page.get_by_role("dialog")).to_be_visible()
                self.check(page)
            with self.subTest(name, state="refused"):
                page.keyboard.press("Escape")
                page.route("**/tasks/*", lambda route: route.fulfill(status=403, json={"message": "no"}))
                self.tick(page, "Milk").click()
                self.see(page.get_by_role("button", name="Use another token")).to_be_visible()
                self.check(page)
                buttons = page.locator(".trouble button:visible")
                tops = buttons.evaluate_all("(all) => all.map((each) => each.offsetTop)")
                self.assertEqual(len(set(tops)), 1, "the buttons are in one row")
                page.unroute("**/tasks/*")
                page.get_by_role("button", name="Retry").click()
                self.see_saved(page)
                self.ask("PATCH", self.path, {"completed": False})

    def test_faults_and_dialogs(self) -> None:
        for name, window in WINDOWS.items():
            page = self.open(**window)
            self.see(page.locator("#list li")).to_have_count(11)
            with self.subTest(name, state="conflict"):
                editor = self.edit(page, "Milk")
                editor.get_by_role("textbox", name="Title").fill("Milk")
                editor.get_by_role("textbox", name="Description").fill(f"mine {name}")
                self.ask("PATCH", self.path, {"description": f"theirs {name}"})
                self.see(editor).to_contain_text("Somebody changed")
                editor.get_by_role("button", name="Save").click()
                dialog = page.get_by_role("alertdialog")
                self.see(dialog).to_be_visible()
                self.check(page)
                dialog.get_by_role("button", name="Keep theirs").click()
            with self.subTest(name, state="away"):
                page.route("**/*", lambda route: route.abort())
                page.get_by_label("New task").fill("Bread")
                page.keyboard.press("Enter")
                self.see(page.locator("#away-text")).to_contain_text("1 change waits")
                self.check(page)
                page.unroute("**/*")
                self.see(page.locator("#away")).to_be_hidden()
                self.tick(page, "Bread").click()
            with self.subTest(name, state="failed"):
                page.route("**/tasks?*", lambda route: route.fulfill(status=500, json={"message": "no"}))
                page.get_by_label("Search").fill("x")
                self.see(page.get_by_role("alert")).to_be_visible()
                self.check(page)
                page.unroute("**/tasks?*")
            with self.subTest(name, state="token"):
                page.route("**/tasks?*", lambda route: route.fulfill(status=401, json={"message": "who?"}))
                page.get_by_role("button", name="Try again").click()
                self.see(page.get_by_role("dialog")).to_be_visible()
                page.get_by_label("Token", exact=True).fill("luck")
                page.keyboard.press("Enter")
                self.see(page.get_by_text("does not know this token")).to_be_visible()
                self.check(page)

    def test_checker_finds_what_is_wrong(self) -> None:
        page = self.open()
        page.evaluate("document.querySelector('#new-due').removeAttribute('aria-label')")
        with self.assertRaisesRegex(AssertionError, "select-name"):
            self.check(page)


class KeyboardTest(BrowserTestCase):

    def test_tab_goes_through_all_in_the_order_that_is_seen_and_the_focus_is_seen(self) -> None:
        self.create("Milk")
        page = self.open()
        self.see(page.locator("[aria-current]")).to_have_text("All 1")
        names: list[str] = []
        for _ in range(20):
            page.keyboard.press("Tab")
            name, visible = page.evaluate(FOCUSED)
            if not name:  # it is the browser's turn
                break
            names.append(name)
            self.assertTrue(visible, name)
        self.assertEqual(names, [
            "Skip to adding a task", "Skip to the tasks", "Search", "Filters", "Menu", "Today 0", "Upcoming 0",
            "All 1", "Done 0", "Sort by", "New task", "Due", "Priority", "Add", "Milk (tick)", "Milk", "Delete Milk"])

    def test_skip_links_lead_there(self) -> None:
        self.create("Milk")
        page = self.open()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        self.see(page.get_by_label("New task")).to_be_focused()

    def test_a_task_is_added_ticked_edited_and_deleted_without_a_mouse(self) -> None:
        page = self.open("/?show=all")
        page.get_by_label("New task").focus()
        page.keyboard.type("Milk")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk")
        for _ in range(4):
            page.keyboard.press("Tab")
        self.see(self.tick(page, "Milk")).to_be_focused()
        page.keyboard.press("Space")
        self.see(self.tick(page, "Milk")).to_be_checked()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.type(" and bread")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk and bread")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        self.see_titles(page)
        self.see(page.get_by_role("region", name="The tasks")).to_be_focused()
        page.keyboard.press("Control+z")
        self.see_titles(page, "Milk and bread")

    def test_focused_row_is_not_hidden_behind_what_sticks_to_the_top(self) -> None:
        self.create_many([{"title": f"Task {number:02}"} for number in range(40)])
        page = self.open("/?sort=title")
        page.get_by_role("button", name="Task 00", exact=True).focus()
        for key in ["ArrowDown"] * 35 + ["ArrowUp"] * 30:
            page.keyboard.press(key)
            focused, sticky = page.evaluate("""[document.activeElement, document.querySelector("#composer")]
                .map((each) => { const {top, bottom} = each.getBoundingClientRect(); return {top, bottom}; })""")
            self.assertGreaterEqual(focused["top"], sticky["bottom"])
            self.assertLessEqual(focused["bottom"], 900)

    def test_point_14_motion_is_reduced_on_request(self) -> None:
        path = self.create("Milk")
        page = self.open(reduced_motion="reduce")
        self.ask("PATCH", path, {"description": "more"})
        self.see(page.locator("#list .description")).to_have_text("more")
        self.tick(page, "Milk").click()
        self.see(page.locator("#toast")).to_be_visible()
        moving = page.evaluate("document.getAnimations().filter((each) => each.effect.getTiming().duration > 0).length")
        self.assertEqual(moving, 0)


FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return ["", false];
  const outlined = (each) => parseFloat(getComputedStyle(each).outlineWidth) > 0
    && getComputedStyle(each).outlineStyle !== "none";
  const visible = [element, element.nextElementSibling, element.closest("form")].some((each) => each && outlined(each));
  const by = element.getAttribute("aria-labelledby");
  const name = by ? document.getElementById(by).textContent + " (tick)"
    : element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
  return [name.trim(), visible];
}"""


if __name__ == "__main__":
    unittest.main()
