"""Which tasks the page shows, and in which order; long lists."""

import json
import random
import re
import sys
import unittest
from typing import Any
from unicodedata import ucd_3_2_0

from taskservice.folding import fold
from tests.helpers.browser import BrowserTestCase

CHOICES = {
    "show": ("all", "todo", "done", "today", "upcoming"),
    "priority": ("urgent", "urgent,high", "normal", "low", "none"),
    "due": ("overdue", "today", "week"),
    "sort": [sign + name for name in ("created", "updated", "due_date", "priority", "title") for sign in ("", "-")]}

CONTROL = """(name) => name === "show"
  ? document.querySelector("#with-done").checked ? "all" : document.querySelector("[aria-current]").dataset.view
  : document.querySelector("#filters").elements.namedItem(name).value"""

PRIORITIES = ("urgent", "high", "normal", "low", "none")


class FindingTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.create("Milk", priority="low")
        self.create("Bread", description="with walnuts", priority="urgent", due_date=1_000_000_000)
        self.create("Anchovies", completed=True)
        self.create("Water", due_date=4_000_000_000)

    def test_point_6_views_have_counts_and_back_and_forward_walk_them(self) -> None:
        views = {"Today 1": ["Bread"], "Upcoming 1": ["Water"], "All 3": ["Water", "Bread", "Milk"],
                 "Done 1": ["Anchovies"]}
        page = self.open()
        self.see_titles(page, *views["All 3"])
        for name in ("Today 1", "Upcoming 1", "Done 1", "All 3"):
            page.get_by_role("link", name=name, exact=True).click()
            self.see_titles(page, *views[name])
            self.see(page.locator("[aria-current]")).to_have_text(name)
        self.see(page.locator("#count")).to_have_text("3 tasks")
        for name in ("Done 1", "Upcoming 1", "Today 1", "All 3"):
            page.go_back()
            self.see(page.locator("[aria-current]")).to_have_text(name)
            self.see_titles(page, *views[name])
        page.go_forward()
        self.see_titles(page, "Bread")
        self.create("Pay", due_date=1_000_000_000)
        self.see(page.locator("[aria-current]")).to_have_text("Today 2")

    def test_done_ones_can_be_shown_too(self) -> None:
        page = self.open()
        page.get_by_role("button", name="Filters", exact=True).click()
        page.get_by_label("Done ones, too").check()
        self.see_titles(page, "Water", "Anchovies", "Bread", "Milk")
        self.see_said(page, "4 tasks")
        page.get_by_role("button", name="Remove the filter Done ones, too").click()
        self.see_titles(page, "Water", "Bread", "Milk")

    def test_every_word_that_is_searched_for_occurs(self) -> None:
        page = self.open()
        search = page.get_by_label("Search")
        search.press_sequentially("WALNUT bre")
        self.see_titles(page, "Bread")
        search.fill("walnut milk")
        self.see(page.locator("#empty")).to_contain_text("No match")
        page.get_by_role("button", name="Clear search and filters").click()
        self.see_titles(page, "Water", "Bread", "Milk")
        self.see(search).to_have_value("")
        self.see(search).to_be_focused()

    def test_point_6_where_a_view_has_no_match_all_tasks_can_be_searched(self) -> None:
        page = self.open("/?show=done")
        search = page.get_by_label("Search")
        search.fill("bread")
        self.see(page.locator("#empty")).to_contain_text("No task in this view matches.")
        everywhere = page.get_by_role("button", name="Look in all tasks")
        everywhere.click()
        self.see_titles(page, "Bread")
        self.see(search).to_be_focused()
        search.fill("no such task")
        self.see(page.locator("#empty")).to_be_visible()
        self.see(everywhere).to_be_hidden()

    def test_filters_by_priority_and_date(self) -> None:
        page = self.open()
        page.get_by_role("button", name="Filters", exact=True).click()
        page.get_by_label("Filter by priority").select_option("Urgent or high")
        self.see_titles(page, "Bread")
        page.get_by_label("Filter by priority").select_option("No priority")
        self.see_titles(page, "Water")
        page.get_by_label("Filter by priority").select_option("Any priority")
        page.get_by_label("Filter by due date").select_option("Overdue")
        self.see_titles(page, "Bread")
        self.see(self.row(page, "Bread")).to_contain_text("Overdue, ")
        page.get_by_role("button", name="Filters", exact=True).click()
        page.get_by_role("button", name="Remove the filter Overdue").click()
        self.see_titles(page, "Water", "Bread", "Milk")

    def test_point_7_every_order_can_be_chosen_alone_by_mouse_and_by_keys(self) -> None:
        page = self.open()
        sort = page.get_by_label("Sort by")
        for value in ("created", "due_date", "-due_date", "priority", "-priority", "updated", "-updated", "title",
                      "-title", "-created"):
            with self.subTest(value):
                sort.select_option(value)
                self.see_titles(page, *self.in_order(value))
                self.assertEqual(page.url.partition("?")[2], "" if value == "-created" else f"sort={value}")
        sort.focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowDown")
        self.see_titles(page, *self.in_order("created"))
        self.see(sort).to_have_value("created")

    def in_order(self, sort: str) -> list[str]:
        """Return the titles of what is to do, as the service sorts them."""
        answer = self.ask("GET", f"/tasks?completed=false&sort={sort}")
        return [task["title"] for task in json.loads(answer.body).values()]

    def test_point_7_every_choice_in_the_address_is_shown_and_stays_when_another_is_made(self) -> None:
        page = self.open()
        for name, values in CHOICES.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    choices = f"{name}={value}" if name == "show" else f"show=all&{name}={value}"
                    page.goto(f"http://localhost:{self.port}/?{choices}")
                    self.see_live(page)
                    self.assertEqual(page.evaluate(CONTROL, name), value)
                    page.get_by_label("Search").fill("r")
                    page.get_by_role("button", name="Filters", exact=True).click()
                    page.get_by_label("Filter by due date").select_option("" if name != "due" else value)
                    self.see(page.locator("#list")).to_have_attribute("aria-busy", "false")
                    self.wait_for(page, "location.search.includes('q=r')")
                    self.see(page.get_by_role("alert")).to_have_count(0)
                    self.assertEqual(page.evaluate(CONTROL, name), value)
                    if value not in ("todo", "-created"):  # which are the defaults, and not in the address
                        self.assertIn(f"{name}={value}", page.url.replace("%2C", ","))

    def test_point_7_address_has_what_is_shown(self) -> None:
        page = self.open()
        page.get_by_role("link", name="Upcoming").click()
        page.get_by_role("link", name="All").click()
        page.get_by_label("Sort by").select_option("title")
        page.get_by_label("Search").fill("r")
        self.see_titles(page, "Bread", "Water")
        self.assertEqual(page.url.partition("?")[2], "q=r&sort=title")
        page.reload()
        self.see_titles(page, "Bread", "Water")
        self.see(page.get_by_label("Search")).to_have_value("r")

    def test_point_7_address_with_nonsense_shows_the_usual(self) -> None:
        page = self.open("/?show=nothing&sort=by%20luck&other=1")
        self.see_titles(page, "Water", "Bread", "Milk")

    def test_what_is_edited_goes_where_it_belongs(self) -> None:
        page = self.open("/?sort=title")
        self.see_titles(page, "Bread", "Milk", "Water")
        self.edit(page, "Bread").get_by_label("Title").fill("Tea")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk", "Tea", "Water")
        self.see(page.get_by_role("button", name="Tea", exact=True)).to_be_focused()

    def test_empty_list_says_what_to_do(self) -> None:
        page = self.open("/?show=all&q=&priority=normal")
        self.see(page.locator("#empty")).to_contain_text("No match")
        for path in json.loads(self.ask("GET", "/tasks").body):
            self.ask("DELETE", f"/tasks/{path}")
        page = self.open("/?show=all")
        self.see(page.locator("#empty")).to_contain_text("Welcome")

    def test_nothing_to_do_is_all_done_where_something_is_done(self) -> None:
        for path, task in json.loads(self.ask("GET", "/tasks").body).items():
            self.ask("PUT", f"/tasks/{path}", {**task, "completed": True})
        page = self.open()
        self.see(page.locator("#empty")).to_contain_text("All done")


class WelcomeTest(BrowserTestCase):

    def test_first_start_says_how_to_add_a_task_whatever_is_filtered(self) -> None:
        for path in ("/", "/?show=done", "/?show=all", "/?priority=low"):
            with self.subTest(path):
                empty = self.open(path).locator("#empty")
                self.see(empty).to_contain_text("Type the first one at the top, and press Enter.")
                self.see(empty).not_to_contain_text("done")
                self.see(empty.get_by_role("button")).to_have_count(0)

    def test_welcome_ends_with_the_first_task_wherever_that_is_added(self) -> None:
        page = self.open("/?show=done")
        self.see(page.locator("#empty")).to_contain_text("Welcome")
        self.create("Milk")
        self.see(page.locator("#empty")).to_contain_text("Nothing done yet")


class FailingTest(BrowserTestCase):
    """What is not read is not shown as if it were."""

    def setUp(self) -> None:
        super().setUp()
        self.create_many([{"title": f"Task {number:02}"} for number in range(60)])
        self.create("Done", completed=True)
        self.page = self.open()
        self.see(self.page.locator("#count")).to_have_text("60 tasks")
        self.page.route("**/tasks?*", lambda route: route.fulfill(
            status=400, json={"message": "not today"}))

    def test_point_8_failed_list_shows_the_error_in_the_place_of_the_rows_and_can_be_tried_again(self) -> None:
        self.page.get_by_role("link", name="Done").click()
        self.see(self.page.get_by_role("alert")).to_contain_text("not today")
        self.see_titles(self.page)
        self.see(self.page.locator("#count")).to_have_text("")
        retry = self.page.get_by_role("button", name="Try again")
        self.see(retry).to_be_in_viewport()
        self.create("Another", completed=True)
        self.page.unroute("**/tasks?*")
        retry.click()
        self.see_titles(self.page, "Another", "Done")
        self.see(self.page.locator("#failed")).to_be_hidden()

    def test_failed_list_takes_no_text_from_an_editor(self) -> None:
        editor = self.edit(self.page, "Task 59")
        editor.get_by_label("Title").fill("Half a")
        self.page.get_by_label("Sort by").select_option("title")
        self.see(self.page.get_by_role("button", name="Try again")).to_be_in_viewport()
        self.see(self.page.locator("#list li")).to_have_count(1)
        self.see(editor.get_by_label("Title")).to_have_value("Half a")
        editor.get_by_label("Title").press("Escape")
        self.see(self.page.locator("#list li")).to_have_count(0)


class OrderTest(BrowserTestCase):

    def test_page_and_service_agree_on_order_and_filters(self) -> None:
        """What changes live is put where the service would list it."""
        chance = random.Random(20)
        titles = ["", "a", "A", "ä", "z", "\uffee", "\U0001f33b", "\ufb00", "ab",
                  "Caf\u00e9 ", "cafe\u0301 ", "\u0130z", "Stra\u00dfe", "\uac00", "\uac01", "\u304b", "\u304c",
                  "x" * 600, "x" * 600 + "y"]
        self.create_many([self.task(chance, titles) for _ in range(120)])
        page = self.open()
        for sort in ("created", "updated", "due_date", "priority", "title"):
            for descending in ("", "-"):
                for show in ("todo", "done", "all", "today"):
                    choices = {
                        "show": show, "q": chance.choice(SEARCHES), "due": chance.choice(["", "overdue"]),
                        "priority": chance.choice(["", "urgent,high"]), "sort": descending + sort}
                    with self.subTest(choices):
                        theirs, ours = page.evaluate(ORDERS, choices)
                        self.assertEqual(ours, theirs)

    def test_page_and_service_take_the_same_texts_for_the_same(self) -> None:
        """What a search finds stays in the list when it changes."""
        characters = [chr(number) for number in range(1, sys.maxunicode + 1)  # that every browser knows
                      if ucd_3_2_0.category(chr(number)) not in ("Cs", "Cn", "Co")]
        characters += ["A\u0301", "a\u0302\u0301", "ИЙ", "\u1112\u1161\u11ab", "SS ss", "ΣΑΣ", "क\u093f"]
        ours = self.open().evaluate(
            "async (texts) => texts.map((await import('/static/fold.js')).fold)", characters)
        pairs = set(zip(map(fold, characters), ours, strict=True))
        self.assertEqual(len({theirs for theirs, _ in pairs}), len(pairs))
        self.assertEqual(len({own for _, own in pairs}), len(pairs))

    def task(self, chance: random.Random, titles: list[str]) -> dict[str, Any]:
        """Make a task that has something in common with many."""
        task: dict[str, Any] = {"title": chance.choice(titles) + chance.choice(titles) + "."}
        if chance.random() < 0.5:
            task["priority"] = chance.choice(PRIORITIES)
        if chance.random() < 0.5:
            task["completed"] = chance.random() < 0.5
        if chance.random() < 0.5:
            task["due_date"] = chance.choice([-5.5, 0, 1e9, 1e9 + 0.25, 4e9])
        return task


SEARCHES = ["", "a", "x", "cafe", "CAFÉ", "iz", "ız", "strasse", "가", "か"]

ORDERS = """async (choices) => {
  const {TaskQuery} = await import("/static/query.js");
  const query = new TaskQuery(choices);
  const read = async (url) => {
    const text = await (await fetch(url, {headers: {Accept: "application/x-ndjson"}})).text();
    return text.split("\\n").filter(Boolean).map(JSON.parse);
  };
  const theirs = await read("/tasks?" + query.parameters(1000));
  const ours = (await read("/tasks")).filter(({task}) => query.matches(task));
  ours.sort((one, other) => query.compare(one, other));
  return [theirs, ours].map((entries) => entries.map(({id}) => id));
}"""


class LongListTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.create_many([{"title": f"Task {number:04}"} for number in range(1_000)])

    def test_is_read_as_it_is_scrolled_with_few_rows_in_the_document(self) -> None:
        page = self.open("/?sort=title")
        last = self.row(page, "Task 0999")
        self.wait_for(page, """() => { scrollTo(0, document.body.scrollHeight);
            return [...document.querySelectorAll("#list button.title")].some((title) => title.innerText === "Task 0999")
        }""")
        self.see(last).to_be_visible()
        self.see(last).to_have_attribute("aria-posinset", "1000")
        self.see(last).to_have_attribute("aria-setsize", "1000")
        self.see(page.locator("#count")).to_have_text("1,000 tasks")
        self.assertLess(page.locator("#list li").count(), 80)

    def test_is_walked_by_keys_and_the_focused_row_stays(self) -> None:
        page = self.open("/?sort=title")
        page.get_by_role("button", name="Task 0000", exact=True).focus()
        for _ in range(40):
            page.keyboard.press("ArrowDown")
        focused = page.get_by_role("button", name="Task 0040", exact=True)
        self.see(focused).to_be_focused()
        self.see(focused).to_be_in_viewport()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        self.see(focused).to_be_focused()
        page.keyboard.press("Home")
        self.see(page.get_by_role("button", name="Task 0000", exact=True)).to_be_focused()
        page.keyboard.press("End")
        last = page.locator("button.title:focus")
        self.see(last).to_have_text("Task 0999")
        self.see(last).to_be_in_viewport()

    def test_what_is_looked_at_stays_where_it_is_when_tasks_are_added_above(self) -> None:
        page = self.open()
        self.see(page.locator("#count")).to_have_text("1,000 tasks")
        self.wait_for(page, "scrollTo(0, 4000), scrollY > 3990")  # the list grows to its height meanwhile
        # The rows there are drawn some frames after the scrolling: until then the middle of the window is empty.
        title = self.wait_for(
            page, "document.elementFromPoint(innerWidth / 2, innerHeight / 2)"
            ".closest('#list li')?.querySelector('button.title').innerText")
        before = self.row(page, title).bounding_box()
        self.create("A new one", description="which is\nhigher", priority="high")
        self.see(page.locator("#count")).to_have_text("1,001 tasks")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        after = self.row(page, title).bounding_box()
        assert before is not None and after is not None
        self.assertAlmostEqual(before["y"], after["y"], delta=1)

    def test_every_task_is_shown_once_when_tasks_come_and_go_meanwhile(self) -> None:
        page = self.open("/?sort=created")
        self.see(page.locator("#count")).to_have_text("1,000 tasks")
        ids = list(json.loads(self.ask("GET", "/tasks").body))
        for victim in (ids[100], ids[199], ids[300]):
            self.ask("DELETE", f"/tasks/{victim}")
        self.see(page.locator("#count")).to_have_text("997 tasks")
        self.ask("PUT", f"/tasks/{ids[199]}", {"title": "Back"}, If_None_Match="*")
        self.see(page.locator("#count")).to_have_text("998 tasks")
        seen: list[str] = []
        for _ in range(300):
            for title in page.locator("#list button.title").all_inner_texts():
                if title not in seen:
                    seen.append(title)
            if page.locator("#more").is_hidden() and page.evaluate(
                    "scrollY + innerHeight >= document.documentElement.scrollHeight - 1"):
                break
            page.mouse.wheel(0, 1200)
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        expected = [task["title"] for task in self.stored()]
        self.assertEqual(seen, expected)

    def test_point_14_is_printed_whole_on_as_few_sheets_as_it_needs(self) -> None:
        page = self.open("/?sort=title")
        self.see(page.locator("#count")).to_have_text("1,000 tasks")
        page.evaluate("""addEventListener("beforeprint", () => {
          window.printed = [...document.querySelectorAll("#list button.title")].map((each) => each.textContent);
        })""")
        sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
        self.assertEqual(page.evaluate("window.printed"), [f"Task {number:04}" for number in range(1_000)])
        self.assertIn(len(sheets), range(18, 30))
        self.assertLess(page.locator("#list li").count(), 80)


if __name__ == "__main__":
    unittest.main()
