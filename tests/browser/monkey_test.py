"""A monkey in two windows and a tab more while the service goes away and comes back: nothing is lost, nothing twice.

`TASKSERVICE_MONKEY=600` has it go on for so many seconds. `TASKSERVICE_MONKEY_SEED` has it choose as in another run,
whose seed is printed.
"""

import contextlib
import os
import random
import re
import sys
import time
import unittest
from typing import TYPE_CHECKING, Any

from tests.helpers.api import wait_until
from tests.helpers.browser import BrowserTestCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

SECONDS = float(os.environ.get("TASKSERVICE_MONKEY", "20"))
SEED = int(os.environ.get("TASKSERVICE_MONKEY_SEED", str(random.SystemRandom().randrange(1 << 32))))

MOST = 40
"""From how many tasks on some are deleted rather than added: of few tasks both windows change the same more often."""

SHOWN = """() => [...document.querySelectorAll("#list li")].map((row) => [
  row.querySelector("button.title").textContent, row.querySelector("input").checked,
  row.querySelector(".description").textContent])"""


class MonkeyTest(BrowserTestCase):

    engine = "sqlite"

    def setUp(self) -> None:
        super().setUp()
        self.chance = random.Random(SEED)
        self.added: set[str] = set()
        self.deleted: set[str] = set()
        self.said: list[str] = []
        self.away = False
        self.count = 0

    def test_both_windows_the_store_and_what_was_typed_agree(self) -> None:
        windows = [self.open("/?show=all", viewport={"width": 1000, "height": 6_000}) for _ in range(2)]
        windows.append(self.open_tab(windows[0].context, "/?show=all"))
        for page in windows:
            page.expose_function("heard", self.hear)
            page.add_init_script(LISTEN)
            page.reload()
            self.see_live(page)
        ends = time.monotonic() + SECONDS
        steps = 0
        while time.monotonic() < ends:
            with self.subTest(seed=SEED, step=steps):
                self.step(self.chance.choice(windows))
            steps += 1
            if self.chance.random() < 0.04:
                self.come_or_go()
        if self.away:
            self.come_or_go()
        print(f"\nmonkey: {steps} steps, {len(self.added)} tasks added, {len(self.deleted)} deleted, seed {SEED}",
              file=sys.stderr)
        self.compare(windows)

    def come_or_go(self) -> None:
        """End the service, or start it again on the same store and port."""
        if self.away:
            self.start_service(self.port)
        else:
            self.stop_service()
        self.away = not self.away

    def step(self, page: "Page") -> None:
        """Do something that a person may do."""
        titles = [title for title, _, _ in page.evaluate(SHOWN)]
        steps: list[Callable[[Page, str], None]] = [self.delete] if len(titles) > MOST else [self.add, self.add]
        if titles:
            steps += [self.tick_one, self.describe, self.delete, self.undo, self.reload]
        self.chance.choice(steps)(page, self.chance.choice(titles) if titles else "")
        self.answer(page)

    def add(self, page: "Page", _: str) -> None:
        """Add a task whose title is like no other."""
        self.count += 1
        title = f"Task no. {self.count}"
        field = self.enter(page, page.get_by_label("New task"))
        field.fill(title)
        field.press("Enter")
        self.assertEqual(field.input_value(), "", "the field is ready for the next")
        self.added.add(title)

    def enter(self, page: "Page", field: "Locator") -> "Locator":
        """Put the focus in a field: where it is there, no question takes the keys of what is typed."""
        def there() -> bool:
            self.answer(page)
            field.focus()
            return bool(field.evaluate("field => field === document.activeElement"))

        wait_until(there, "the field has the focus")
        return field

    def tick_one(self, page: "Page", title: str) -> None:
        """Tick a task, or the reverse."""
        page.evaluate(ON_ROW, [title, "input"])

    def describe(self, page: "Page", title: str) -> None:
        """Write a description, which both windows may do at once."""
        page.evaluate(ON_ROW, [title, "button.title"])
        editor = page.get_by_role("form", name="Edit the task")
        if editor.count() != 1:
            return
        self.enter(page, editor.get_by_label("Description")).fill(f"more {self.chance.randrange(1_000_000)}")
        # By a mouse it would be lost where the row moves away just then.
        editor.get_by_role("button", name="Save").evaluate("button => button.click()")
        self.see(editor).to_have_count(0)

    def delete(self, page: "Page", title: str) -> None:
        """Delete a task."""
        page.evaluate(ON_ROW, [title, "button.delete"])
        self.deleted.add(title)

    def undo(self, page: "Page", _: str) -> None:
        """Undo or redo something."""
        page.get_by_label("New task").press(self.chance.choice(["Control+z", "Control+z", "Control+Shift+z"]))

    def hear(self, said: str) -> None:
        """Note the task that was undone or redone, as the page says: it may be gone by that."""
        self.said.append(said)
        self.deleted.update(re.findall(r"(?:Undone|Redone): “(Task no\. \d+)”", said))

    def reload(self, page: "Page", _: str) -> None:
        """Reload the page, where there is one."""
        if not self.away and self.chance.random() < 0.3:
            page.reload()

    def is_saved(self, page: "Page") -> bool:
        """Answer all that is asked; return whether the service has all that was done.

        A question may still come after that: what a page had yet to send before it was reloaded is sent a moment later.
        """
        self.answer(page)
        page.evaluate("document.querySelector('[data-part=compare]:not([hidden])')?.click()")
        state = page.locator("#connection")
        return bool(state.get_attribute("data-unsaved") == "0" and page.locator("#refused").is_hidden()
                    and state.get_attribute("data-state") == "live")

    def answer(self, page: "Page") -> None:
        """Answer what is asked, whichever way."""
        dialog = page.get_by_role("alertdialog")
        while dialog.count():
            dialog.get_by_role("button").nth(self.chance.randrange(2)).click()

    def compare(self, windows: list["Page"]) -> None:
        """Fail where the windows, the store and what was typed do not agree, once all that is asked is answered."""
        stored: list[list[Any]] = []
        shown: list[list[list[Any]]] = []

        def agree() -> bool:
            saved = [self.is_saved(page) for page in windows]
            shown[:] = [page.evaluate(SHOWN_ALL) for page in windows]
            stored[:] = [[task["title"], task.get("completed", False), task.get("description", "")]
                         for task in reversed(self.stored())]
            return all(saved) and all(each == stored for each in shown)

        with contextlib.suppress(AssertionError):  # which would not say where they differ
            # What was in conflict before a reload waits until somebody compares, and so does what was done after it.
            wait_until(agree, "both windows show what is stored", seconds=300)
        for page, each in zip(windows, shown, strict=True):
            self.assertEqual(each, stored, "a window shows something else than what is stored")
            self.assertTrue(self.is_saved(page), page.evaluate("document.body.innerText"))
        titles = [title for title, _, _ in stored]
        self.assertEqual(len(titles), len(set(titles)), "nothing is there twice")
        self.assertEqual(set(titles) - self.added, set(), "nothing is there that nobody typed")
        lost = self.added - self.deleted - set(titles)
        said = {title: [text for text in self.said if title in text] for title in lost}
        self.assertEqual(said, {}, "nothing is lost")


SHOWN_ALL = f"""() => {{
  dispatchEvent(new Event("beforeprint"));
  const shown = ({SHOWN})();
  dispatchEvent(new Event("afterprint"));
  return shown;
}}"""
"""What is shown on paper: on the screen rows far from the viewport are not in the document."""

LISTEN = """addEventListener("DOMContentLoaded", () => {
  const observer = new MutationObserver((records) => {
    for (const {addedNodes} of records) for (const {textContent} of addedNodes) heard(textContent);
  });
  observer.observe(document.querySelector("#announcer"), {childList: true});
})"""
"""Hear all that is said, also what was replaced in the same turn, and before a reload."""

ON_ROW = """([title, part]) => {
  const row = [...document.querySelectorAll("#list li")].find(
    (each) => each.querySelector("button.title").textContent === title);
  if (!document.querySelector("dialog[open]")) row?.querySelector(part).click();
}"""


if __name__ == "__main__":
    unittest.main()
