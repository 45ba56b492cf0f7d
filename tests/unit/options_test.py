"""The options of `serve`: the command line, then the environment, then the defaults."""

import io
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from taskservice.tornado.options import parse_arguments

VARIABLES = {"TASKSERVICE_CONFIG": "own.yaml", "TASKSERVICE_LISTEN_HOST": "0.0.0.0",
             "TASKSERVICE_LISTEN_PORT": "8081", "TASKSERVICE_WORKERS": "4"}


class OptionsTest(unittest.TestCase):

    def parsed(self, *argv: str, **environment: str) -> tuple[Path, str, int, int]:
        options = parse_arguments(argv, default_config=Path("default.yaml"), environment=environment)
        return options.config, options.host, options.port, options.workers

    def refused(self, *argv: str, **environment: str) -> str:
        """Return the line of an error that ends the process with code 2."""
        with redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as ended:
            parse_arguments(argv, environment=environment)
        self.assertEqual(ended.exception.code, 2)
        [line] = said.getvalue().splitlines()
        return line

    def test_defaults(self) -> None:
        self.assertEqual(self.parsed(), (Path("default.yaml"), "localhost", 8080, 1))

    def test_the_environment_is_a_default_of_the_command_line(self) -> None:
        self.assertEqual(self.parsed(**VARIABLES), (Path("own.yaml"), "0.0.0.0", 8081, 4))
        argv = ("--config", "x.yaml", "--host", "::1", "--port", "0", "--workers", "1")
        self.assertEqual(self.parsed(*argv, **VARIABLES), (Path("x.yaml"), "::1", 0, 1))

    def test_an_empty_variable_counts_as_unset(self) -> None:
        self.assertEqual(self.parsed(**dict.fromkeys(VARIABLES, "")), self.parsed())

    def test_what_kubernetes_sets_for_a_service_of_this_name_changes_nothing(self) -> None:
        links = {"TASKSERVICE_PORT": "tcp://10.0.0.1:80", "TASKSERVICE_SERVICE_HOST": "10.0.0.1",
                 "TASKSERVICE_SERVICE_PORT": "80", "TASKSERVICE_PORT_80_TCP": "tcp://10.0.0.1:80"}
        self.assertEqual(self.parsed(**links), self.parsed())

    def test_a_wrong_variable_is_an_error_that_names_it(self) -> None:
        for name, value in (("TASKSERVICE_LISTEN_PORT", "tcp://10.0.0.1:80"), ("TASKSERVICE_LISTEN_PORT", "65536"),
                            ("TASKSERVICE_WORKERS", "0"), ("TASKSERVICE_WORKERS", "two")):
            with self.subTest(name, value=value):
                line = self.refused("--config", "x.yaml", **{name: value})
                self.assertRegex(line, rf"{name}: expected a whole number from .*, got '{value}'")

    def test_a_wrong_variable_that_an_option_overrides_does_not_matter(self) -> None:
        self.assertEqual(self.parsed("--port", "1", TASKSERVICE_LISTEN_PORT="x")[2], 1)

    def test_without_any_config_both_ways_to_name_one_are_said(self) -> None:
        self.assertRegex(self.refused(), "--config FILE.*TASKSERVICE_CONFIG")

    def test_the_help_names_each_variable_and_default(self) -> None:
        with redirect_stdout(io.StringIO()) as said, self.assertRaises(SystemExit):
            parse_arguments(["--help"], environment=dict.fromkeys(VARIABLES, "-"))
        text = " ".join(said.getvalue().split())
        for part in ("$TASKSERVICE_CONFIG", "$TASKSERVICE_LISTEN_PORT, else 8080",
                     "$TASKSERVICE_LISTEN_HOST, else localhost", "$TASKSERVICE_WORKERS, else 1"):
            self.assertIn(part, text)
