"""`run.py token` makes a token that works as soon as the config has the lines that it prints."""

import hashlib
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from taskservice.config import parse_config
from tests.helpers.processes import run
from tests.helpers.raw import peer
from tests.helpers.running import bearer, running


def make(name: str, scope: str) -> tuple[str, str]:
    """Make a token; return it, and the lines for the config."""
    done = run("./run.py", "token", name, "--scope", scope)
    assert (done.returncode, done.stderr) == (0, ""), done
    secret, lines = done.stdout.split("Add this to your config:\n\n")
    return secret.split()[-1], lines


class TokenTest(unittest.TestCase):

    def test_the_token_and_the_lines_belong_together(self) -> None:
        for name, scope in (("dash.board-1", "read"), ("1", "write"), ("null", "read"), ("1e3", "write")):
            secret, lines = make(name, scope)
            self.assertRegex(secret, r"\A[A-Za-z0-9_-]{43}\Z")
            [token] = parse_config(lines).tokens
            self.assertEqual(token, {
                "name": name, "scope": scope, "sha256": hashlib.sha256(secret.encode()).hexdigest()})
            self.assertNotIn(secret, lines)

    def test_each_is_another(self) -> None:
        self.assertNotEqual(make("a", "read")[0], make("a", "read")[0])

    def test_a_service_takes_it(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (reader, lines), (writer, more) = make("reader", "read"), make("writer", "write")
        tokens = [*yaml.safe_load(lines)["auth"]["tokens"], *yaml.safe_load(more)["auth"]["tokens"]]
        service = self.enterContext(running(folder, {"memory": None}, auth={"tokens": tokens}))
        client = self.enterContext(peer(service.port))
        for secret, reads, writes in ((reader, 200, 403), (writer, 200, 201), ("x", 401, 401)):
            self.assertEqual(client.ask("GET", "/tasks", **bearer(secret))[0], reads)
            self.assertEqual(client.ask("POST", "/tasks", b'{"title": "a"}', **bearer(secret))[0], writes)
        self.assertEqual(service.stop(), 0)
        said = "\n".join(service.stdout + service.stderr)
        self.assertIn('token="writer"', said)
        self.assertFalse([secret for secret in (reader, writer) if secret in said])

    def test_what_cannot_be_one_is_reported_in_one_line(self) -> None:
        for args, said in (
                (["a b", "--scope", "read"], "NAME.*'a b'"), (["", "--scope", "read"], "NAME"),
                (["x" * 65, "--scope", "read"], "NAME"), (["é", "--scope", "read"], "NAME"),
                (["a\nb", "--scope", "read"], "NAME"), (["a", "--scope", "all"], "--scope.*'all'"),
                (["a"], "--scope"), (["--scope", "read"], "NAME"), (["a", "b", "--scope", "read"], "b")):
            with self.subTest(args):
                done: subprocess.CompletedProcess[str] = run("./run.py", "token", *args)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                [line] = done.stderr.splitlines()
                self.assertTrue(re.search(said, line), line)


if __name__ == "__main__":
    unittest.main()
