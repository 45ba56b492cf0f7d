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
        self.edit(page, "Book the train to Hamburg")
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

    def test_nothing_is_cut_off_where_there_is_little_room_and_much_text(self) -> None:
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
                page.get_by_role("button", name="Undo").click()
                self.see_saved(page)
                self.screenshot(page, f"narrow-{width}")

    def test_on_a_phone_a_task_is_edited_and_deleted_by_touch(self) -> None:
        self.create("Milk")
        self.create_many([{"title": f"Task {number}"} for number in range(7)])  # it is the last that is seen
        page = self.open(**PHONE)
        page.get_by_role("button", name="Milk", exact=True).tap()
        self.see(page.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
        page.get_by_role("textbox", name="Title").fill("Oat milk")
        page.get_by_role("button", name="Save").tap()
        self.see(self.row(page, "Oat milk")).to_be_visible()
        page.get_by_role("button", name="Oat milk", exact=True).tap()
        page.get_by_role("button", name="Delete", exact=True).tap()
        self.see(self.row(page, "Oat milk")).to_have_count(0)
        page.get_by_role("button", name="Undo").tap()
        self.see(self.row(page, "Oat milk")).to_be_visible()

    def test_empty_list(self) -> None:
        page = self.open("/?show=all")
        self.see(page.locator("#empty")).to_be_visible()
        self.screenshot(page, "empty")


if __name__ == "__main__":
    unittest.main()
