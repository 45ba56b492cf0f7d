"""A service under a path of an nginx that has another one at the root: what `docs/operating.md` shows for it."""

import json
import re
import sys
import unittest
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin

from tests.company.harness import TASK, ProxyCase, needs_nginx
from tests.company.proxies import nginx
from tests.contract import quick_folder
from tests.helpers.app import ROOT
from tests.helpers.browser import BrowserTestCase
from tests.helpers.postgres import free_port
from tests.helpers.processes import run
from tests.helpers.raw import Peer, request
from tests.helpers.running import running

COMMAND = (sys.executable, str(ROOT / "run.py"))


class BasePathTest(ProxyCase):

    def setUp(self) -> None:
        super().setUp()
        text = (ROOT / "docs" / "operating.md").read_text("utf-8")
        location = re.search(r"^ *(location /todo/ {.*?})$", text, re.M | re.S)
        assert location is not None
        self.service, other = self.start("first", **{"base-path": "/todo"}), self.start("second")
        self.port = self.enterContext(nginx(
            f"server {{ listen 80; {location[1].replace('8080', str(self.service.port))}"
            f" location / {{ proxy_pass http://127.0.0.1:{other.port}; }} }}"))
        self.client = self.enterContext(closing(Peer(self.port)))

    @needs_nginx
    def test_addresses_lead_back_to_the_service(self) -> None:
        code, headers, _ = self.client.ask("POST", "/todo/tasks", TASK)
        self.assertEqual(code, 201)
        self.assertEqual(json.loads(self.client.ask("GET", headers["location"])[2]), {"title": "a"})
        self.client.ask("POST", "/todo/tasks", TASK)
        link = self.client.ask("GET", "/todo/tasks?limit=1")[1]["link"]
        self.assertEqual(self.client.ask("GET", link[1:].partition(">")[0])[0], 200)
        self.assertRegex(self.client.ask("GET", "/todo")[1]["location"], "(^|[^/])/todo/$")
        for page in "/todo/", "/todo/docs":
            for path in re.findall(r'(?:src|href)="([^"#:]+)"', self.client.ask("GET", page)[2].decode()):
                self.assertEqual(self.client.ask("GET", urljoin(page, path))[0], 200, path)

    @needs_nginx
    def test_the_service_sees_the_name_and_the_address_of_the_client(self) -> None:
        name = "tasks.example.com"
        code, _, _ = self.client.ask("POST", "/todo/tasks", TASK, Host=name, Origin=f"http://{name}")
        self.assertEqual(code, 201)
        self.assertEqual(self.client.ask("GET", "/todo/tasks", Host="evil.example.com")[0], 421)
        self.client.ask("GET", "/todo/tasks?q=mine", X_Forwarded_For="1.1.1.1, 203.0.113.7")
        self.assertIn('ip="203.0.113.7"', self.service.wait_for_line(r'uri="/todo/tasks\?q=mine".*"RESPONSE"'))

    @needs_nginx
    def test_an_event_stream(self) -> None:
        with closing(Peer(self.port)) as stream:
            stream.send(request("GET", "/todo/changes", Accept="text/event-stream"))
            stream.read_until(b"retry:")
            self.client.ask("POST", "/todo/tasks", TASK)
            stream.read_until(b"data:")

    @needs_nginx
    def test_export_and_import(self) -> None:
        self.client.ask("POST", "/todo/tasks", TASK)
        file, url = self.folder / "tasks.ndjson", f"http://127.0.0.1:{self.port}/todo"
        for command, said in ("export", "exported 1 task"), ("import", "imported 0 tasks, 1 already imported"):
            done = run(*COMMAND, command, file, "--url", url)
            self.assertEqual((done.returncode, done.stdout.strip()), (0, said), done.stderr)


@needs_nginx
class SharedOriginTest(BrowserTestCase):
    """A browser keeps what belongs to an origin, here that of two services."""

    engine = "sqlite"
    sections = {"http": {"base-path": "/todo"}}

    def setUp(self) -> None:
        super().setUp()
        folder = Path(self.enterContext(quick_folder()))
        other = self.enterContext(running(folder, {"memory": None}, http={"base-path": "/two"}))
        self.first, locations = self.port, "".join(
            f"location {path}/ {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; }}"
            for path, port in (("/todo", self.port), ("/two", other.port)))
        self.port = self.proxy = self.enterContext(nginx(f"server {{ listen 80; {locations} }}"))

    def start_service(self, port: int = 0) -> None:
        """It comes back on the same port, so on one that the system gives to nobody meanwhile."""
        super().start_service(port or free_port())

    def test_the_page_is_live_again_after_the_proxy_has_answered_for_the_service(self) -> None:
        page = self.open("/todo/")
        with page.expect_response(lambda answer: answer.url.endswith("/todo/changes") and answer.status == 502):
            self.stop_service()
        self.see(page.locator("#connection")).to_have_attribute("data-state", "away")
        self.start_service(self.first)
        self.see_live(page)
        self.port = self.proxy
        self.assertEqual(self.ask("POST", "/todo/tasks", {"title": "Milk"}).status, 201)
        self.see_titles(page, "Milk")

    def test_what_waits_to_be_saved_is_not_sent_to_the_other_service(self) -> None:
        page = self.open("/todo/")
        self.stop_service()
        page.get_by_label("New task").fill("Milk")
        page.keyboard.press("Enter")
        self.see(page.locator("#connection")).to_have_attribute("data-unsaved", "1")
        window = page.context
        page.close()
        other = window.new_page()
        other.goto(f"http://localhost:{self.proxy}/two/")
        self.see_live(other)
        self.see_titles(other)
        self.start_service(self.first)
        again = window.new_page()
        again.goto(f"http://localhost:{self.proxy}/todo/")
        self.see_live(again)
        self.see_titles(again, "Milk")
        self.see_saved(again)
        self.assertIn(b"Milk", self.ask("GET", "/todo/tasks").body)


if __name__ == "__main__":
    unittest.main()
