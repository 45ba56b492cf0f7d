"""Views, the address bar, quick add and what works while the service is away (points 6 to 9 of the page)."""

import unittest
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.helpers.browser import PHONE, BrowserTestCase

if TYPE_CHECKING:
    from playwright.sync_api import Page


def today() -> date:
    """Return the day it is in Berlin, where the page is."""
    return datetime.now(ZoneInfo("Europe/Berlin")).date()


def day(count: int = 0) -> int:
    """Return what stands for a day, so many days from today."""
    then = today() + timedelta(days=count)
    return int(datetime(then.year, then.month, then.day, tzinfo=UTC).timestamp())


class ViewsTest(BrowserTestCase):

    def test_point_6_a_new_task_inherits_the_date_of_the_view(self) -> None:
        for show, due in (("today", day()), ("upcoming", day(1))):
            page = self.open(f"/?show={show}")
            page.get_by_label("New task").fill(show)
            page.keyboard.press("Enter")
            self.see_titles(page, show)
            self.see_saved(page)
            self.see_stored(lambda: self.stored()[-1], {"title": show, "due_date": due})
            page.context.close()

    def test_point_6_upcoming_has_a_heading_for_each_day(self) -> None:
        for title, count in (("A", 1), ("B", 1), ("C", 9)):
            self.create(title, due_date=day(count))
        page = self.open("/?show=upcoming")
        self.see_titles(page, "A", "B", "C")
        self.see(page.locator("#list h3")).to_have_count(2)
        self.see(page.locator("#list h3").first).to_contain_text("Tomorrow · ")
        self.see(page.locator("#list li").nth(1).locator("h3")).to_have_count(0)
        page.get_by_label("Sort by").select_option("title")
        self.see(page.locator("#list h3")).to_have_count(0)

    def test_points_6_and_13_today_has_a_heading_for_what_is_overdue_and_the_first_task_is_near_the_top(self) -> None:
        for title, count in (("A", -9), ("B", -1), ("C", 0)):
            self.create(title, due_date=day(count))
        for window, most in (({}, 200), (PHONE, 220)):
            page = self.open("/?show=today", **window)
            self.see_titles(page, "A", "B", "C")
            self.see(page.locator("#list h3")).to_have_count(2)
            self.see(self.row(page, "A").locator("h3")).to_have_text("Overdue")
            self.see(self.row(page, "C").locator("h3")).to_contain_text("Today · ")
            top = self.row(page, "A").locator(".view").evaluate("(view) => view.getBoundingClientRect().top")
            self.assertLess(top, most)

    def test_point_6_done_is_in_the_order_in_which_it_was_done(self) -> None:
        for title in ("A", "B"):
            self.create(title)
        page = self.open()
        for title in ("B", "A"):
            self.tick(page, title).click()
            self.see_saved(page)
        page.get_by_role("link", name="Done").click()
        self.see_titles(page, "A", "B")
        self.see(page.locator("#list h3")).to_have_count(1)
        self.see(self.row(page, "A").locator("h3")).to_contain_text("Today · ")

    def test_point_6_a_reload_keeps_view_filter_and_scroll(self) -> None:
        self.create_many([{"title": f"Task {number:04}", "due_date": day(1)} for number in range(600)])
        page = self.open("/?show=upcoming&sort=title&q=task")
        self.see(page.locator("#count")).to_have_text("600 tasks")
        self.wait_for(page, "scrollTo(0, 15000), scrollY > 14000")  # the list grows to its height meanwhile
        self.see(page.get_by_role("button", name="Task 0230", exact=True)).to_be_attached()
        self.wait_for(page, "history.state?.scroll > 14000")
        before = page.evaluate("scrollY")
        page.reload()
        self.wait_for(page, "(before) => Math.abs(scrollY - before) < 3", arg=before)
        self.see(page.locator("#count")).to_have_text("600 tasks")
        self.see(page.get_by_label("Search")).to_have_value("task")
        self.see(page.locator("[aria-current]")).to_contain_text("Upcoming")
        self.assertAlmostEqual(page.evaluate("scrollY"), before, delta=3)

    def test_point_9_an_empty_start_invites_to_add_the_first_task(self) -> None:
        page = self.open()
        self.see(page.get_by_label("New task")).to_be_focused()
        self.see(page.locator("#empty")).to_contain_text("Type the first one at the top")


class QuickAddTest(BrowserTestCase):

    def test_point_9_date_time_and_priority_are_understood_and_shown_while_typing(self) -> None:
        page = self.open()
        page.get_by_label("New task").press_sequentially("Pay rent tomorrow 5pm !high")
        tokens = page.get_by_role("group", name="Understood").get_by_role("button")
        self.see(tokens).to_have_text(["tomorrow", "5pm", "!high"])
        self.screenshot(page, "quick-add")
        page.keyboard.press("Enter")
        self.see_titles(page, "Pay rent")
        self.see(tokens).to_have_count(0)
        self.see_saved(page)
        then = today() + timedelta(days=1)
        five = datetime(then.year, then.month, then.day, 17, tzinfo=ZoneInfo("Europe/Berlin"))
        self.see_stored(
            self.stored, [{"title": "Pay rent", "priority": "high", "due_date": int(five.timestamp())}])

    def test_point_9_a_chip_that_is_removed_leaves_its_words_in_the_title(self) -> None:
        page = self.open()
        page.get_by_label("New task").fill("Read Monday tomorrow")
        page.get_by_role("button", name="Leave “tomorrow” in the title").click()
        page.get_by_role("button", name="Leave “Monday” in the title").click()
        self.see(page.get_by_label("New task")).to_be_focused()
        page.keyboard.press("Enter")
        self.see_titles(page, "Read Monday tomorrow")
        self.see_saved(page)
        self.see_stored(self.stored, [{"title": "Read Monday tomorrow"}])

    def test_point_9_a_day_is_the_same_day_in_every_time_zone_and_a_time_is_one_moment(self) -> None:
        page = self.open()
        for title, time in (("Day", ""), ("Time", "09:30")):
            page.get_by_label("New task").fill(title)
            composer = page.locator("#composer")
            composer.get_by_label("Due", exact=True).select_option("other")
            composer.get_by_label("Due on").fill("2031-03-04")
            composer.get_by_label("Due at").fill(time)
            composer.get_by_role("button", name="Add").click()
        self.see_titles(page, "Time", "Day")
        self.see_saved(page)
        for zone, time in (("Pacific/Kiritimati", "22:30"), ("America/Los_Angeles", "00:30"), ("UTC", "08:30")):
            with self.subTest(zone):
                other = self.open(timezone_id=zone)
                self.see(self.row(other, "Day").locator("time")).to_have_text("4 Mar 2031")
                self.see(self.row(other, "Time").locator("time")).to_have_text(f"4 Mar 2031, {time}")
                self.edit(other, "Day")
                self.see(other.get_by_role("form").get_by_label("Due on")).to_have_value("2031-03-04")
                self.see(other.get_by_role("form").get_by_label("Due at")).to_have_value("")


class AwayTest(BrowserTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.create_many([{"title": f"Task {number:03}", "priority": "high" if number % 50 == 0 else "none"}
                          for number in range(400)])
        self.page = self.open()
        self.see(self.page.locator("#count")).to_have_text("400 tasks")
        self.stop_service()

    def see_local(self, page: "Page") -> None:
        """Wait until the page says that it shows what it has in memory."""
        self.see(page.locator("#local")).to_have_text("The service is away: this is what the page has read before.")

    def test_point_8_search_filters_views_and_sorts_work_on_what_is_in_memory_and_say_so(self) -> None:
        page = self.page
        page.get_by_label("Search").fill("task 99")
        self.see_local(page)
        self.see_titles(page, "Task 399", "Task 299", "Task 199", "Task 099")
        page.get_by_label("Search").fill("")
        page.get_by_role("button", name="Filters", exact=True).click()
        page.get_by_label("Filter by priority").select_option("urgent,high")
        page.get_by_label("Sort by").select_option("title")
        self.see_titles(page, *(f"Task {number:03}" for number in range(0, 400, 50)))
        self.tick(page, "Task 000").click()
        self.see_titles(page, *(f"Task {number:03}" for number in range(50, 400, 50)))
        page.get_by_role("link", name="Done").click()
        page.get_by_role("button", name="Remove the filter Urgent or high").click()
        self.see_titles(page, "Task 000")
        self.see_local(page)


if __name__ == "__main__":
    unittest.main()
