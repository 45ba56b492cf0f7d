"""The service configured by environment variables, as containers are."""

import tempfile
import unittest
from pathlib import Path
from urllib.request import urlopen

from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess

CONFIG = """
service: {name: "${NAME}"}
task-db: {sqlite: "${FOLDER}/tasks.db"}
http: {max-body: "${MAX_BODY:-100}"}
logging:
  version: 1
  formatters: {own: {style: "$", format: "${levelname}: ${message}"}}
  handlers: {console: {class: logging.StreamHandler, stream: ext://sys.stdout, formatter: own}}
  root: {level: INFO, handlers: [console]}
"""


class EnvironmentTest(unittest.TestCase):

    def test_the_environment_alone_starts_it(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "config.yaml").write_text(CONFIG, "utf-8")
        variables = {
            "TASKSERVICE_CONFIG": str(folder / "config.yaml"), "TASKSERVICE_LISTEN_HOST": "127.0.0.1",
            "TASKSERVICE_LISTEN_PORT": "0", "TASKSERVICE_WORKERS": "2", "FOLDER": str(folder), "NAME": "My own",
            "TASKSERVICE_PORT": "tcp://10.0.0.1:80"}  # as Kubernetes sets it for a Service of this name
        service = ServiceProcess(SERVER, variables=variables)
        self.addCleanup(service.close)
        self.assertRegex(service.wait_for_line("STARTING"), r'^INFO: .*service_name="My own".* workers=2$')
        with urlopen(f"{service.url}/readyz", timeout=PATIENCE) as answer:
            self.assertEqual(answer.status, 200)
        self.assertEqual(service.stop(), 0)
        self.assertTrue((folder / "tasks.db").exists())
