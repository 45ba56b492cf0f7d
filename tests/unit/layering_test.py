"""Which modules may import which (see the design): dependencies point inward; and how long a module may be."""

import ast
import sys
import unittest
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts): ast.parse(file.read_bytes())
    for file in (ROOT / "taskservice").rglob("*.py")}

ENGINES = ("sqlite", "postgres")
"""Engines with folders of their own."""

MAY_IMPORT = {
    "http1": (),
    "http": ("datamodel", "errors", "precondition", "validation"),
    "client": ("errors", "http"),
    "database": ("datamodel", "errors", "folding", "precondition", "utils", "validation"),
    "utils": (),
}
"""What the modules of a folder may import of the project, beside their own folder and the package itself."""

COMMANDS = "taskservice.__main__"
"""The user's commands stand above everything."""

LOG_CALLS = {"debug", "info", "warning", "error", "exception", "critical", "log", "basicConfig"}


def imports(tree: ast.AST) -> Iterator[str]:
    """Give the modules, and names in them, that a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def is_of(name: str, *packages: str) -> bool:
    """Return whether an imported name is one of these modules or packages, or in one."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def imported(module: str) -> set[str]:
    """Return what a module imports."""
    return set(imports(SOURCES[module]))


def own(module: str) -> set[str]:
    """Return what a module imports of the project."""
    return {name for name in imported(module) if is_of(name, "taskservice")}


def engine_of(module: str) -> str | None:
    """Return the engine whose module this is."""
    return next((engine for engine in ENGINES if is_of(module, f"taskservice.database.{engine}")), None)


class LayeringTest(unittest.TestCase):

    def assert_imports_none(self, module: str, *packages: str) -> None:
        bad = [name for name in imported(module) if is_of(name, *packages)]
        self.assertEqual(bad, [], module)

    def assert_of_project_only(self, module: str, *modules: str) -> None:
        names = {name for name in own(module) if not is_of(name, *modules)}
        self.assertEqual(names, set(), module)

    def test_nothing_below_tornado_imports_tornado(self) -> None:
        for module in SOURCES:
            if not is_of(module, "taskservice.tornado", COMMANDS):
                self.assert_imports_none(module, "taskservice.tornado")
            if not is_of(module, "taskservice.tornado", "taskservice.http1"):
                self.assert_imports_none(module, "tornado")

    def test_a_folder_imports_what_is_below_it(self) -> None:
        for folder, others in MAY_IMPORT.items():
            for module in SOURCES:
                if is_of(module, f"taskservice.{folder}"):
                    bad = {name for name in own(module) if not is_of(
                        name, "taskservice.LOGGER_NAME", f"taskservice.{folder}",
                        *(f"taskservice.{other}" for other in others))}
                    self.assertEqual(bad, set(), module)

    def test_the_server_knows_tornado_by_its_values_and_logs(self) -> None:
        allowed = ("tornado.httputil", "tornado.log", "tornado.netutil", "tornado.iostream", "tornado.gen")
        for module in SOURCES:
            if is_of(module, "taskservice.http1"):
                bad = {name for name in imported(module) if is_of(name, "tornado") and not is_of(name, *allowed)}
                self.assertEqual(bad, set(), module)

    def test_the_service_imports_no_engine_but_the_contract(self) -> None:
        contract = "taskservice.database.contract.AbstractTodoListDB"
        stores = {name for name in own("taskservice.service") if is_of(name, "taskservice.database")}
        self.assertEqual(stores, {contract})
        self.assert_imports_none("taskservice.service", "taskservice.config")

    def test_errors_import_nothing_of_the_project(self) -> None:
        self.assertEqual(own("taskservice.errors"), set())

    def test_the_data_model_imports_the_standard_library_only(self) -> None:
        self.assert_of_project_only(
            "taskservice.datamodel", "taskservice.errors", "taskservice.folding", "taskservice.stored_task",
            "taskservice.task")
        self.assert_of_project_only("taskservice.stored_task", "taskservice.task")
        self.assert_of_project_only("taskservice.task")
        self.assertEqual(own("taskservice.folding"), set())
        foreign = {name.split(".")[0] for module in ("datamodel", "stored_task")
                   for name in imported(f"taskservice.{module}")}
        self.assertLessEqual(foreign - {"taskservice"}, sys.stdlib_module_names)

    def test_engines_never_import_each_other(self) -> None:
        for module in SOURCES:
            others = [other for other in SOURCES if (engine := engine_of(other)) is not None
                      and engine != engine_of(module)]
            if is_of(module, "taskservice.database"):
                self.assert_imports_none(module, *others)

    def test_only_db_engines_knows_the_engines(self) -> None:
        for module in SOURCES:
            if not is_of(module, "taskservice.database"):
                bad = {name for name in own(module) if engine_of(name)}
                self.assertEqual(bad, set(), module)

    def test_export_and_import_know_the_service_by_http_alone(self) -> None:
        for module in SOURCES:
            if not is_of(module, "taskservice.client", COMMANDS):
                self.assert_imports_none(module, "taskservice.client")

    def test_the_config_knows_no_layer_above(self) -> None:
        self.assert_of_project_only(
            "taskservice.config", "taskservice.read_schema", "taskservice.config_variables", "taskservice.errors")


class TestsTest(unittest.TestCase):

    def test_tests_take_nothing_from_tests_and_no_folder_from_another(self) -> None:
        runner = ("tests.runner", "tests.parallel", "tests.leftovers", "tests.mutants", "tests.mutants_map")
        shared = ("tests.helpers", "tests.contract", *runner)
        for file in (ROOT / "tests").glob("*/*.py"):
            folder = f"tests.{file.parent.name}"
            names = {name for name in imports(ast.parse(file.read_bytes())) if is_of(name, "tests")}
            bad = {name for name in names if "_test." in name or not is_of(name, folder, *shared)}
            self.assertEqual(bad, set(), file)


class CirclesTest(unittest.TestCase):
    """No module needs another that needs it, not even for a type."""

    def test_there_is_none(self) -> None:
        graph = {module: needed(module) for module in SOURCES}
        self.assertEqual(circles(graph), [])

    def test_one_would_be_found(self) -> None:
        graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": set(), "e": {"e", "b"}}
        self.assertEqual(circles(graph), [["a", "b", "c"], ["e"]])


def needed(module: str) -> set[str]:
    """Return the modules of the project that a module imports, wherever and whyever it does."""
    found = set()
    for name in own(module):
        for part in (name, name.rpartition(".")[0]):
            if part in SOURCES:
                found.add(part)
                break
            if f"{part}.__init__" in SOURCES:
                found.add(f"{part}.__init__")
                break
    return found


def circles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the modules that reach each other, those of each circle together."""
    reached = {module: reachable(graph, module) for module in graph}
    found = []
    for module in graph:
        circle = sorted(other for other in reached[module] if module in reached[other])
        if module in reached[module] and circle not in found:
            found.append(circle)
    return sorted(found)


def reachable(graph: Mapping[str, Collection[str]], start: str) -> set[str]:
    """Return all that a module imports, and what that imports."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += graph[module]
    return found


class SizeTest(unittest.TestCase):

    def test_no_module_has_more_than_350_lines(self) -> None:
        sizes = {
            str(file.relative_to(ROOT)): file.read_bytes().count(b"\n")
            for folder in ("taskservice", "scripts", "benchmarks") for file in (ROOT / folder).rglob("*.py")}
        self.assertEqual({name: size for name, size in sizes.items() if size > 350}, {})
        self.assertIn("taskservice/service.py", sizes)


class LoggersTest(unittest.TestCase):

    def test_no_logger_is_fetched_when_a_module_is_imported(self) -> None:
        for module, tree in SOURCES.items():
            for call in calls_at_import(tree):
                self.assertNotIn("getLogger", ast.unparse(call.func), module)

    def test_the_root_logger_is_never_used(self) -> None:
        for module, tree in SOURCES.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    self.assertNotIn(
                        ast.unparse(node.func), {f"logging.{name}" for name in LOG_CALLS}, module)
                    self.assertNotRegex(ast.unparse(node), r"getLogger\((''|None)?\)", module)
            self.assertFalse(
                imported(module) & {f"logging.{name}" for name in LOG_CALLS}, module)


def calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Give the calls that run when a module is imported: those in no function's body."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls_at_import(child)


class WalkTest(unittest.TestCase):
    """The tests above are worth what these see."""

    def test_imports_are_seen_wherever_they_are(self) -> None:
        code = "import a.b\ndef f():\n    from c.d import e as x, g\nif x:\n    import h as i"
        self.assertEqual(set(imports(ast.parse(code))), {"a.b", "c.d.e", "c.d.g", "h"})

    def test_a_name_is_of_its_package_only(self) -> None:
        self.assertTrue(is_of("tornado.web", "tornado"))
        self.assertFalse(is_of("tornado_x", "tornado"))
        self.assertEqual(engine_of("taskservice.database.sqlite.writer.X"), "sqlite")
        self.assertIsNone(engine_of("taskservice.database.todolist_db"))

    def test_calls_at_import_are_seen_in_classes_and_not_in_functions(self) -> None:
        code = "a()\nclass C:\n    x = b(c())\n    def f(self): d()\nif 1:\n    e()"
        self.assertEqual(
            sorted(ast.unparse(call) for call in calls_at_import(ast.parse(code))),
            ["a()", "b(c())", "c()", "e()"])

    def test_the_project_is_there(self) -> None:
        self.assertLess({"taskservice.service", "taskservice.tornado.app"}, set(SOURCES))


if __name__ == "__main__":
    unittest.main()
