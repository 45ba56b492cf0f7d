"""deploy/kubernetes.yaml played without a cluster: its config, its user, a read-only root, probes by address.

As there, no file can be written but those under /tmp, where there is one. The user may read the project wherever it is.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import yaml

from tests.helpers import postgres
from tests.helpers.app import ROOT
from tests.helpers.api import wait_until
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, children
from tests.helpers.raw import peer

NEEDED = ("unshare", "setpriv", "mount")
IN_A_POD = """
set -e
mount --make-rprivate /
[ -z "$TMP_SIZE" ] || mount -t tmpfs -o "size=$TMP_SIZE" tmpfs /tmp
mount -o remount,bind,ro /
for other in /tmp /dev/shm; do  # where the machine has file systems of their own there
    if [ -z "$TMP_SIZE" ] && mountpoint -q "$other"; then mount -o remount,bind,ro "$other"; fi
done
[ ! -w /var/tmp ]
exec setpriv --reuid "$1" --regid "$2" --clear-groups --no-new-privs --inh-caps=-all,+dac_read_search \
    --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search "${@:3}"
"""


@unittest.skipIf(os.geteuid() != 0, "needs root, to have a root that is read-only")
@unittest.skipIf(any(shutil.which(name) is None for name in NEEDED), f"needs {', '.join(NEEDED)}")
@unittest.skipIf(postgres.available(), str(postgres.available()))
class PodTest(unittest.TestCase):

    def setUp(self) -> None:
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("may not make a mount namespace")
        if any(str(path).startswith("/tmp/") for path in (ROOT, Path(sys.prefix).resolve())):
            self.skipTest("the project is in /tmp, which a pod has for itself")
        # Not in /tmp, which the pod has for itself.
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(dir="/var/tmp")))
        documents = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8")))
        by_kind: dict[str, Any] = {document["kind"]: document for document in documents}
        self.pod = by_kind["Deployment"]["spec"]["template"]["spec"]
        [self.container] = self.pod["containers"]
        [config] = by_kind["ConfigMap"]["data"].values()
        secret = self.folder / "dsn"
        secret.write_text(postgres.fresh_database(), "utf-8")
        self.config = self.folder / "taskservice.yaml"
        self.config.write_text(config.replace("/run/secrets/taskservice/dsn", str(secret)), "utf-8")

    def start(self, *options: str, tmp: bool) -> ServiceProcess:
        """Start the container's process."""
        self.port = free_port()
        user = self.pod["securityContext"]
        variables = {entry["name"]: entry["value"] for entry in self.container["env"]}
        service = ServiceProcess(
            ("unshare", "--mount", "bash", "-c", IN_A_POD, "bash", str(user["runAsUser"]), str(user["runAsGroup"]),
             *SERVER, *self.container["args"], *options),
            variables={**variables, "TASKSERVICE_CONFIG": str(self.config), "TASKSERVICE_LISTEN_PORT": str(self.port),
                       "TASKSERVICE_PORT": f"tcp://10.0.0.1:{self.port}", "TMP_SIZE": "16m" if tmp else ""})
        self.addCleanup(service.close)
        return service

    def assert_serves_until_it_is_stopped(self, service: ServiceProcess) -> None:
        """Probes come by the address of the pod; a stop is announced on /readyz, and then drains."""
        service.wait_for_line("STARTING")
        self.assertEqual(self.probe("/readyz"), 200)
        self.assertEqual(self.probe("/healthz"), 200)
        with peer(self.port) as client:
            self.assertEqual(client.ask("POST", "/tasks", b'{"title": "a"}', Host="tasks.example.com")[0], 201)
            self.assertEqual(client.ask("GET", "/tasks", b"", Host="evil.example.com")[0], 421)
        for pid in (service.process.pid, *children(service.process.pid)):
            [uids] = [line.split()[1:] for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
                      if line.startswith("Uid:")]
            self.assertEqual(set(uids), {str(self.pod["securityContext"]["runAsUser"])})
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: self.probe("/readyz") == 503, "it is not ready")
        self.assertEqual(self.probe("/healthz"), 200)
        self.assertEqual(service.process.wait(PATIENCE), 0)
        service.close()
        self.assertEqual(service.stderr, [])

    def probe(self, path: str) -> int:
        """Ask as the kubelet does."""
        with peer(self.port) as client:
            return client.ask("GET", path, b"", Host=f"127.0.0.1:{self.port}", User_Agent="kube-probe/1.33")[0]

    def test_one_process_needs_no_tmp(self) -> None:
        for tmp in (True, False):
            with self.subTest(tmp=tmp):
                self.assert_serves_until_it_is_stopped(self.start(tmp=tmp))

    def test_workers(self) -> None:
        service = self.start("--workers", "2", tmp=True)
        self.assert_serves_until_it_is_stopped(service)

    def test_workers_without_tmp_say_what_is_missing(self) -> None:
        service = self.start("--workers", "2", tmp=False)
        self.assertEqual(service.process.wait(PATIENCE), 1)
        service.close()
        [line] = service.stderr
        self.assertRegex(line, "^taskservice: .*temporary directory")


if __name__ == "__main__":
    unittest.main()
