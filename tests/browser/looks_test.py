"""Pictures of the page, kept in the folder TASKSERVICE_SCREENSHOTS to be looked at; what can be said of them is tested.

`TASKSERVICE_PICTURES=1` puts those of the README in docs/images/ besides.
"""

import os
import shutil
import unittest
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.helpers.app import ROOT
from tests.helpers.browser import BrowserTestCase
from tests.helpers.browser import PHONE


def days(count: int, hour: int = 23, minute: int = 59, second: int = 59) -> int:
    """Return when a day is over, so many days from today; or another time on it."""
    day = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(days=count)
    return int(day.replace(hour=hour, minute=minute, second=second, microsecond=0).timestamp())


def some_tasks() -> list[dict[str, Any]]:
    """Return tasks as a person may have them."""
    return [
        {"title": "Return the library books", "due_date": days(-2)},
        {"title": "Write the talk about revisions", "priority": "normal", "due_date": days(12),
         "description": "Twenty minutes, three slides at most. Start from the story of the lost update."},
        {"title": "Repair the bicycle light"},
        {"title": "Book the train to Hamburg", "priority": "high", "due_date": days(4),
         "description": "The early one, with a seat by the window."},
        {"title": "Ask Mara about the keys"},
        {"title": "Water the plants", "due_date": days(1)},
        {"title": "Bread, olive oil, lemons", "completed": True},
        {"title": "Send the invoice for October", "priority": "urgent", "due_date": days(-1)},
        {"title": "Call the dentist", "priority": "high", "due_date": days(0, 23, 30, 0)},
        {"title": "Read the proofs of chapter four", "due_date": days(0)},
    ]


class LooksTest(BrowserTestCase):

    def picture(self, name: str, **window: Any) -> Any:
        """Take pictures of the list and of the editor."""
        page = self.open(**window)
        self.see(page.locator("#list li")).to_have_count(9)
        path = self.screenshot(page, f"page-{name}")
        if os.environ.get("TASKSERVICE_PICTURES"):
            shutil.copy(path, ROOT / "docs" / "images" / path.name)
        editor = self.edit(page, "Book the train to Hamburg")
        tops = editor.locator(".buttons > *").evaluate_all("(all) => all.map((each) => each.offsetTop)")
        self.assertLess(max(tops) - min(tops), 10, "the buttons are in one row")
        self.screenshot(page, f"page-{name}-edit")
        return page

    def test_light_dark_and_phone(self) -> None:
        self.create_many(some_tasks())
        seen = set()
        windows = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}, "phone": PHONE}
        for name, window in windows.items():
            with self.subTest(name):
                page = self.picture(name, **window)
                seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                self.assertLessEqual(wide, 0, "it is wider than the window")
        self.assertEqual(len(seen), 2)

    def test_points_6_and_8_each_view_and_each_trouble_has_room(self) -> None:
        self.create_many(some_tasks())
        for name, window in (("light", {}), ("dark", {"color_scheme": "dark"}), ("phone", PHONE)):
            page = self.open(**window)
            for view, count in (("Upcoming", 3), ("Done", 1), ("Today", 4)):
                with self.subTest(name, view=view):
                    link = page.get_by_role("link", name=view)
                    link.click()
                    self.see(page.locator("#list li")).to_have_count(count)
                    tinted = link.evaluate("(link) => getComputedStyle(link).backgroundColor") != "rgba(0, 0, 0, 0)"
                    self.assertEqual(tinted, name != "phone", "a finger hovers over nothing")
                    self.screenshot(page, f"view-{view.lower()}-{name}")
                    self.assertEqual(page.evaluate(CUT), [])
            with self.subTest(name, trouble="paper"):
                page.emulate_media(media="print")
                self.screenshot(page, f"print-{name}")
                self.see(page.locator("button:visible:not(.title)")).to_have_count(0)
                self.assertEqual(page.evaluate(CUT), [])
                page.emulate_media(media="screen")
            with self.subTest(name, trouble="failed"):
                page.route("**/tasks?*", lambda route: route.fulfill(status=500, json={"message": "no"}))
                page.get_by_label("Search").fill("x")
                self.see(page.get_by_role("button", name="Try again")).to_be_in_viewport(ratio=1)
                self.screenshot(page, f"failed-{name}")
                page.unroute("**/tasks?*")
            with self.subTest(name, trouble="no match"):
                page.get_by_role("button", name="Try again").click()
                self.see(page.get_by_role("button", name="Clear search and filters")).to_be_in_viewport(ratio=1)
                self.screenshot(page, f"no-match-{name}")
                page.get_by_role("button", name="Clear search and filters").click()
            with self.subTest(name, trouble="away"):
                page.route("**/tasks/*", lambda route: route.abort())
                self.tick(page, "Call the dentist").click()
                self.see(page.locator("#away-text")).to_have_text("The service is away. 1 change waits to be saved.")
                self.screenshot(page, f"away-{name}")
                height = page.get_by_role("button", name="Try now").evaluate("(button) => button.offsetHeight")
                self.assertLess(height, 45, "the words are in one line")
                self.assertEqual(page.evaluate(CUT), [])

    def test_point_14_nothing_is_cut_off_where_there_is_little_room_and_much_text(self) -> None:
        self.create("x" * 300, description="y" * 300, due_date=4_000_000_000, priority="urgent")
        self.create("Several words that go on and on " * 10)
        for width in (320, 400, 700, 1600):
            with self.subTest(width):
                page = self.open(viewport={"width": width, "height": 700})
                self.see(page.locator("#list li")).to_have_count(2)
                page.locator("button.title").first.click()
                page.locator("#list li").last.get_by_role("checkbox").click()
                self.see(page.locator("#toast")).to_be_visible()
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                self.assertLessEqual(wide, 0)
                buttons = page.get_by_role("form", name="Edit the task").get_by_role("button")
                heights = buttons.evaluate_all("(all) => all.map((each) => each.offsetHeight)")
                self.assertLess(max(heights), 45, "a word is broken")
                page.get_by_role("button", name="Undo").click()
                self.see_saved(page)
                self.screenshot(page, f"narrow-{width}")

    def test_point_14_at_200_percent_all_is_there_and_nothing_is_cut(self) -> None:
        """By the browser's zoom, which leaves half the pixels each way, and by a font of twice the size."""
        self.create_many(some_tasks())
        for name, window, size in (
                ("zoom", {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}, "100%"),
                ("font", {"viewport": {"width": 1280, "height": 800}}, "200%")):
            with self.subTest(name):
                page = self.open(**window)
                page.evaluate("(size) => { document.documentElement.style.fontSize = size; }", size)
                self.see(page.locator("#list li")).to_have_count(9)
                self.screenshot(page, f"200-{name}")
                self.assertEqual(page.evaluate(CUT), [])
                self.edit(page, "Book the train to Hamburg")
                self.see(page.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
                self.screenshot(page, f"200-{name}-edit")
                self.assertEqual(page.evaluate(CUT), [])
                page.keyboard.press("Escape")
                page.get_by_role("button", name="Filters", exact=True).click()
                page.get_by_label("Filter by priority").select_option("urgent,high")
                self.screenshot(page, f"200-{name}-filters")
                self.assertEqual(page.evaluate(CUT), [])
                page.get_by_role("button", name="Menu").click()
                page.get_by_role("button", name="Keyboard shortcuts").click()
                close = page.get_by_role("dialog").get_by_role("button", name="Close")
                close.scroll_into_view_if_needed()
                self.see(close).to_be_in_viewport(ratio=1)
                self.screenshot(page, f"200-{name}-shortcuts")

    def test_point_14_forced_colours_show_what_colours_alone_would(self) -> None:
        self.create_many([{"title": title} for title in ("Salt", "Bread", "Milk")])
        for scheme in ("light", "dark"):
            with self.subTest(scheme):
                page = self.open("/?show=all", forced_colors="active", color_scheme=scheme)
                self.see_titles(page, "Milk", "Bread", "Salt")
                self.assertTrue(page.evaluate("matchMedia('(forced-colors: active)').matches"))
                if scheme == "light":
                    self.tick(page, "Milk").click()
                self.see(self.tick(page, "Milk")).to_be_checked()
                ticked, open_one = (self.tick(page, title).evaluate(
                    "(tick) => getComputedStyle(tick).backgroundColor") for title in ("Milk", "Bread"))
                self.assertNotEqual(ticked, open_one)
                page.get_by_role("button", name="Bread", exact=True).click(modifiers=["Control"])
                chosen, other = (self.row(page, title).locator(".view").evaluate(
                    "(view) => getComputedStyle(view).outlineStyle") for title in ("Bread", "Salt"))
                self.assertEqual((chosen, other), ("solid", "none"))
                views = page.locator("#views a").evaluate_all(
                    "(all) => all.filter((each) => getComputedStyle(each).outlineStyle === 'solid').length")
                self.assertEqual(views, 1)
                page.get_by_label("New task").fill("Pay rent tomorrow")
                self.screenshot(page, f"forced-{scheme}")

    def test_point_13_on_a_phone_a_task_is_edited_and_deleted_by_touch(self) -> None:
        self.create("Milk")
        self.create_many([{"title": f"Task {number}"} for number in range(7)])  # it is the last that is seen
        page = self.open(**PHONE)
        body = page.get_by_role("button", name="Milk", exact=True).locator("..")
        body.tap(position={"x": 150, "y": 42})  # below the title, where a finger may be, too
        self.see(page.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
        page.get_by_role("textbox", name="Title").fill("Oat milk")
        page.get_by_role("button", name="Save").tap()
        self.see(self.row(page, "Oat milk")).to_be_visible()
        page.get_by_role("button", name="Oat milk", exact=True).tap()
        page.get_by_role("button", name="Delete", exact=True).tap()
        self.see(self.row(page, "Oat milk")).to_have_count(0)
        page.get_by_role("button", name="Undo").tap()
        self.see(self.row(page, "Oat milk")).to_be_visible()

    def test_point_13_the_first_task_is_near_the_top_and_filters_are_behind_one_button(self) -> None:
        self.create_many(some_tasks())
        for name, window, most in (("desktop", {}, 200), ("phone", PHONE, 220)):
            with self.subTest(name):
                page = self.open(**window)
                first = page.locator("#list li").first
                self.see(first).to_be_visible()
                self.assertLess(first.evaluate("(row) => row.getBoundingClientRect().top"), most)
                self.see(page.get_by_label("Filter by priority")).to_be_hidden()
                page.get_by_role("button", name="Filters", exact=True).click()
                page.get_by_label("Filter by priority").select_option("urgent")
                chip = page.get_by_role("button", name="Remove the filter Urgent")
                self.see_titles(page, "Send the invoice for October")
                self.screenshot(page, f"filters-{name}")
                chip.click()
                self.see(page.locator("#list li")).to_have_count(9)
                self.see(chip).to_have_count(0)

    def test_point_13_one_face_borders_of_three_to_one_and_targets_of_44_pixels(self) -> None:
        self.create_many(some_tasks())
        for scheme in ("light", "dark"):
            page = self.open(**PHONE, color_scheme=scheme)
            self.see(page.locator("#list li").first).to_be_visible()
            with self.subTest(scheme):
                self.assertEqual(page.evaluate(FACES), 1)
                self.assertEqual(page.evaluate(SMALL_TARGETS), [])
                for field in ("#search", "#new-title"):
                    self.assertGreaterEqual(page.locator(field).evaluate(BORDER_CONTRAST), 3, field)

    def test_point_13_what_is_below_a_row_that_leaves_slides_up_but_with_reduced_motion(self) -> None:
        for motion, slides in (("no-preference", True), ("reduce", False)):
            with self.subTest(motion):
                for title in ("Salt", "Bread", "Milk"):
                    self.create(title)
                page = self.open(reduced_motion=motion)
                self.see_titles(page, "Milk", "Bread", "Salt")
                page.evaluate(NOTE_ANIMATIONS)
                for title in ("Milk", "Bread", "Salt"):
                    page.get_by_role("button", name=f"Delete {title}").click()
                self.see_titles(page)
                moved = page.evaluate("window.moved")
                self.assertEqual([title for title, _ in moved], ["Bread", "Salt", "Salt"] if slides else [])
                self.assertTrue(all(distance > 20 for _, distance in moved), moved)
                self.see_saved(page)

    def test_point_13_another_list_is_there_at_once_and_slides_nowhere(self) -> None:
        self.create("Salt", due_date=days(0))
        self.create("Milk")
        page = self.open()
        self.see_titles(page, "Milk", "Salt")
        page.evaluate(NOTE_ANIMATIONS)
        page.get_by_role("link", name="Today").click()
        self.see_titles(page, "Salt")
        page.get_by_label("Search").fill("a")
        self.see_titles(page, "Salt")
        self.assertEqual(page.evaluate("window.moved"), [])

    def test_point_14_what_people_write_is_in_its_own_direction(self) -> None:
        self.create("\u05d7\u05dc\u05d1", description="\u05dc\u05d9\u05d8\u05e8 \u05d0\u05d7\u05d3")
        self.create("Milk", description="one litre")
        page = self.open()
        self.see(page.locator("#list li")).to_have_count(2)
        for part in ("title", "description"):
            directions = page.locator(f"#list [data-part={part}]").evaluate_all(
                "(all) => all.map((each) => getComputedStyle(each).direction)")
            self.assertEqual(directions, ["ltr", "rtl"], part)
        for field in (page.get_by_label("New task"), page.get_by_label("Search")):
            field.fill("\u05d7\u05dc\u05d1")
            self.assertEqual(field.evaluate("(field) => getComputedStyle(field).direction"), "rtl")

    def test_empty_list(self) -> None:
        page = self.open("/?show=all")
        self.see(page.locator("#empty")).to_be_visible()
        self.screenshot(page, "empty")


FACES = """() => new Set([...document.querySelectorAll("body *")].filter((each) => each.checkVisibility())
  .map((each) => getComputedStyle(each).fontFamily)).size"""

SMALL_TARGETS = """() => [...document.querySelectorAll("button, a, input, select, label.tick")]
  .filter((each) => each.checkVisibility({opacityProperty: true}) && !each.matches(".skip, .tick input"))
  .map((each) => [each.ariaLabel ?? (each.textContent.trim() || each.id), each.closest(".body") ?? each])
  .filter(([, each]) => {
    const {width, height} = each.getBoundingClientRect();
    return width < 43.9 || height < 43.9;
  }).map(([name]) => name)"""
"""The controls that are narrower or lower than 44 pixels; all of a task's text opens its editor."""

CUT = """() => {
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  const parts = [...document.querySelectorAll("header *, main *")].filter((each) => each.checkVisibility());
  const cut = parts.filter((each) => {
    const {overflowX, clipPath} = getComputedStyle(each);
    const clips = overflowX !== "visible" && clipPath === "none" && !each.matches("select, input, .visually-hidden");
    return clips && each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1;
  });
  const off = parts.filter((each) => each.matches("button, a, input, select") && !each.closest(".visually-hidden"))
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
  return [...(wide ? ["the page"] : []), ...[...cut, ...off].map((each) => each.outerHTML.slice(0, 80))];
}"""
"""What is wider than there is room for: the page, what clips its text, controls beyond the edge."""

BORDER_CONTRAST = """(field) => {
  const light = (color) => {
    const parts = color.match(/[\\d.]+/g).map(Number).map((part) => part / 255).slice(0, 3)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const border = getComputedStyle(field).borderTopWidth === "0px" ? field.closest("form") : field;
  const [one, other] = [getComputedStyle(border).borderBottomColor, getComputedStyle(document.body).backgroundColor]
    .map(light).sort((one, other) => other - one);
  return (one + 0.05) / (other + 0.05);
}"""
"""The contrast of a field's border with the page (WCAG 2.1, 1.4.11)."""

NOTE_ANIMATIONS = """() => {
  window.moved = [];
  const {animate} = Element.prototype;
  Element.prototype.animate = function (frames, options) {
    const distance = Number(/translateY\\(([\\d.]+)px/.exec(frames[0].transform)[1]);
    window.moved.push([this.querySelector("button.title").textContent, distance]);
    return animate.call(this, frames, options);
  };
}"""


if __name__ == "__main__":
    unittest.main()
