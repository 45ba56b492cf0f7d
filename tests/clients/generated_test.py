"""Clients made of /openapi.json by others' generators: they compile in strict mode and run a session, unmodified."""

import os
import shutil
import sys
import unittest
from importlib.util import find_spec
from pathlib import Path

from tests.clients.harness import HERE, ClientTestCase
from tests.helpers.npm import need_command, node_modules


class TypeScriptTestCase(ClientTestCase):
    """A project of TypeScript in the folder, with the modules of package.json."""

    @classmethod
    def setUpClass(cls) -> None:
        modules = node_modules(HERE)
        super().setUpClass()
        (cls.folder / "node_modules").symlink_to(modules)
        for name in ("package.json", "tsconfig.json"):
            shutil.copy(HERE / name, cls.folder)

    def check_compiled_session(self) -> None:
        """Compile what is in the folder in strict mode; run its session."""
        self.run_command("node_modules/.bin/tsc")
        self.check_session(need_command("node", "nodejs"), "compiled/session.js")


class OpenAPIFetchTest(TypeScriptTestCase):

    def test_session(self) -> None:
        self.run_command("node_modules/.bin/openapi-typescript", "openapi.json", "-o", "schema.ts")
        shutil.copy(HERE / "fetch" / "session.ts", self.folder)
        self.check_compiled_session()


class HeyAPITest(TypeScriptTestCase):

    def test_session(self) -> None:
        for name in ("openapi-ts.config.js", "session.ts"):
            shutil.copy(HERE / "hey" / name, self.folder)
        self.run_command("node_modules/.bin/openapi-ts")
        self.check_compiled_session()


class OpenAPIGeneratorGoTest(ClientTestCase):
    """In GOPATH mode: the client needs Go's standard library alone, and no module is fetched."""

    @classmethod
    def setUpClass(cls) -> None:
        need_command("java", "default-jre-headless")
        need_command("go", "golang-go")
        if find_spec("openapi_generator_cli") is None:
            raise unittest.SkipTest("needs the package openapi-generator-cli (requirements-dev.txt)")
        super().setUpClass()

    def test_session(self) -> None:
        self.run_command(
            Path(sys.executable).with_name("openapi-generator-cli"), "generate", "-i", "openapi.json", "-g", "go",
            "-o", "src/todolist", "--additional-properties=packageName=todolist,withGoMod=false")
        shutil.rmtree(self.folder / "src" / "todolist" / "test")  # its examples want a module of testify
        shutil.copytree(HERE / "go", self.folder / "src" / "session")
        environment = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(self.folder),
                       "GOCACHE": str(self.folder / "cache")}
        self.run_command("go", "vet", "todolist", "session", **environment)
        self.run_command("go", "build", "-o", "session", "session", **environment)
        self.check_session(self.folder / "session")


class OpenAPIPythonClientTest(ClientTestCase):

    @classmethod
    def setUpClass(cls) -> None:
        if find_spec("openapi_python_client") is None:
            raise unittest.SkipTest("needs the package openapi-python-client (requirements-dev.txt)")
        super().setUpClass()

    def test_session(self) -> None:
        self.run_command(
            sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json",
            "--output-path", "generated")
        shutil.copy(HERE / "python" / "session.py", self.folder)
        path = {"PYTHONPATH": str(self.folder / "generated"), "MYPYPATH": str(self.folder / "generated")}
        self.run_command(
            sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "session.py", "generated", **path)
        self.check_session(sys.executable, "session.py", **path)


class LintersTest(ClientTestCase):
    """Errors and warnings alike; what is excused is in the linters' configs, with the reason."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.modules = node_modules(HERE)
        super().setUpClass()

    modules: Path

    def test_spectral(self) -> None:
        self.run_command(
            self.modules / ".bin" / "spectral", "lint", "openapi.json", "--ruleset", HERE / "spectral.yaml",
            "--fail-severity", "hint")

    def test_redocly(self) -> None:
        self.run_command(
            self.modules / ".bin" / "redocly", "lint", "openapi.json", "--config", HERE / "redocly.yaml",
            "--max-problems", "100", REDOCLY_TELEMETRY="off", REDOCLY_SUPPRESS_UPDATE_NOTICE="true")


del TypeScriptTestCase


if __name__ == "__main__":
    unittest.main()
