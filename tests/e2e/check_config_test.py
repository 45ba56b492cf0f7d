"""`--check-config` tells what is wrong with a config, and ends; it serves and stores nothing."""

import io
import socket
import subprocess
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path

from taskservice.tornado.server import main
from tests.e2e.processes import SERVER, run
from tests.support import ROOT, logging_put_back


class CheckConfigTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.config = self.folder / "config.yaml"

    def check(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Check a config."""
        self.config.write_text(text, "utf-8")
        return run(*SERVER, "--config", self.config, "--check-config", *options)

    def check_here(self, text: str, *options: str) -> tuple[int, str]:
        """Check a config in this process; return the exit code, and what was said."""
        self.config.write_text(text, "utf-8")
        with logging_put_back(), redirect_stderr(io.StringIO()) as said:
            code = main(["--config", str(self.config), "--check-config", *options])
        return code, said.getvalue()

    def test_the_configs_of_the_project_are_right(self) -> None:
        for file in sorted((ROOT / "configs").iterdir()):
            self.assertEqual(self.check_here(file.read_text("utf-8")), (0, ""), file)
        done = run("./run.py", "serve", "--config", ROOT / "configs/todoList-serve.yaml", "--check-config")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_it_needs_no_port_and_makes_no_store(self) -> None:
        store = self.folder / "tasks.db"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = self.check(
                f"task-db: {{sqlite: {store}}}", "--port", str(taken.getsockname()[1]), "--host", "127.0.0.1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(store.exists())

    def test_what_is_wrong_is_told_in_one_line(self) -> None:
        for text, said in (
                ("http: {max-boddy: 1}", "http.max-boddy: unknown key, did you mean max-body"),
                ("http: {header-timeout: 0}", "http.header-timeout: expected more than 0, got 0"),
                ("http: {server: apache}", "http.server: 'apache' is not one of"),
                ("http: {cors-origins: ['*']}",
                 "http.cors-origins.0: expected the like of https://app.example.com, got '\\*'"),
                ("http: {tls: {certificate: /none, key: /none}}", "http.tls.certificate: /none: No such file"),
                ("http: {tls: {certificate: /none}}", "http.tls: expected the key 'key'"),
                ("auth: {tokens: [{name: a, sha256: abc, scope: read}]}", "auth.tokens.0.sha256: .*, got 'abc'"),
                ("auth: {tokens: [{name: a b, sha256: %s, scope: read}]}" % ("0" * 64), "auth.tokens.0.name"),
                ("auth: {tokens: [{name: a, sha256: %s, scope: all}]}" % ("a" * 64), "auth.tokens.0.scope"),
                ("task-db: {mysql: x}", "task-db.mysql: unknown key"),
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
