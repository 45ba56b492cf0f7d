"""`run.py mutants`: what it changes, and what it makes of what the tests say."""

import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

from tests.helpers.app import ROOT

CODE = '''"""Module."""
LIMIT: int | None = 5

def f(self, x: int | None) -> int | None:
    """Docstring."""
    if self.ready and not x and x < 3:
        self.close(x)
        self.count += 1
        value = x
    return value
'''


@unittest.skipIf(find_spec("cosmic_ray") is None, "needs the package cosmic-ray (requirements-dev.txt)")
class MutantsTest(unittest.TestCase):

    def changes(self) -> set[str]:
        """Return the changed lines that CODE can have."""
        from cosmic_ray.mutating import mutate_code

        from tests.mutants import places
        found = set()
        for operator, number in places(CODE):
            lines = mutate_code(CODE, operator, number).splitlines()
            found |= {line.strip() for line in lines} - {line.strip() for line in CODE.splitlines()}
        return found

    def test_statements_and_operands_are_dropped_limits_moved_and_conditions_turned(self) -> None:
        changes = self.changes()
        for line in ("pass", "if not x and x < 3:", "if self.ready and x < 3:", "if self.ready and not x:",
                     "if self.ready and not x and x <= 3:", "if self.ready and not x and x < 4:"):
            self.assertIn(line, changes)

    def test_annotations_docstrings_and_local_names_stay(self) -> None:
        for line in self.changes():
            self.assertNotRegex(line, "^def|^LIMIT: int [^|]|Docstring")

    def test_what_python_does_not_take_is_not_tried(self) -> None:
        from tests.mutants import _compiles, mutants_of
        for mutant in mutants_of(Path("taskservice/http1/headers.py"), 1_000, 0)[0]:
            self.assertTrue(_compiles(mutant.after), mutant.diff)
        self.assertFalse(_compiles("def f(a, //, b): pass"))

    def test_every_module_that_is_tried_has_tests(self) -> None:
        from tests.mutants import modules, tests_of
        from tests.mutants_map import TESTS
        found = modules([])
        self.assertGreater(len(found), 20)
        for module in found:
            self.assertTrue(tests_of(module), module)
            self.assertEqual(len(set(tests_of(module))), len(tests_of(module)), module)
        for pattern, tests in TESTS.items():
            for glob in tests.split():
                self.assertTrue(list((ROOT / "tests").glob(glob)), f"{pattern}: {glob}")

    def test_servers_that_do_not_run_as_root_reach_their_files(self) -> None:
        from tests.mutants import Copy
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        Copy(folder)
        self.assertEqual(folder.stat().st_mode & 0o005, 0o005)

    def test_a_change_is_noticed_survives_or_takes_too_long(self) -> None:
        from tests.mutants import Copy, Mutant
        module = Path("taskservice/http/sse.py")
        before = (ROOT / module).read_text("utf-8")
        copy = Copy(Path(self.enterContext(tempfile.TemporaryDirectory())))
        for added, limit, outcome in (
                ("raise RuntimeError", 60, "noticed"), ("# and more", 60, "survived"),
                ("while True: pass", 1, "timed out")):
            mutant = Mutant(module, before, f"{before}\n{added}\n")
            self.assertEqual(copy.try_out(mutant, [ROOT / "tests/unit/sse_test.py"], limit), outcome)
            self.assertIn(f"+{added}", mutant.diff)
        self.assertEqual((ROOT / module).read_text("utf-8"), before)

    def test_what_tests_print_when_they_fail_is_shown(self) -> None:
        from tests.mutants import Copy, Mutant
        copy = Copy(Path(self.enterContext(tempfile.TemporaryDirectory())))
        copy.try_out(Mutant(Path("taskservice/http/sse.py"), "", "1 / 0"), [ROOT / "tests/unit/sse_test.py"], 60)
        self.assertIn("ZeroDivisionError", copy.printed())

    def test_modules_are_named_by_path_name_or_pattern(self) -> None:
        from tests.mutants import modules
        body = Path("taskservice/http1/body.py")
        for name in (str(body), "body", "taskservice.http1.body", "http1/body"):
            self.assertEqual(modules([name]), [body])
        self.assertIn(body, modules(["http1/*"]))
        self.assertEqual({path.parent.name for path in modules(["http1/*"])}, {"http1"})


if __name__ == "__main__":
    unittest.main()
