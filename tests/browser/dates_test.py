"""Due dates in words, in the user's locale and time zone."""

import json
import unittest
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.helpers.browser import BrowserTestCase

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 3, 27, 12, 0, tzinfo=ZoneInfo(BERLIN))
"""A Friday; the clocks go forward on Sunday."""


def at(*date: int, zone: str = BERLIN) -> float:
    """Return the seconds of a date and time."""
    return datetime(*date, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type, misc]  # ints, up to six


class RangesTest(BrowserTestCase):

    def test_a_day_is_from_its_midnight_to_the_next_in_what_is_read_and_what_is_heard(self) -> None:
        """Before the clocks go forward, so that the week is an hour shorter than seven days."""
        dues = {
            "last second": at(2026, 3, 26, 23, 59, 59), "midnight": at(2026, 3, 27), "noon": at(2026, 3, 27, 12),
            "end": at(2026, 3, 27, 23, 59, 59), "next midnight": at(2026, 3, 28),
            "sixth day": at(2026, 4, 2, 23, 59, 59), "seventh day": at(2026, 4, 3)}
        today = ["end", "noon", "midnight"]
        week = ["sixth day", "next midnight", *today]
        pages = {}
        for title, due in dues.items():
            self.create(title, due_date=due)
        for choice, titles in (("today", today), ("week", week)):
            pages[choice] = page = self.open(live=False)
            page.clock.set_fixed_time(NOW)
            page.goto(f"{page.url}?due={choice}")
            self.see_live(page)
            self.see_titles(page, *titles)
        for path in json.loads(self.ask("GET", "/tasks").body):
            self.ask("DELETE", f"/tasks/{path}")
        for title, due in dues.items():
            self.create(f"{title}!", due_date=due)
        for choice, titles in (("today", today), ("week", week)):
            self.see_titles(pages[choice], *(f"{title}!" for title in titles))


class WordsTest(BrowserTestCase):

    def words(self, due: float, locale: str = "en-GB", zone: str = BERLIN) -> Any:
        """Return a due date in the page's words, at NOW."""
        key = (locale, zone)
        if key not in self.pages:
            self.pages[key] = self.open(locale=locale, timezone_id=zone)
        return self.pages[key].evaluate(
            """async ([due, now]) => (await import("/static/dates.js")).dueInWords(due, new Date(now))""",
            [due, NOW.timestamp() * 1000])

    def setUp(self) -> None:
        super().setUp()
        self.pages: dict[tuple[str, str], Any] = {}

    def test_near_days_are_in_words(self) -> None:
        for day, text in ((27, "today"), (28, "tomorrow"), (29, "Sunday"), (31, "Tuesday"), (26, "yesterday"),
                          (24, "3 days ago")):
            self.assertEqual(self.words(at(2026, 3, day, 23, 59, 59))["text"], text)

    def test_others_by_date_and_the_year_where_it_is_another(self) -> None:
        self.assertEqual(self.words(at(2026, 4, 3, 23, 59, 59))["text"], "Fri 3 Apr")
        self.assertEqual(self.words(at(2027, 1, 3, 23, 59, 59))["text"], "3 Jan 2027")
        self.assertEqual(self.words(at(2026, 1, 3, 23, 59, 59))["text"], "Sat 3 Jan")

    def test_time_of_day_is_shown_where_there_is_one(self) -> None:
        self.assertEqual(self.words(at(2026, 3, 27, 15, 30))["text"], "today, 15:30")
        self.assertEqual(self.words(at(2026, 3, 28, 0, 0))["text"], "tomorrow")

    def test_locale_is_that_of_the_user(self) -> None:
        due = at(2026, 3, 28, 18, 30)
        self.assertEqual(self.words(due, "de-DE")["text"], "morgen, 18:30")
        self.assertEqual(self.words(due, "fr-FR")["text"], "demain, 18:30")
        self.assertEqual(self.words(due, "en-US")["text"].replace("\u202f", " "), "tomorrow, 6:30 PM")

    def test_day_is_that_of_the_users_time_zone(self) -> None:
        due = at(2026, 3, 27, 23, 59, 59)
        self.assertEqual(self.words(due, zone="Asia/Tokyo")["text"], "tomorrow, 07:59")
        self.assertEqual(self.words(due, zone="America/New_York")["text"], "today, 18:59")

    def test_late_is_what_is_over(self) -> None:
        self.assertFalse(self.words(at(2026, 3, 27, 23, 59, 59))["late"])
        self.assertTrue(self.words(at(2026, 3, 27, 11, 59))["late"])
        self.assertTrue(self.words(at(2026, 3, 26, 23, 59, 59))["late"])

    def test_dates_beyond_any_calendar_have_words_too(self) -> None:
        for due, text in ((2 ** 53 - 1, "in a distant future"), (1 - 2 ** 53, "long ago")):
            self.assertEqual(self.words(due), {"text": text, "full": text, "iso": "", "late": due < 0, "today": False})

    def test_point_14_language_of_dates_is_marked(self) -> None:
        self.create("Milk", due_date=at(2031, 1, 2))
        page = self.open(locale="de-DE")
        self.see(page.locator("#list time")).to_have_attribute("lang", "de-DE")
        self.see(page.locator("#list time")).to_have_text("2. Jan. 2031")


if __name__ == "__main__":
    unittest.main()
