"""The manifest for Kubernetes: valid by Kubernetes' own schemas, and one with the service."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

import yaml

from taskservice.config import parse_config
from taskservice.tornado.options import parse_arguments
from taskservice.tornado.workers import CLOSING_TIME
from tests.helpers.app import ROOT

MANIFEST = ROOT / "deploy" / "kubernetes.yaml"


class KubernetesTest(unittest.TestCase):

    def setUp(self) -> None:
        self.documents = list(yaml.safe_load_all(MANIFEST.read_text("utf-8")))
        self.by_kind: dict[str, Any] = {document["kind"]: document for document in self.documents}
        self.pod = self.by_kind["Deployment"]["spec"]["template"]["spec"]
        [self.container] = self.pod["containers"]
        [(self.file, self.config)] = self.by_kind["ConfigMap"]["data"].items()

    def test_each_document_is_valid(self) -> None:
        try:
            from kubernetes_validate import validate
        except ModuleNotFoundError:
            self.skipTest("needs kubernetes-validate (requirements-dev.txt)")
        self.assertEqual(
            set(self.by_kind), {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"})
        for document in self.documents:
            validate(document, "1.33", strict=True)
        with self.assertRaises(Exception):
            validate({**self.documents[1], "spec": {"replicas": "two"}}, "1.33", strict=True)

    def test_selectors_and_names_fit(self) -> None:
        labels = self.by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
        for selector in (self.by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
                         self.by_kind["Service"]["spec"]["selector"],
                         self.by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]):
            self.assertEqual(selector, labels)
        self.assertEqual({mount["name"] for mount in self.container["volumeMounts"]},
                         {volume["name"] for volume in self.pod["volumes"]})

    def test_the_process_finds_its_config_and_listens_where_the_probes_ask(self) -> None:
        environment = {entry["name"]: entry["value"] for entry in self.container["env"]}
        options = parse_arguments(self.container["args"], environment=environment)
        places = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        self.assertEqual(str(options.config), f"{places['config']}/{self.file}")
        self.assertEqual((options.host, options.port), ("0.0.0.0", self.container["ports"][0]["containerPort"]))
        self.assertIn(f"{places['database']}/dsn", self.config)
        with tempfile.NamedTemporaryFile("w") as secret:
            print("postgresql://taskservice:a%2Fb@database:5432/taskservice", file=secret, flush=True)
            config = parse_config(self.config.replace(f"{places['database']}/dsn", secret.name), {})
        for probe, path in (("startupProbe", "/readyz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            asked = self.container[probe]["httpGet"]
            self.assertEqual(asked, {"path": path, "port": self.container["ports"][0]["name"]})
        needed = config.http.shutdown_delay + config.http.drain_timeout + CLOSING_TIME
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], needed)
        ready = self.container["readinessProbe"]
        self.assertGreater(config.http.shutdown_delay, ready["periodSeconds"] * ready["failureThreshold"])

    def test_it_runs_with_as_few_rights_as_it_needs(self) -> None:
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        user = str(self.pod["securityContext"]["runAsUser"])
        self.assertIn(f"USER {user}\n", (Path(ROOT) / "deploy" / "Dockerfile").read_text("utf-8"))
        self.assertEqual(self.container["securityContext"], {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
        self.assertIs(self.pod["automountServiceAccountToken"], False)


if __name__ == "__main__":
    unittest.main()
