"""`--check-config` says what is wrong with a config, or what a start would do, and ends; it changes nothing."""

import io
import logging
import os
import socket
import subprocess
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import yaml

from taskservice.tornado.server import main
from tests.helpers import postgres
from tests.helpers.app import ROOT, logging_put_back
from tests.helpers.postgres import free_port
from tests.helpers.processes import SERVER, run
from tests.helpers.running import make_certificate


HANDLERS: dict[str, dict[str, object]] = {
    "plain": {"class": "logging.FileHandler"}, "old": {"class": "logging.FileHandler", "mode": "w"},
    "watched": {"class": "logging.handlers.WatchedFileHandler"},
    "rotating": {"class": "logging.handlers.RotatingFileHandler", "maxBytes": 1},
    "timed": {"()": "logging.handlers.TimedRotatingFileHandler", "when": "midnight"}}
"""Handlers that write to a file; one of them empties it first."""


class OwnHandler(logging.Handler):
    """A user's own, for a config to name."""

    def __init__(self, file: str) -> None:
        raise AssertionError(f"it was made, of {file}")


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what is in a folder, with what shows a change."""
    found = {str(path): path.stat() for path in [folder, *folder.rglob("*")]}
    return {path: (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found.items()}


class CheckConfigTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.config = self.folder / "config.yaml"

    def check(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Check a config."""
        self.config.write_text(text, "utf-8")
        return run(*SERVER, "--config", self.config, "--check-config", *options)

    def test_a_fifo_is_named_and_not_opened(self) -> None:
        os.mkfifo(self.folder / "log")
        handler = {"class": "logging.FileHandler", "filename": str(self.folder / "log")}
        section = {"version": 1, "handlers": {"file": handler}, "root": {"handlers": ["file"]}}
        self.assertEqual(self.check_here(yaml.safe_dump({"task-db": {"memory": None}, "logging": section})), (0, ""))
        self.assertIn(f"note: logging.handlers.file: {self.folder}/log is a FIFO: a start waits until somebody reads",
                      self.plan.getvalue())

    def check_here(self, text: str, *options: str) -> tuple[int, str]:
        """Check a config in this process; return the exit code, and what was said of errors."""
        self.config.write_text(text, "utf-8")
        with logging_put_back(), redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()) as self.plan:
            code = main(["--config", str(self.config), "--check-config", *options])
        return code, said.getvalue()

    def test_the_configs_of_the_project_are_right(self) -> None:
        for file in sorted((ROOT / "configs").iterdir()):
            config = file.read_text("utf-8").replace("/tmp/", f"{self.folder}/")
            self.assertEqual(self.check_here(config), (0, ""), file)
        done = run("./run.py", "serve", "--config", ROOT / "configs/todoList-serve.yaml", "--check-config")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("todoList-serve.yaml: ok\n", done.stdout)

    def test_it_says_what_a_start_would_do(self) -> None:
        made = self.folder / "made"
        made.mkdir()
        (made / "tasks.db").touch()
        for task_db, said in (
                ({"memory": None}, "in memory, gone with the process"),
                ({"fs": str(made)}, f"files in {made}"),
                ({"fs": str(made / "new")}, f"files in {made}/new, which would be made"),
                ({"sqlite": str(made / "tasks.db")}, f"SQLite in {made}/tasks.db"),
                ({"sqlite": str(made / "new.db")}, f"SQLite in {made}/new.db, which would be made"),
                ({"sqlite": str(made / "a/new.db")}, f"SQLite in {made}/a/new.db, which would be made with its folder"),
                ({"postgres": "postgresql://me:secret@localhost:1/none"},
                 "PostgreSQL at localhost:1, which was not asked (--connect)")):
            with self.subTest(task_db):
                options = ("--port", "0", "--host", "127.0.0.1")
                self.assertEqual(self.check_here(yaml.safe_dump({"task-db": task_db}), *options), (0, ""))
                self.assertEqual(self.plan.getvalue().splitlines(), [
                    f"{self.config}: ok", "would serve http://127.0.0.1:0 with 1 process", f"tasks: {said}"])

    def test_a_port_in_use_is_noted_and_no_error(self) -> None:
        """It is run beside the service."""
        store = self.folder / "tasks.db"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.check(f"task-db: {{sqlite: {store}}}", "--port", str(port), "--host", "127.0.0.1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"note: port {port} on 127.0.0.1 is in use, as it is while the service runs\n", done.stdout)
        self.assertFalse(store.exists())

    def test_a_host_that_is_none_is_noted(self) -> None:
        self.assertEqual(self.check_here("{}", "--host", "no.such.host.invalid"), (0, ""))
        self.assertIn("note: port 8080 on no.such.host.invalid cannot be had: ", self.plan.getvalue())

    def test_a_place_where_no_store_can_be_is_an_error(self) -> None:
        file = self.folder / "file"
        file.write_text("no database, and long enough", "utf-8")
        for task_db, said in (
                ({"fs": str(file)}, "file is not a folder"), ({"fs": str(file / "a" / "b")}, "file is not a folder"),
                ({"sqlite": str(file / "tasks.db")}, "file is not a folder"),
                ({"sqlite": str(file)}, "file is no SQLite database"),
                ({"sqlite": str(self.folder)}, "Is a directory")):
            with self.subTest(task_db):
                code, error = self.check_here(yaml.safe_dump({"task-db": task_db}))
                self.assertEqual(code, 1)
                self.assertRegex(error, said)
                self.assertEqual(self.plan.getvalue(), "")

    @unittest.skipIf(os.getuid() == 0, "root may write everywhere")
    def test_a_folder_without_the_right_to_write_it(self) -> None:
        place = self.folder / "read-only"
        place.mkdir(0o500)
        for task_db in ({"fs": str(place)}, {"sqlite": str(place / "new" / "tasks.db")}):
            code, error = self.check_here(yaml.safe_dump({"task-db": task_db}))
            self.assertEqual(code, 1)
            self.assertIn("read-only may not be written to", error)

    def test_a_database_server_is_asked_on_demand(self) -> None:
        config = yaml.safe_dump({"task-db": {"postgres": f"postgresql://me@127.0.0.1:{free_port()}/none"}})
        self.assertEqual(self.check_here(config)[0], 0)
        code, error = self.check_here(config, "--connect")
        self.assertEqual(code, 1)
        self.assertRegex(error, "PostgreSQL at .* does not listen there")

    def test_a_database_that_is_asked_is_left_as_it_is(self) -> None:
        if (reason := postgres.available()) is not None:
            self.skipTest(reason)
        schema = (dsn := postgres.fresh_database()).rpartition("%3D")[2]
        config = yaml.safe_dump({"task-db": {"postgres": dsn}})
        self.assertEqual(self.check_here(config, "--connect", "--port", "0"), (0, ""))
        self.assertRegex(self.plan.getvalue(), r"at 127\.0\.0\.1:\d+, version .*, whose tables would be made\n\Z")
        server = postgres.shared_server()
        self.assertEqual(server.psql(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"), "")

    def test_it_makes_and_changes_nothing(self) -> None:
        place = self.folder / "place"
        place.mkdir()
        tls = make_certificate(place)
        (place / "old.log").write_text("a line\n", "utf-8")
        handlers = {
            name: {**handler, "filename": str(place / f"{name}.log")} for name, handler in HANDLERS.items()}
        logging_section = {"version": 1, "handlers": handlers, "root": {"handlers": list(handlers)}}
        before = everything(place)
        for task_db in (
                {"sqlite": str(place / "new" / "tasks.db")}, {"fs": str(place / "new")},
                {"postgres": "postgresql://nobody@localhost:1/none"}):
            config = yaml.safe_dump({"task-db": task_db, "http": {"tls": tls}, "logging": logging_section})
            with self.subTest(task_db):
                self.assertEqual(self.check_here(config), (0, ""))
                self.assertEqual(everything(place), before)
        done = self.check(config)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(everything(place), before)

    def test_a_log_file_that_could_not_be_written_is_reported_and_not_made(self) -> None:
        for name, said in (("none/a.log", "none/a.log: No such file or directory"), ("", ": Is a directory")):
            file = self.folder / name
            handlers = {"file": {"class": "logging.handlers.WatchedFileHandler", "filename": str(file)}}
            section = {"version": 1, "handlers": handlers, "root": {"handlers": ["file"]}}
            code, error = self.check_here(yaml.safe_dump({"logging": section}))
            self.assertEqual(code, 2)
            self.assertRegex(error, rf"logging: handlers\.file\.filename: .*{said}\n\Z")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["config.yaml"])

    @unittest.skipIf(os.getuid() == 0, "root may write everywhere")
    def test_a_log_file_without_the_right_to_write_it(self) -> None:
        file = self.folder / "a.log"
        file.touch(0o400)
        handlers = {"file": {"class": "logging.FileHandler", "filename": str(file)}}
        code, error = self.check_here(yaml.safe_dump({"logging": {"version": 1, "handlers": handlers}}))
        self.assertEqual(code, 2)
        self.assertRegex(error, r"logging: handlers\.file\.filename: .*a\.log: cannot be written\n\Z")

    def test_a_users_own_handler_is_found_and_not_made(self) -> None:
        for name, code in (("Own", 0), ("None", 2)):
            handlers = {"own": {"()": f"tests.e2e.check_config_test.{name}Handler", "file": "a"}}
            section = {"version": 1, "handlers": handlers, "root": {"handlers": ["own"]}}
            self.assertEqual(self.check_here(yaml.safe_dump({"logging": section}))[0], code)

    def test_what_is_wrong_is_reported_in_one_line(self) -> None:
        for text, said in (
                ("http: {max-boddy: 1}", "http.max-boddy: unknown key, did you mean max-body"),
                ("http: {header-timeout: 0}", "http.header-timeout: expected more than 0, got 0"),
                ("http: {server: apache}", "http.server: 'apache' is not one of"),
                ("http: {cors-origins: ['*']}",
                 "http.cors-origins.0: expected, for example, https://app.example.com, got '\\*'"),
                ("http: {tls: {certificate: /none, key: /none}}", "http.tls.certificate: /none: No such file"),
                ("http: {tls: {certificate: /none}}", "http.tls: expected the key 'key'"),
                ("auth: {tokens: [{name: a, sha256: abc, scope: read}]}", "auth.tokens.0.sha256: .*, got 'abc'"),
                ("auth: {tokens: [{name: a b, sha256: %s, scope: read}]}" % ("0" * 64), "auth.tokens.0.name"),
                ("auth: {tokens: [{name: a, sha256: %s, scope: all}]}" % ("a" * 64), "auth.tokens.0.scope"),
                ("task-db: {mysql: x}", "task-db.mysql: unknown key"),
                ("task-db: {fs: '${NOT_THERE}/tasks'}", "task-db.fs: the environment variable NOT_THERE is not set"),
                ("service: {name: '${file:/none/there}'}", r"service.name: \${file:/none/there}: No such file"),
                ("logging: {version: 1, root: {level: LOUD}}", "logging: .*LOUD"), ("a: [", "not YAML")):
            with self.subTest(text):
                code, error = self.check_here(text)
                self.assertEqual(code, 2)
                [line] = error.splitlines()
                self.assertRegex(line, said)
                self.assertTrue(line.startswith("taskservice: "), line)
        done = self.check("a: b")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"\Ataskservice: .*config.yaml: a: unknown key.*\n\Z")

    def test_workers_need_what_they_can_share(self) -> None:
        code, said = self.check_here("{}", "--workers", "2")
        self.assertEqual(code, 2)
        self.assertRegex(said, "task-db: memory belongs to one process")
        self.assertEqual(
            self.check_here(f"task-db: {{sqlite: {self.folder}/db}}", "--workers", "2"), (0, ""))


if __name__ == "__main__":
    unittest.main()
