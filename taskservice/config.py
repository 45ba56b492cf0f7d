"""The YAML config, checked against `schema/config-v1.0.json`; an error names the key."""

import ipaddress
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from taskservice import read_schema
from taskservice.config_variables import replace_variables
from taskservice.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class HttpConfig:
    """How the service speaks HTTP; the schema describes each member. Sizes are in bytes, times in seconds."""

    server: str = "taskservice"
    hosts: Sequence[str] = ("localhost", "127.0.0.1", "[::1]")
    base_path: str = ""
    cors_origins: Sequence[str] = ()
    trusted_proxies: Sequence[str] = ()
    tls: Mapping[str, str] | None = None
    require_if_match: bool = False
    max_header: int = 16 * 1024
    max_body: int = 64 * 1024
    max_ndjson_body: int = 16 * 1024 * 1024
    max_ndjson_lines: int = 10_000
    max_body_memory: int = 64 * 1024 * 1024
    max_connections: int = 16_000
    max_event_streams: int = 10_000
    idle_timeout: float = 75
    header_timeout: float = 30
    body_timeout: float = 20
    min_body_rate: float = 8192
    reader_timeout: float = 30
    answer_timeout: float = 10
    query_timeout: float = 5
    max_queued_reads: int = 64
    shutdown_delay: float = 0
    drain_timeout: float = 20
    stream_backlog: int = 1_000

    @property
    def max_task(self) -> int:
        """The largest task as JSON, in bytes: a title and a description of the size of a body each."""
        return 2 * self.max_body + 1024


@dataclass(frozen=True)
class Config:
    """The config of the service: its name, its engine, its logging, its HTTP."""

    service_name: str = "TodoList"
    task_db: Mapping[str, Any] | None = None
    logging: Mapping[str, Any] | None = None
    http: HttpConfig = HttpConfig()
    tokens: Sequence[Mapping[str, str]] = ()


RESTART_KEYS = ("task-db", "http.server", "http.base-path")
"""The keys that a reload does not change: their values are those of the start."""


def changed_keys(before: Config, after: Config) -> list[str]:
    """Return the keys, as the YAML has them, whose values differ; sections other than `http` as a whole."""
    pairs = {key: (getattr(before, name), getattr(after, name)) for key, name in (
        ("service.name", "service_name"), ("task-db", "task_db"), ("logging", "logging"), ("auth.tokens", "tokens"))}
    for field in fields(HttpConfig):
        key = field.name.replace("_", "-")
        pairs[f"http.{key}"] = getattr(before.http, field.name), getattr(after.http, field.name)
    return [key for key, (old, new) in pairs.items() if old != new]


def with_restart_keys_of(before: Config, after: Config) -> Config:
    """Return the config `after` with what a reload cannot change as it was `before`."""
    http = replace(after.http, server=before.http.server, base_path=before.http.base_path)
    return replace(after, task_db=before.task_db, http=http)


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice (YAML 1.2.2 §3.2.1.1); the base class lets the last one win."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (name := (key.tag, repr(key.value))) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value} comes a second time", problem_mark=key.start_mark)
            seen.add(name)
        return node


# The types of JSON Schema, except that 1.0 is no integer here, and NaN and infinity are no numbers.
_TYPES = jsonschema.Draft7Validator.TYPE_CHECKER.redefine_many({
    "integer": lambda _checker, value: type(value) is int,
    "number": lambda _checker, value: type(value) in (int, float) and math.isfinite(value)})
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # it has no types
    jsonschema.Draft7Validator, type_checker=_TYPES)


def read_config(path: str | Path) -> Config:
    """Read a config file; raises ConfigError, which names the file and the fault."""
    try:
        return parse_config(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"{path}: {reason}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_config(text: str, environment: Mapping[str, str] = os.environ) -> Config:
    """Make a config from YAML and the environment variables it refers to.

    Raises ConfigError: one line with every key that is wrong.
    """
    try:
        document = replace_variables(yaml.load(text, _Loader), environment)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as the 30th of February
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}") from error
    document = {} if document is None else document
    if problems := list(_problems(document)) or [
            *_twins(document), *_shares(document), *_streams(document), *_networks(document)]:
        raise ConfigError("; ".join(problems))
    http = {key.replace("-", "_"): value for key, value in document.get("http", {}).items()}
    http.setdefault("max_event_streams", _default_streams(http))
    return Config(
        service_name=document.get("service", {}).get("name", Config.service_name),
        task_db=document.get("task-db"),
        logging=document.get("logging"),
        http=HttpConfig(**http),
        tokens=document.get("auth", {}).get("tokens", ()))


def _problems(document: Any) -> Iterator[str]:
    validator = _Validator(read_schema("config-v1.0"))
    for error in validator.iter_errors(document):
        where = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "additionalProperties":
            yield from _unknown_keys(where, error)
        else:
            yield f"{where or 'the config'}: {_expectation(error)}"


def _twins(document: Any) -> Iterator[str]:
    """Find a token that is listed twice: its scope would be ambiguous."""
    first: dict[str, int] = {}
    for number, token in enumerate(document.get("auth", {}).get("tokens", ())):
        if (earlier := first.setdefault(token["sha256"], number)) != number:
            yield f"auth.tokens.{number}.sha256: expected another than that of auth.tokens.{earlier}"


def _shares(document: Any) -> Iterator[str]:
    """Find a memory limit below the largest body that is accepted."""
    http = document.get("http", {})
    body = http.get("max-ndjson-body", HttpConfig.max_ndjson_body)
    memory = http.get("max-body-memory", HttpConfig.max_body_memory)
    if memory < 2 * body:
        yield (
            f"http.max-body-memory: expected at least 2 * http.max-ndjson-body = {2 * body}, of which"
            f" each client gets half, got {memory}")


def _streams(document: Any) -> Iterator[str]:
    """Find a limit of event streams that would leave no connection for requests."""
    http = document.get("http", {})
    connections = http.get("max-connections", HttpConfig.max_connections)
    if (streams := http.get("max-event-streams", 0)) >= connections:
        yield (
            f"http.max-event-streams: expected less than http.max-connections = {connections}, "
            f"got {streams}")


def _default_streams(http: Mapping[str, Any]) -> int:
    """Return the default limit of event streams."""
    connections: int = http.get("max_connections", HttpConfig.max_connections)
    return min(HttpConfig.max_event_streams, connections * 5 // 8)


def _networks(document: Any) -> Iterator[str]:
    """Check that each trusted proxy is an address or a network, which JSON Schema cannot."""
    for number, network in enumerate(document.get("http", {}).get("trusted-proxies", ())):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:  # also a network with host bits set
            yield f"http.trusted-proxies.{number}: expected an address or a network such as 10.0.0.0/8: {error}"


def _unknown_keys(where: str, error: jsonschema.ValidationError) -> Iterator[str]:
    known = _known_keys(error)
    instance: Any = error.instance
    for key in instance:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected {' or '.join(known)}"
            yield f"{where + '.' if where else ''}{key}: unknown key, {hint}"


def _expectation(error: jsonschema.ValidationError) -> str:
    match error.validator:
        case "type":
            return f"expected {_kind(error.validator_value)}, got {_shown(error.instance)}"
        case "const":
            return f"expected {error.validator_value!r}, got {_shown(error.instance)}"
        case "minProperties" | "maxProperties":
            return f"expected exactly one of {', '.join(_known_keys(error))}"
        case "pattern":
            schema: Any = error.schema
            examples = " or ".join(schema["examples"])
            return f"expected, for example, {examples}, got {_shown(error.instance)}"
        case "minLength":
            return "expected a text that is not empty"
        case "maxLength":
            return f"expected at most {error.validator_value} characters"
        case "minimum" | "exclusiveMinimum":
            least = "at least" if error.validator == "minimum" else "more than"
            return f"expected {least} {error.validator_value}, got {_shown(error.instance)}"
        case "maximum":
            return f"expected at most {error.validator_value}, got {_shown(error.instance)}"
        case "required":
            return f"expected the key {error.message.split()[0]}"
        case _:
            return str(error.message)


def _known_keys(error: jsonschema.ValidationError) -> list[str]:
    schema: Any = error.schema
    return list(schema["properties"])


def _kind(types: Any) -> str:
    return " or ".join([types] if isinstance(types, str) else types)


def _shown(value: Any) -> str:
    return "a mapping" if isinstance(value, Mapping) else repr(value)
