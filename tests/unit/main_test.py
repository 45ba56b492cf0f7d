"""The commands of `taskservice`, called in this process: what they print, and their exit codes."""

import hashlib
import io
import json
import re
import unittest
from contextlib import redirect_stderr, redirect_stdout

from taskservice import __version__
from taskservice.__main__ import COMMANDS, main


class MainTest(unittest.TestCase):

    def call(self, *words: str) -> tuple[int, str, str]:
        """Return the exit code, and what was printed."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
            try:
                code = main(words)
            except SystemExit as end:  # of argparse
                code = int(end.code or 0)
        return code, out.getvalue(), errors.getvalue()

    def test_the_help_names_each_command(self) -> None:
        for words in (), ("-h",), ("--help",), ("help",):
            code, said, errors = self.call(*words)
            self.assertEqual((code, errors), (0, ""))
            self.assertEqual(re.findall(r"(?m)^  ([a-z]+) ", said), list(COMMANDS))

    def test_each_command_has_a_help(self) -> None:
        for name in COMMANDS.keys() - {"serve"}:  # which listens for signals first
            code, said, errors = self.call(name, "--help")
            self.assertEqual((code, errors), (0, ""))
            self.assertTrue(said.startswith(f"usage: taskservice {name} "), said)

    def test_the_version(self) -> None:
        self.assertRegex(self.call("--version")[1], rf"\Ataskservice {re.escape(__version__)} \((plain|compiled)\)\n\Z")

    def test_a_command_that_is_none(self) -> None:
        code, said, errors = self.call("sirve")
        self.assertEqual((code, said), (2, ""))
        self.assertEqual(errors, f"taskservice: no command 'sirve'; there are {', '.join(COMMANDS)}\n")

    def test_a_token_and_its_entry(self) -> None:
        code, said, errors = self.call("token", "shop.1", "--scope", "read")
        self.assertEqual((code, errors), (0, ""))
        [secret] = re.findall(r"(?m)^    (\S+)$", said)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        self.assertTrue(said.endswith(f"  - {{name: 'shop.1', scope: read, sha256: '{digest}'}}\n"), said)

    def test_a_token_of_a_name_that_a_config_would_refuse(self) -> None:
        for name in "", "a b", "x" * 65:
            code, said, errors = self.call("token", name, "--scope", "read")
            self.assertEqual((code, said), (2, ""))
            self.assertIn("argument NAME: expected 1-64 letters", errors)

    def test_the_openapi_document(self) -> None:
        code, said, errors = self.call("openapi")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("/tasks/{id}", json.loads(said)["paths"])

    def test_a_service_that_is_not_there(self) -> None:
        code, said, errors = self.call("export", "-", "--url", "http://127.0.0.1:1")
        self.assertEqual((code, said), (1, ""))
        self.assertIn("127.0.0.1:1", errors)


if __name__ == "__main__":
    unittest.main()
