"""The main flows of the page in Firefox, which Playwright cannot drive: node/firefox.js does, by WebDriver BiDi."""

import json
import os
import shutil
import signal
import subprocess
import threading
import unittest
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.npm import need_command, node_modules
from tests.helpers.postgres import free_port
from tests.helpers.running import running

NODE = Path(__file__).parent / "node"
STEPS = 20
SECONDS = 600
"""What all of them together may take; each waits for 30 s at most for anything."""


class FirefoxTest(unittest.TestCase):

    def setUp(self) -> None:
        firefox = shutil.which("firefox-esr") or need_command("firefox", "firefox-esr")
        modules = node_modules(NODE)
        self.folder = Path(self.enterContext(quick_folder()))
        for name in ("package.json", "firefox.js"):
            shutil.copy(NODE / name, self.folder)
        (self.folder / "node_modules").symlink_to(modules)
        self.port = free_port()
        self.stack = self.enterContext(ExitStack())
        self.start_service()
        home = self.folder / "home"
        home.mkdir()
        self.environment = {
            **os.environ, "HOME": str(home), "TMPDIR": str(home), "FIREFOX": firefox, "TZ": "Europe/Berlin",
            "SERVICE_URL": f"http://localhost:{self.port}"}

    def start_service(self) -> None:
        self.stack.enter_context(running(self.folder, {"sqlite": str(self.folder / "tasks.db")}, port=self.port))

    def test_points_1_to_14_the_main_flows_work_in_firefox(self) -> None:
        node = need_command("node", "nodejs")
        done = []
        with (self.folder / "errors").open("w+") as errors, subprocess.Popen(
                [node, "firefox.js"], cwd=self.folder, env=self.environment, text=True, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as script:
            assert script.stdin and script.stdout
            timer = threading.Timer(SECONDS, os.killpg, (script.pid, signal.SIGKILL))
            timer.start()
            try:
                for line in script.stdout:
                    name, said = json.loads(line)
                    if name == "service":
                        self.stack.close() if said == "stop" else self.start_service()
                        script.stdin.write("\n")
                        script.stdin.flush()
                        continue
                    done.append(name)
                    with self.subTest(name):
                        self.assertIsNone(said, said)
            finally:
                timer.cancel()
                with suppress(ProcessLookupError):
                    os.killpg(script.pid, signal.SIGKILL)  # Firefox, where the script has failed
            script.wait()
            errors.seek(0)
            self.assertEqual(len(done), STEPS, errors.read())


if __name__ == "__main__":
    unittest.main()
