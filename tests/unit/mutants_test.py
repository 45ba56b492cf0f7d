"""`run.py mutants`: what it changes, and what it makes of what the tests say."""

import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

from tests.support import ROOT

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

    def test_every_module_that_is_tried_has_tests(self) -> None:
        from tests.mutants import TESTS, modules, tests_of
        found = modules([])
        self.assertGreater(len(found), 20)
        for module in found:
            self.assertTrue(tests_of(module), module)
        for pattern, tests in TESTS.items():
            for glob in tests.split():
                self.assertTrue(list((ROOT / "tests").glob(glob)), f"{pattern}: {glob}")

    def test_a_change_is_noticed_survives_or_takes_too_long(self) -> None:
        from tests.mutants import Copy, Mutant
        module = Path("taskservice/tornado/sse.py")
        before = (ROOT / module).read_text("utf-8")
        copy = Copy(Path(self.enterContext(tempfile.TemporaryDirectory())))
        for added, limit, outcome in (
                ("raise RuntimeError", 60, "noticed"), ("# and more", 60, "survived"),
                ("while True: pass", 1, "timed out")):
            mutant = Mutant(module, before, f"{before}\n{added}\n")
            self.assertEqual(copy.try_out(mutant, [ROOT / "tests/unit/sse_test.py"], limit), outcome)
            self.assertIn(f"+{added}", mutant.diff)
        self.assertEqual((ROOT / module).read_text("utf-8"), before)


if __name__ == "__main__":
    unittest.main()
