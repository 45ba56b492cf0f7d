"""What the tests of the page share: a real browser, a service of each test's own, and its windows.

Where Chromium or Playwright is missing the tests skip, and say so. Playwright keeps an event loop to
itself while it runs, so each module starts it and ends it.
"""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import SkipTest, TestCase, addModuleCleanup, enterModuleContext

from tests.contract import quick_folder
from tests.helpers.postgres import free_port
from tests.helpers.processes import ServiceProcess
from tests.helpers.running import running

if TYPE_CHECKING:
    from email.message import Message

    from playwright.sync_api import Browser, BrowserContext, Locator, Page
    from playwright.sync_api._generated import LocatorAssertions

SCREENSHOTS = os.environ.get("TASKSERVICE_SCREENSHOTS")
"""The folder where screenshots of the page are kept, to be looked at; without it each goes with its test."""

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP tasks.example 127.0.0.1")
"""What makes Chromium run as root, and keep to itself; http://tasks.example is a service elsewhere, without TLS."""

PATIENCE = 30_000
"""Milliseconds that something may take to be seen."""

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
"""A window as Playwright's options have it: a phone held upright."""


_browsers: dict[str, "Browser"] = {}


def chromium() -> str | None:
    """Return the path of the browser."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path is not None), None)


def missing() -> str | None:
    """Return what is missing for these tests; None where nothing is."""
    if find_spec("playwright") is None:
        return "needs playwright (requirements-dev.txt)"
    return None if chromium() else "needs Chromium (apt-get install chromium)"


def browser_of(module: str) -> "Browser":
    """Return the browser of the test module that is running; it ends with the module."""
    if module not in _browsers:
        from playwright.sync_api import sync_playwright
        playwright = enterModuleContext(sync_playwright())
        _browsers[module] = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        addModuleCleanup(lambda: _browsers.pop(module).close())
    return _browsers[module]


class Answer(NamedTuple):
    """An answer of the service."""

    status: int
    headers: "Message[str, str]"
    body: Any


class BrowserTestCase(TestCase):
    """A service with a store of its own, and windows on its page."""

    browser: "Browser"

    engine: str | None = None
    """None for memory; sqlite where the store has to outlive the process."""

    sections: Mapping[str, Any] = {}
    """Sections of the config, such as auth."""

    expected_complaints: tuple[str, ...] = ()
    """What the browser's console may say besides."""

    @classmethod
    def setUpClass(cls) -> None:
        if (reason := missing()) is not None:
            raise SkipTest(reason)
        from playwright.sync_api import expect
        expect.set_options(timeout=PATIENCE)
        cls.browser = browser_of(cls.__module__)

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.complaints: list[str] = []
        self.stack = self.enterContext(ExitStack())
        self.service: ServiceProcess
        self.start_service(free_port())  # one that nobody is given while the service is away

    # --- The service -----------------------------------------------------------------------------

    def start_service(self, port: int = 0) -> None:
        """Start the service, on the store that it had."""
        task_db = {"memory": None} if self.engine is None else {
            self.engine: str(self.folder / "tasks.db")}
        self.service = self.stack.enter_context(
            running(self.folder, task_db, port=port, **self.sections))
        self.port = self.service.port

    def stop_service(self) -> None:
        """End the service, at once."""
        self.stack.close()

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer:
        """Do something to the service as somebody else; `A_b` is the header A-b."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"http://localhost:{self.port}{path}", data, fields, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def create(self, title: str, **members: Any) -> str:
        """Create a task as somebody else; return its path."""
        answer = self.ask("POST", "/tasks", {"title": title, **members})
        self.assertEqual(answer.status, 201)
        return answer.headers["Location"]

    def create_many(self, tasks: list[dict[str, Any]]) -> None:
        """Create tasks as somebody else, all at once."""
        lines = b"".join(json.dumps(task).encode() + b"\n" for task in tasks)
        answer = self.ask("POST", "/tasks", lines, Content_Type="application/x-ndjson")
        self.assertEqual(answer.status, 200)

    def stored(self) -> list[dict[str, Any]]:
        """Return the tasks that the service has, in the order of their ids."""
        return list(json.loads(self.ask("GET", "/tasks").body).values())

    def see_stored(self, found: Callable[[], object], expected: object) -> None:
        """Wait until what is found in the store is this: what was done on the page is on its way."""
        deadline = time.monotonic() + PATIENCE / 1000
        while found() != expected and time.monotonic() < deadline:
            for page in (page for context in self.browser.contexts for page in context.pages[:1]):
                page.wait_for_timeout(20)  # and not time.sleep, in which no route of a test is asked
        self.assertEqual(found(), expected)

    # --- The page --------------------------------------------------------------------------------

    def open(self, path: str = "/", live: bool = True, host: str = "localhost", **context: Any) -> "Page":
        """Open the page in a window of its own, as another user would; wait until it is live."""
        options = {"locale": "en-GB", "timezone_id": "Europe/Berlin",
                   "viewport": {"width": 1000, "height": 900},
                   "service_workers": "block",  # the routes of tests are not asked for what a worker answers
                   **context}
        window = self.browser.new_context(**options)
        self.addCleanup(window.close)
        return self.open_tab(window, path, live, host)

    def open_tab(
        self, window: "BrowserContext", path: str = "/", live: bool = True, host: str = "localhost"
    ) -> "Page":
        """Open the page in another tab of a window; wait until it is live."""
        page = window.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        page.on("console", lambda message: self.complain(message.type, message.text))
        page.goto(f"http://{host}:{self.port}{path}")
        if live:
            self.see_live(page)
        return page

    def complain(self, kind: str, text: str) -> None:
        """Keep what the console says is wrong, but that a request was refused or cut off."""
        passed_over = ("Failed to load resource", "Service Worker registration blocked", *self.expected_complaints)
        if kind in ("error", "warning") and not text.startswith(passed_over):
            self.complaints.append(text)

    def tearDown(self) -> None:
        self.assertEqual(self.complaints, [])

    def see(self, locator: "Locator") -> "LocatorAssertions":
        """Return assertions that wait until they hold."""
        from playwright.sync_api import expect
        return expect(locator)

    def wait_for(self, page: "Page", expression: str, arg: Any = None) -> Any:
        """Wait until an expression of JavaScript is truthy; return its value.

        Playwright's own `wait_for_function` evaluates a text again and again in the page, which the page's security
        policy refuses from the second time on.
        """
        deadline = time.monotonic() + PATIENCE / 1000
        while not (value := page.evaluate(expression, arg)):
            self.assertLess(time.monotonic(), deadline, expression)
            page.wait_for_timeout(20)
        return value

    def see_live(self, page: "Page") -> None:
        """Wait until the page follows the changes, and shows the list."""
        self.see(page.locator("#connection")).to_have_attribute("data-state", "live")
        self.see(page.locator("#list")).to_have_attribute("aria-busy", "false")

    def see_saved(self, page: "Page") -> None:
        """Wait until the service has taken all that was done on the page."""
        self.see(page.locator("#connection")).to_have_attribute("data-unsaved", "0")

    def see_titles(self, page: "Page", *titles: str) -> None:
        """Wait until the list shows these tasks, in this order."""
        self.see(page.locator("#list button.title")).to_have_text(list(titles))

    def see_said(self, page: "Page", text: str) -> None:
        """Wait until a screen reader announces something."""
        self.see(page.locator("#announcer")).to_contain_text(text)

    def row(self, page: "Page", title: str) -> "Locator":
        """Return the row of the task with this title."""
        return page.get_by_role("listitem").filter(
            has=page.get_by_role("button", name=title, exact=True))

    def tick(self, page: "Page", title: str) -> "Locator":
        """Return the checkbox of the task with this title."""
        return page.get_by_role("checkbox", name=title, exact=True)

    def edit(self, page: "Page", title: str) -> "Locator":
        """Open the editor of the task with this title, and return it."""
        page.get_by_role("button", name=title, exact=True).click()
        return page.get_by_role("form", name="Edit the task")

    def screenshot(self, page: "Page", name: str) -> Path:
        """Make a picture of the window, which is kept where SCREENSHOTS says; return where it is."""
        folder = Path(SCREENSHOTS) if SCREENSHOTS else self.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        return path
