"""Many tabs on one stream (point 12 of the page), and the page without the network (point 11)."""

import re
import unittest

from tests.helpers.api import wait_until
from tests.helpers.browser import BrowserTestCase
from tests.helpers.processes import SERVER, copy_project, started
from tests.helpers.running import write_config

TABS = 8
"""More than the six connections that a browser has for a service."""


class TabsTest(BrowserTestCase):

    def streams(self) -> int:
        """Return how many event streams the service has."""
        text = self.ask("GET", "/metrics").body.decode()
        return sum(int(float(value)) for value in re.findall(r"(?m)^taskservice_event_streams (\S+)$", text))

    def test_point_12_any_number_of_tabs_stay_live_on_one_stream_also_when_its_tab_closes(self) -> None:
        first = self.open()
        tabs = [first, *(self.open_tab(first.context) for _ in range(TABS - 1))]
        wait_until(lambda: self.streams() == 1, "one stream for all")
        self.create("Milk")
        for page in tabs:
            self.see_titles(page, "Milk")
        tabs[-1].get_by_label("New task").fill("Bread")
        tabs[-1].keyboard.press("Enter")
        for page in tabs:
            self.see_titles(page, "Bread", "Milk")
        first.close()
        self.create("Salt")
        for page in tabs[1:]:
            self.see_titles(page, "Salt", "Bread", "Milk")
        wait_until(lambda: self.streams() == 1, "one stream for those that are left")


class WorkerTest(BrowserTestCase):

    def test_point_11_the_page_opens_without_the_network_with_what_was_done(self) -> None:
        page = self.open(service_workers="allow")
        self.wait_for(page, "navigator.serviceWorker.ready.then(() => true)")
        self.stop_service()
        page.reload()
        self.see(page.locator("#away")).to_be_visible()
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk")
        page.reload()
        self.see_titles(page, "Milk")
        self.start_service(self.port)
        self.see_saved(page)
        self.see_stored(self.stored, [{"title": "Milk"}])

    def test_point_11_the_icons_are_pictures_of_the_size_that_the_manifest_says(self) -> None:
        page = self.open()
        icons = page.evaluate("""async () => {
          const url = document.querySelector("link[rel=manifest]").href;
          const {icons} = await (await fetch(url)).json();
          const touch = document.querySelector("link[rel=apple-touch-icon]").href;
          const loaded = async (src) => {
            const image = new Image();
            image.src = new URL(src, url).href;
            await image.decode();
            return `${image.naturalWidth}x${image.naturalHeight}`;
          };
          const sized = icons.filter(({sizes}) => sizes !== "any");
          const others = sized.map(async ({src, sizes}) => [sizes, await loaded(src)]);
          return Promise.all([...others, ["180x180", await loaded(touch)]]);
        }""")
        self.assertEqual([loaded for _, loaded in icons], [sizes for sizes, _ in icons])
        self.assertEqual(len(icons), 4)

    def test_point_11_the_policy_passes_the_address_of_the_worker_alone(self) -> None:
        page = self.open(service_workers="allow")
        self.wait_for(page, "navigator.serviceWorker.ready.then(() => true)")
        self.assertEqual(page.evaluate("""async () => {
          const tried = async (what) => { try { await what(); return "passed"; } catch (error) { return error.name; } };
          return [
            await tried(() => trustedTypes.createPolicy("another", {createScriptURL: (url) => url})),
            await tried(() => trustedTypes.createPolicy("taskservice-worker", {createScriptURL: (url) => url})),
            await tried(() => navigator.serviceWorker.register("/static/app.js"))];
        }"""), ["TypeError"] * 3)

    expected_complaints = ("This document requires 'Trusted", "Refused to", "Creating a TrustedTypePolicy")


class UpdateTest(BrowserTestCase):
    """The service of a copy of the project, whose page can become another."""

    def start_service(self, port: int = 0) -> None:
        """Start the copy's service, on the store that it had."""
        self.page_folder = self.folder / "project" / "taskservice" / "tornado" / "static" / "page"
        if not self.page_folder.exists():
            copy_project(self.folder)
        config = write_config(self.folder, {"memory": None})
        self.service = self.stack.enter_context(started(
            *SERVER, "--config", str(config), "--port", str(port), cwd=self.folder / "project"))
        self.port = self.service.port

    def test_point_11_the_worker_updates_itself_with_the_page(self) -> None:
        page = self.open(service_workers="allow")
        self.wait_for(page, "navigator.serviceWorker.ready.then(() => true)")
        [before] = page.evaluate("caches.keys()")
        self.stop_service()
        index = self.page_folder / "index.html"
        index.write_text(index.read_text("utf-8").replace("<h1>Tasks</h1>", "<h1>New tasks</h1>"), "utf-8")
        self.start_service(self.port)
        page.reload()
        heading = page.get_by_role("heading", name="New tasks")
        self.see(heading).to_be_visible()
        self.wait_for(page, "(old) => caches.keys().then((all) => all.length === 1 && all[0] !== old)", arg=before)
        self.stop_service()
        page.reload()
        self.see(page.locator("#away")).to_be_visible()
        self.see(heading).to_be_visible()


class PlainHttpTest(BrowserTestCase):

    engine = "sqlite"
    sections = {"http": {"hosts": ["tasks.example", "localhost"]}}

    def test_point_11_without_https_the_page_says_so_once_and_all_else_works(self) -> None:
        page = self.open(host="tasks.example")
        toast = page.locator("#toast")
        self.see(toast).to_contain_text("This address is not https: the page works, but does not open without")
        self.assertEqual(page.evaluate("[isSecureContext, typeof navigator.serviceWorker, typeof crypto.randomUUID]"),
                         [False, "undefined", "undefined"])
        self.create("Bread")
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see_titles(page, "Milk", "Bread")
        self.see_saved(page)
        another = self.open_tab(page.context, host="tasks.example")
        self.tick(another, "Bread").click()
        self.see_titles(page, "Milk")
        self.stop_service()
        self.tick(page, "Milk").click()
        self.see(page.locator("#away-text")).to_contain_text("1 change waits to be saved.")
        self.start_service(self.port)
        self.see_saved(page)
        self.see_stored(lambda: [task.get("completed") for task in self.stored() if task["title"] == "Milk"], [True])
        page.reload()
        self.see_live(page)
        self.see(toast).to_be_hidden()


if __name__ == "__main__":
    unittest.main()
