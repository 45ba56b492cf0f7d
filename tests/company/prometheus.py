"""A real Prometheus that scrapes the service, with the alert rules of deploy/."""

import json
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.helpers.app import ROOT
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, environment

MONITORING = ROOT / "deploy" / "monitoring"

needs_prometheus = unittest.skipUnless(shutil.which("prometheus"), "needs prometheus")


@contextmanager
def prometheus(*ports: int) -> Iterator[str]:
    """Run a Prometheus that scrapes ports each second; give its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
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


def asked(url: str, expression: str) -> list[Any]:
    """Return the result of a query now; nothing while Prometheus starts."""
    try:
        with urlopen(f"{url}/api/v1/query?{urlencode({'query': expression})}", timeout=PATIENCE) as answer:
            result: Mapping[str, Any] = json.load(answer)
    except OSError as error:
        assert not (isinstance(error, HTTPError) and error.code < 500), f"{error}: {expression}"
        return []
    assert result["status"] == "success", result
    return list(result["data"]["result"])
