"""Alert rules and dashboard, with Prometheus' own tools and a real Prometheus that scrapes the service."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from tests.company.prometheus import MONITORING, asked, needs_prometheus, prometheus
from tests.helpers import postgres
from tests.helpers.api import wait_until
from tests.helpers.processes import PATIENCE
from tests.helpers.running import running

METRIC = re.compile(r"\b(?:taskservice|process)_\w+")

needs_promtool = unittest.skipUnless(shutil.which("promtool"), "needs promtool (Debian: prometheus)")


def promtool(*arguments: str | Path, text: str = "") -> str:
    """Return what promtool says; fails where it finds something wrong."""
    done = subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, timeout=PATIENCE, cwd=MONITORING)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    [group] = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    return list(group["rules"])


class RulesTest(unittest.TestCase):

    @needs_promtool
    def test_they_are_valid_and_fire_when_they_should(self) -> None:
        promtool("check", "rules", "alerts.yaml")
        self.assertIn("SUCCESS", promtool("test", "rules", "alerts_test.yaml"))

    def test_each_is_tested_and_says_what_to_look_at(self) -> None:
        tested = (MONITORING / "alerts_test.yaml").read_text("utf-8")
        for rule in rules():
            self.assertRegex(tested, f"alertname: {rule['alert']}\n *exp_alerts:\n *- exp_labels")
            self.assertTrue(rule["annotations"]["description"], rule["alert"])


class ScrapedTest(unittest.TestCase):

    @needs_promtool
    @needs_prometheus
    def test_every_panel_of_the_dashboard_shows_something(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        sqlite = {"sqlite": str(folder / "tasks.db")}
        services = [self.enterContext(running(folder, sqlite, "--workers", "2"))]
        has_postgres = postgres.available() is None
        if has_postgres:
            services.append(self.enterContext(running(folder, {"postgres": postgres.fresh_database()})))
        urls = [f"http://127.0.0.1:{service.port}" for service in services]

        def use() -> None:
            """Read, write, and fail, so that each series is there and grows."""
            for url in urls:
                for path, body in (("/tasks", None), ("/tasks", b'{"title": "a"}'), ("/tasks?q=a", None)):
                    with urlopen(f"{url}{path}", body, timeout=PATIENCE):
                        pass

        use()
        for url in urls:
            with urlopen(f"{url}/metrics", timeout=PATIENCE) as answer:
                metrics = answer.read().decode()
            promtool("check", "metrics", text=metrics)
        with prometheus(*(service.port for service in services)) as server:
            for panel in json.loads((MONITORING / "grafana.json").read_text("utf-8"))["panels"]:
                for target in panel["targets"]:
                    with self.subTest(panel["title"], expr=target["expr"]):
                        expression = target["expr"].replace("$__rate_interval", "10s").replace("$instance", ".*")
                        absent = '5..' in expression or '"refused"' in expression  # there is none, so far
                        if absent or "postgres" in expression and not has_postgres:
                            asked(server, expression)
                            continue

                        def shown() -> bool:
                            use()
                            return bool(asked(server, expression))
                        wait_until(shown, f"{panel['title']} shows something")
            for rule in rules():
                for name in METRIC.findall(rule["expr"]):
                    self.assertTrue(asked(server, name), name)


if __name__ == "__main__":
    unittest.main()
