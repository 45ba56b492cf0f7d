"""run.py as a user meets it: what it answers, and how it exits."""
import ast
import contextlib
import os
import pty
import subprocess
import sys
import unittest
from tests.helpers.run_script import FAILING, MIXED, PASSING, PERIODIC, ROOT, RUN, RunScriptTestCase, run


class CommandsTest(RunScriptTestCase):

    def test_help_names_every_command(self) -> None:
        done = self.run_script("--help")
        self.assertEqual(done.returncode, 0)
        for command in ("serve", "test", "lint", "typecheck", "coverage"):
            self.assertRegex(done.stdout, rf"(?m)^  {command} ")

    def test_without_a_command_it_prints_the_help_and_fails(self) -> None:
        done = self.run_script()
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage: run.py", done.stdout)

    def test_unknown_command_is_refused_in_one_line(self) -> None:
        done = self.run_script("tset")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"\Arun.py: no command 'tset'; there are serve, .*test, .*\n\Z")

    def test_unknown_option_is_refused_in_one_line(self) -> None:
        for args in (["test", "--siute", "unit"], ["test", "--suite", "slow"], ["lint", "--fix"], ["serve", "--config"],
                     ["serve", "--port", "99999999"], ["serve", "--bogus"]):
            with self.subTest(args):
                done = self.run_script(*args)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, rf"\Arun.py (test|lint|serve): .*{args[1].strip('-')}.*\n\Z")

    def test_help_of_serve_is_of_the_command_and_knows_its_default_config(self) -> None:
        done = self.run_script("serve", "--help")
        self.assertEqual(done.returncode, 0)
        said = "".join(done.stdout.split())  # wherever its lines were broken
        self.assertTrue(said.startswith("usage:run.pyserve[-h][--configFILE]"), done.stdout)
        self.assertIn("configs/todoList-serve.yaml)", said)

    def test_an_old_python_is_refused_in_one_line(self) -> None:
        pretend = f"import runpy, sys; sys.version_info = (3, 6, 15); runpy.run_path({str(RUN)!r})"
        done = run("-c", pretend, cwd=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "run.py: needs Python 3.11 or newer, and this is 3.6\n")

    def test_an_old_python_can_read_the_script(self) -> None:
        """Python 2.7 as well: it has neither annotations nor f-strings, and takes a source for ASCII."""
        text = RUN.read_text("ascii")
        for node in ast.walk(ast.parse(text, feature_version=(3, 4))):
            self.assertNotIsInstance(node, (ast.JoinedStr, ast.AnnAssign, ast.arg, ast.AsyncFunctionDef, ast.Starred))
        self.assertLess(text.index("sys.exit("), text.index("from "))


class TestCommandTest(RunScriptTestCase):

    def test_passing_file_named_from_where_the_user_is(self) -> None:
        self.write_test(PASSING)
        done = self.run_script("test", "-v", "sample_test.py")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^test_passes \(sample_test\.PassingTest.*\) \.\.\. ok$")

    def test_failing_test_fails_the_command(self) -> None:
        self.write_test(FAILING)
        self.assertEqual(self.run_script("test", self.folder).returncode, 1)

    def test_file_that_cannot_be_imported_fails_the_command(self) -> None:
        self.write_test("import nothing_of_that_name")
        self.assertEqual(self.run_script("test", "sample_test.py").returncode, 1)

    def test_no_tests_fails_the_command(self) -> None:
        done = self.run_script("test", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no tests found", done.stderr)

    def test_missing_file_is_refused_in_one_line(self) -> None:
        done = self.run_script("test", "gone_test.py")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr, "run.py test: gone_test.py: no such file or folder\n")

    def test_project_test_can_be_named_in_each_way(self) -> None:
        """A file, and the dotted names of unittest and of a Python programmer, all are the same test."""
        case = "e2e.run_script_test.NamingTest"
        for name in (case, f"tests.{case}", f"{case}.test_has_the_name_that_discovery_gives_it"):
            with self.subTest(name):
                done = self.run_script("test", "-v", name)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"({case}", done.stderr)

    def test_a_reader_that_has_left_makes_no_traceback(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as nobody:
            done = subprocess.run([sys.executable, ROOT / "run.py", "--help"], stdout=nobody, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (1, b""))

    def test_count_for_ci_is_printed_alone_on_the_last_line(self) -> None:
        self.write_test(MIXED)
        done = self.run_script("test", "sample_test.py", ci=True)
        self.assertEqual(done.stdout, "1 passed, 1 failed, 2 skipped\n")
        self.assertEqual(done.returncode, 1)

    def test_no_count_is_printed_outside_of_ci(self) -> None:
        self.write_test(MIXED)
        self.assertEqual(self.run_script("test", "sample_test.py").stdout, "")

    def test_reasons_of_skips_are_counted(self) -> None:
        self.write_test(MIXED + MIXED[MIXED.index("class SkippedTest"):].replace("SkippedTest", "AnotherTest").replace(
            "for the count", "for another reason"))
        done = self.run_script("test", "sample_test.py")
        self.assertTrue(
            done.stderr.endswith("skipped:\n     2  for the count\n     1  for another reason\n"), done.stderr)

    def test_a_terminal_shows_how_far_it_is(self) -> None:
        self.write_test(MIXED)
        said = self.run_on_terminal("test", "sample_test.py")
        self.assertTrue(said.startswith("".join(f"\r\x1b[K[{where} sample_test" for where in (
            "1/4]", "2/4] 2 failed", "3/4] 2 failed")) + "\r\x1b[K="), said)

    def run_on_terminal(self, *args: str) -> str:
        """Run the project's run.py on a terminal; return what it showed."""
        master, terminal = pty.openpty()
        with subprocess.Popen(
                [sys.executable, RUN, *args], cwd=self.folder, stdout=terminal, stderr=terminal) as process:
            os.close(terminal)
            said = b""
            with contextlib.suppress(OSError):  # its end
                while piece := os.read(master, 4096):
                    said += piece
            self.assertEqual(process.wait(60), 1)
        os.close(master)
        return said.decode()

    def test_a_long_run_says_how_far_it_is(self) -> None:
        self.write_test(MIXED)
        done = run("-c", PERIODIC.format(root=str(ROOT)), cwd=self.folder)
        self.assertRegex(done.stderr, r"(?m)^\[1/4\] after 0 s, at sample_test\.MixedTest\.test_fails_twice$")
        self.assertRegex(done.stderr, r"(?m)^\[3/4\] 2 failed after ")

    def test_coverage_measures_the_tests(self) -> None:
        """They run in the process that coverage started: never in another interpreter, never in a child."""
        self.write_test(PASSING + "\nimport taskservice.errors\n")
        data = f"--data-file={self.folder / 'data'}"
        measured = run("-m", "coverage", "run", "--branch", f"--source={ROOT / 'taskservice'}", data,
                       RUN, "test", "sample_test.py", cwd=self.folder)
        self.assertEqual(measured.returncode, 0, measured.stderr)
        report = run("-m", "coverage", "report", data, cwd=ROOT)
        self.assertRegex(report.stdout, r"taskservice/errors\.py .* [1-9]\d*%")


class NamingTest(unittest.TestCase):

    def test_has_the_name_that_discovery_gives_it(self) -> None:
        self.assertIn(__name__, ("e2e.run_script_test", "tests.e2e.run_script_test", "__main__"))


class CheckersTest(RunScriptTestCase):

    def test_lint_says_what_is_wrong_and_fails(self) -> None:
        self.write_test("import os\n")
        done = self.run_script("lint", "sample_test.py")
        self.assertEqual(done.returncode, 1)
        self.assertIn("F401", done.stdout)

    def test_lint_passes_a_clean_file(self) -> None:
        self.write_test("")
        self.assertEqual(self.run_script("lint", "sample_test.py").returncode, 0)

    def test_typecheck_is_strict_and_fails(self) -> None:
        self.write_test("def untyped(): pass\n")
        done = self.run_script("typecheck", "sample_test.py")
        self.assertEqual(done.returncode, 1)
        self.assertIn("[no-untyped-def]", done.stdout)


if __name__ == "__main__":
    unittest.main()
