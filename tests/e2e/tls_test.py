"""HTTPS as a user sees it: curl, and a service whose config names a certificate."""

import shutil
import tempfile
import unittest
from pathlib import Path

from tests.helpers.processes import SERVER, run, shell
from tests.helpers.running import make_certificate, running, write_config


class TLSTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.tls = make_certificate(self.folder)

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_curl_speaks_it_with_the_certificate_only(self) -> None:
        service = self.enterContext(running(self.folder, {"memory": None}, http={"tls": self.tls}))
        url = f"https://localhost:{service.port}/tasks"
        done = shell(f"curl -sS --cacert {self.tls['certificate']} -d '{{\"title\": \"a\"}}' -i {url}")
        self.assertIn("201 Created", done.stdout)
        done = shell(f"curl -sS --cacert {self.tls['certificate']} {url}")
        self.assertIn('{"title": "a"}', done.stdout)
        self.assertEqual(shell(f"curl -sS {url}").returncode, 60, "nobody vouches for the certificate")
        done = shell(f"curl -sS --cacert {self.tls['certificate']} --tls-max 1.1 {url}")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(service.stop(), 0)

    def test_a_certificate_that_cannot_be_used_ends_the_start(self) -> None:
        config = write_config(
            self.folder, {"memory": None}, http={"tls": {**self.tls, "key": "/nowhere.key"}})
        done = run(*SERVER, "--config", config, "--port", "0")
        self.assertEqual((done.returncode, done.stdout.count("STARTING")), (2, 0))
        [line] = done.stderr.splitlines()
        self.assertRegex(line, "http.tls.key: .*/nowhere.key: No such file")


if __name__ == "__main__":
    unittest.main()
