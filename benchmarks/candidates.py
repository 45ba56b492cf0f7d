"""The candidates: this service, as its users run it, and its peers."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.environment import PYTHON, ROOT, VENV, has_node_peer
from benchmarks.processes import Candidate, Place
from scripts.build import ENVIRONMENT

CONFIG = """\
service: {{name: TodoList}}
task-db: {task_db}
{http}
logging:
  version: 1
  formatters:
    brief: {{format: '%(asctime)s %(name)s %(levelname)s : %(message)s'}}
  handlers:
    file: {{class: logging.FileHandler, formatter: brief, filename: '{log}'}}
  loggers:
    taskservice: {{level: INFO}}
  root: {{level: WARNING, handlers: [file]}}
"""
"""configs/todoList-serve.yaml with another engine, and a file as its log."""

COMPILED = ENVIRONMENT / "bin" / "taskservice"
"""What `run.py build` makes."""

SQLITE = "{{sqlite: '{folder}/tasks.db'}}"


def has_connections(root: Path = ROOT) -> bool:
    """Whether the service's HTTP connection can be chosen: `http.server` in its config."""
    schema = json.loads((root / "schema" / "config-v1.0.json").read_text("utf-8"))
    return "server" in schema["properties"].get("http", {}).get("properties", {})


def service(
    name: str, label: str, task_db: str = "{{memory: null}}", http: str = "", root: Path = ROOT,
    program: Sequence[str] = ()
) -> Candidate:
    """Return this service, started by the README's command, or by another `program`, with CONFIG."""
    def command(place: Place) -> Sequence[str]:
        config = place.folder / "config.yaml"
        store = task_db.format(folder=place.folder)
        config.write_text(CONFIG.format(task_db=store, http=http, log=place.log), "utf-8")
        return [*(program or (sys.executable, str(root / "run.py"))), "serve",
                "--config", str(config), "--port", str(place.port)]

    return Candidate(name, label, command)


def _uvicorn(app: str, *options: str) -> Callable[[Place], Sequence[str]]:
    return lambda place: [
        str(PYTHON), "-m", "uvicorn", f"benchmarks.peers.{app}", *options, "--host", "127.0.0.1",
        "--port", str(place.port), "--no-access-log", "--log-level", "warning"]


def _module(name: str) -> Callable[[Place], Sequence[str]]:
    return lambda place: [str(PYTHON), "-m", f"benchmarks.peers.{name}"]


def _environment(place: Place) -> Mapping[str, str]:
    return {"PYTHONPATH": str(ROOT), "LOG_FILE": str(place.log), "PORT": str(place.port),
            "DATABASE": str(place.folder / "tasks.db"), "NODE_PATH": str(VENV / "node_modules")}


def _lean(peer: Candidate) -> Candidate:
    """Return the lean form of a peer: see `benchmarks/peers/common.py`."""
    return replace(
        peer, name=f"{peer.name}-lean", label=f"{peer.label}, lean", lean=True,
        environment=lambda place: {**peer.environment(place), "LEAN": "1"})


FULL_PEERS = [
    Candidate("blacksheep", "BlackSheep + uvicorn",
              _uvicorn("blacksheep_app:app"), _environment),
    Candidate("starlette", "Starlette + msgspec + uvicorn",
              _uvicorn("starlette_app:app"), _environment),
    Candidate("aiohttp", "aiohttp + uvloop", _module("aiohttp_app"), _environment),
    Candidate("fastapi", "FastAPI + uvicorn",
              _uvicorn("fastapi_app:memory", "--factory"), _environment),
    Candidate("tornado", "plain Tornado", _module("tornado_app"), _environment),
]
LEAN_PEERS = [_lean(peer) for peer in FULL_PEERS if peer.name in ("blacksheep", "starlette")]
"""Those of the fastest frameworks."""

PEERS = [*FULL_PEERS, *LEAN_PEERS]
NODE_PEER = Candidate(
    "fastify", "Fastify on Node",
    lambda place: ["node", str(ROOT / "benchmarks" / "peers" / "fastify.cjs")], _environment)
GROUP_COMMIT_PEER = Candidate(
    "starlette-sqlite", "Starlette + SQLite, group commit", _uvicorn("starlette_sqlite:app"), _environment,
    core_api=False)
DURABLE_PEERS = [
    Candidate(
        "fastapi-aiosqlite", "FastAPI + aiosqlite", _uvicorn("fastapi_sqlite:make_app", "--factory"),
        _environment, core_api=False),
    GROUP_COMMIT_PEER, _lean(GROUP_COMMIT_PEER)]


def ours(against: Path | None = None) -> list[Candidate]:
    """Return this service in memory, with each of its servers, and that of another checkout."""
    found = [service("taskservice", "taskservice")]
    if COMPILED.exists():
        found.append(service("taskservice-compiled", "taskservice, compiled", program=(str(COMPILED),)))
    if has_connections():
        found.append(service(
            "taskservice-stock", "taskservice, stock HTTPServer", http="http: {server: tornado}"))
    if against is not None:
        found.append(service("against", f"taskservice of {against.name}", root=against))
    return found


def everyone(against: Path | None = None) -> list[Candidate]:
    """Return the candidates with tasks in memory."""
    return [*ours(against), *PEERS, *([NODE_PEER, _lean(NODE_PEER)] if has_node_peer() else [])]


def durable(against: Path | None = None) -> list[Candidate]:
    """Return the candidates with durable writes, and this service in memory beside them."""
    sqlite = [service("taskservice-sqlite", "taskservice on SQLite", SQLITE)]
    if against is not None:
        sqlite.append(service(
            "against-sqlite", f"taskservice of {against.name} on SQLite", SQLITE, root=against))
    return [service("taskservice", "taskservice in memory"), *sqlite, *DURABLE_PEERS]
