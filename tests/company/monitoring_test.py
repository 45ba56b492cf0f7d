"""Alert rules and dashboard, with Prometheus' own tools and a real Prometheus that scrapes the service."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.helpers import postgres
from tests.helpers.api import wait_until
from tests.helpers.app import ROOT
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, environment
from tests.helpers.running import running

MONITORING = ROOT / "deploy" / "monitoring"
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

    @contextmanager
    def prometheus(self, *ports: int) -> Iterator[str]:
        """Run a Prometheus that scrapes ports each second; give its URL."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        port = free_port()
        config = Path(folder) / "prometheus.yml"
        config.write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(MONITORING / "alerts.yaml")],
            "scrape_configs": [{
                "job_name": "taskservice",
                "static_configs": [{"targets": [f"127.0.0.1:{target}" for target in ports]}]}]}), "utf-8")
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], env=environment())
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def asked(self, url: str, expression: str) -> list[Any]:
        """Return the result of a query now; nothing while Prometheus starts."""
        try:
            with urlopen(f"{url}/api/v1/query?{urlencode({'query': expression})}", timeout=PATIENCE) as answer:
                result: Mapping[str, Any] = json.load(answer)
        except ConnectionError:
            return []
        except OSError as error:
            self.assertNotIn("HTTP Error 4", str(error), expression)
            return []
        self.assertEqual(result["status"], "success")
        return list(result["data"]["result"])

    @needs_promtool
    @unittest.skipUnless(shutil.which("prometheus"), "needs prometheus")
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
        with self.prometheus(*(service.port for service in services)) as server:
            for panel in json.loads((MONITORING / "grafana.json").read_text("utf-8"))["panels"]:
                for target in panel["targets"]:
                    with self.subTest(panel["title"], expr=target["expr"]):
                        expression = target["expr"].replace("$__rate_interval", "10s").replace("$instance", ".*")
                        absent = '5..' in expression or '"refused"' in expression  # there is none, so far
                        if absent or "postgres" in expression and not has_postgres:
                            self.asked(server, expression)
                            continue

                        def shown() -> bool:
                            use()
                            return bool(self.asked(server, expression))
                        wait_until(shown, f"{panel['title']} shows something")
            for rule in rules():
                for name in METRIC.findall(rule["expr"]):
                    self.assertTrue(self.asked(server, name), name)


if __name__ == "__main__":
    unittest.main()
