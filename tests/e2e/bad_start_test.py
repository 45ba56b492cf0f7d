"""What a user reads who starts the service wrongly."""

import re

from tests.helpers.processes import SERVER, run
from tests.helpers.tutorial import TutorialTestCase


class BadStartTest(TutorialTestCase):
    """What cannot be started says why in one line, without a traceback."""

    def assert_fails(self, code: int, said: str, *options: str) -> None:
        done = run(*SERVER, *options)
        self.assertEqual(done.returncode, code, done)
        self.assertEqual(done.stdout, "")
        [line] = done.stderr.splitlines()
        self.assertRegex(line, said)

    def assert_config_fails(self, said: str, old: str, new: str, code: int = 2) -> None:
        """Change the config, and start with it."""
        self.use("memory: null")
        text = self.config.read_text("utf-8")
        self.assertIn(old, text)
        self.config.write_text(text.replace(old, new), "utf-8")
        with self.subTest(new):
            self.assert_fails(
                code, rf"{re.escape(str(self.config))}: {said}|{said}", "--port", "0", "--config",
                str(self.config))

    def test_a_bad_option(self) -> None:
        config = ("--config", str(self.config))
        for options, said in (
                ((), "--config"), ((*config, "--prot", "1"), "--prot"),
                ((*config, "--port", "http"), "--port: expected .* from 0 to 65535, got 'http'"),
                ((*config, "--port", "65536"), "--port.*65536"), ((*config, "--port", "-1"), "--port"),
                ((*config, "--host", ""), "--host: expected a name or an address, got ''")):
            with self.subTest(options):
                self.assert_fails(2, said, *options)

    def test_a_bad_config(self) -> None:
        self.assert_fails(2, "none.yaml: No such file", "--config", str(self.folder / "none.yaml"))
        self.assert_config_fails("task-bd: unknown key, did you mean task-db", "task-db:", "task-bd:")
        self.assert_config_fails("task-db.mysql: unknown key", "memory: null", "mysql: /tmp/x")
        self.assert_config_fails("task-db.fs: expected string, got 3", "memory: null", "fs: 3")
        self.assert_config_fails("service.name: expected string", "name: TodoList", "name: [1]")
        self.assert_config_fails("not YAML", "service:", "service: [")

    def test_a_bad_logging_section(self) -> None:
        self.assert_config_fails(
            "logging: .*Handlr", "class: logging.StreamHandler", "class: logging.StreamHandlr")
        self.assert_config_fails(
            "logging: .*'file'.*No such file", str(self.log), str(self.folder / "none" / "x.log"))
        self.assert_config_fails("logging.version", "version: 1", "version: 2")

    def test_a_folder_that_cannot_be_one(self) -> None:
        (self.folder / "file").touch()
        self.assert_config_fails(
            "file", "memory: null", f"fs: {self.folder / 'file' / 'db'}", code=1)

    def test_a_port_in_use(self) -> None:
        port = str(self.start().port)
        self.assert_fails(
            1, f"port {port} on localhost: is in use", "--port", port, "--config", str(self.config))

    def test_a_host_that_is_none(self) -> None:
        self.assert_fails(
            1, "port 0 on no.such.host.invalid: ", "--port", "0", "--host",
            "no.such.host.invalid", "--config", str(self.config))

    def test_a_folder_that_another_process_uses(self) -> None:
        self.use(f"fs: {self.db}")
        self.start()
        self.assert_fails(
            1, f"another process is using the folder {self.db}", "--port", "0", "--config",
            str(self.config))
