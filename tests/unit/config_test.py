"""The config: what it gives, and how it names the key that is wrong."""

import json
import tempfile
import unittest
from pathlib import Path

import jsonschema

from taskservice import read_schema
from taskservice.changes import ChangeFeed
from taskservice.config import Config, HttpConfig, parse_config, read_config
from taskservice.database.db_engines import create_todolist_db
from taskservice.database.read_queue import ReadLimits
from taskservice.errors import ConfigError
from taskservice.http1.limits import Limits

WRONG_BASE_PATHS = (
    "/", "todo", "/todo/", "//todo", "/a//b", "/a/../b", "/.", "/a b", "/%74odo", "/tödo", "/todo?", "/todo\n",
    "/readyz", "/healthz/a")

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SHIPPED = [*CONFIGS.iterdir(), *(
    CONFIGS.parent / "deploy" / f"{name}.yaml" for name in ("container", "systemd", "compose-service"))]


class ReadConfigTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def read(self, content: bytes) -> Config:
        """Read a file of this content."""
        file = self.folder / "config.yaml"
        file.write_bytes(content)
        return read_config(file)

    def test_the_configs_of_the_project_can_be_used(self) -> None:
        for file in CONFIGS.iterdir():
            with self.subTest(file.name):
                config = read_config(file)
                self.assertEqual(config.service_name, "TodoList")
                create_todolist_db(config.task_db)

    def test_each_config_logs_times_with_a_zone_and_levels(self) -> None:
        for file in SHIPPED:
            formatters = (read_config(file).logging or {})["formatters"]
            self.assertTrue(formatters, file)
            for formatter in formatters.values():
                self.assertIn("%(levelname)s", formatter["format"], file)
                if "local" not in file.name:  # which is word for word the tutorial's
                    self.assertEqual(formatter["datefmt"], "rfc3339", file)
                    self.assertNotIn("lineno", formatter["format"], "it would be that of logutils.log()")

    def test_each_config_names_its_schema_for_editors(self) -> None:
        for file in SHIPPED:
            prefix, schema = file.read_text("utf-8").splitlines()[0].split("=")
            self.assertEqual(prefix, "# yaml-language-server: $schema", file)
            self.assertEqual((file.parent / schema).resolve(), CONFIGS.parent / "schema/config-v1.0.json")

    def test_the_two_names_of_the_tutorials_config_are_one_file(self) -> None:
        name = CONFIGS / "taskservice-local.yaml"
        self.assertTrue(name.is_symlink())
        self.assertEqual(name.resolve(), CONFIGS / "todoList-local.yaml")

    def test_an_error_names_the_file(self) -> None:
        for content, said in ((b"task-db: {fs: 3}", "task-db.fs"), (b"\xff", "UTF-8"),
                              (b"a: [", "YAML")):
            with self.subTest(said), self.assertRaises(ConfigError) as caught:
                self.read(content)
            self.assertTrue(str(caught.exception).startswith(f"{self.folder / 'config.yaml'}: "))
            self.assertIn(said, str(caught.exception))

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        for path, reason in ((self.folder / "none.yaml", "No such file"), (self.folder, "directory")):
            with self.assertRaisesRegex(ConfigError, f"^{path}: .*{reason}"):
                read_config(path)


class ParseConfigTest(unittest.TestCase):

    def test_a_trusted_proxy_is_an_address_or_a_network(self) -> None:
        config = parse_config("http: {trusted-proxies: [10.0.0.0/8, '::1']}")
        self.assertEqual(list(config.http.trusted_proxies), ["10.0.0.0/8", "::1"])
        with self.assertRaisesRegex(ConfigError, r"^http\.trusted-proxies\.1: expected an address or a network .*"):
            parse_config("http: {trusted-proxies: ['::1', proxy.example.com]}")

    def test_a_base_path_is_as_it_comes_in_requests(self) -> None:
        for path in ("", "/todo", "/apps/todo", "/a.b/~c_d-1", "/...", "/a/readyz", "/readyz2"):
            self.assertEqual(parse_config(f"http: {{base-path: '{path}'}}").http.base_path, path)

    def test_what_is_not_there_has_a_default(self) -> None:
        for text in ("", "{}", "service: {}"):
            config = parse_config(text)
            self.assertEqual(config, Config())
            self.assertEqual((config.service_name, config.task_db), ("TodoList", None))

    def test_what_is_there_is_taken(self) -> None:
        config = parse_config(
            "service: {name: Mine}\ntask-db: {fs: /tmp/x}\nlogging: {version: 1, root: {level: INFO}}")
        self.assertEqual((config.service_name, config.task_db), ("Mine", {"fs": "/tmp/x"}))
        self.assertEqual(config.logging, {"version": 1, "root": {"level": "INFO"}})

    def test_factories_of_formatters_and_filters_take_keys_of_their_own(self) -> None:
        factory = {"own": {"()": "a.factory", "size": 3}}
        logging = {"version": 1, "formatters": factory, "filters": factory}
        self.assertEqual(parse_config(json.dumps({"logging": logging})).logging, logging)

    def test_event_streams_leave_connections_to_others(self) -> None:
        for http, streams in (("", 10_000), ("max-connections: 16000", 10_000), ("max-connections: 80", 50),
                              ("max-connections: 1", 0), ("max-connections: 100000", 10_000),
                              ("max-connections: 100, max-event-streams: 99", 99),
                              ("max-event-streams: 0", 0)):
            self.assertEqual(parse_config(f"http: {{{http}}}").http.max_event_streams, streams)

    def test_an_error_is_one_line_that_names_the_key(self) -> None:
        for text, said in (
                ("[]", "the config: expected object, got []"),
                ("3", "the config: expected object, got 3"),
                ("servcie: {name: x}", "servcie: unknown key, did you mean service?"),
                ("service: {nam: x}", "service.nam: unknown key, did you mean name?"),
                ("1: 2", "1: unknown key"),
                ("service: null", "service: expected object, got None"),
                ("service: {name: 3}", "service.name: expected string, got 3"),
                ("service: {name: {}}", "service.name: expected string, got a mapping"),
                ("service: {name: ''}", "service.name: expected a text that is not empty"),
                ("task-db: memory", "task-db: expected object, got 'memory'"),
                ("task-db: {}", "task-db: expected exactly one of memory"),
                ("task-db: {fs: /tmp, memory: null}", "task-db: expected exactly one of memory"),
                ("task-db: {mysql: x}", "task-db.mysql: unknown key, "),
                ("task-db: {memory: 1}", "task-db.memory: expected null, got 1"),
                ("task-db: {fs: ''}", "task-db.fs: expected a text that is not empty"),
                ('task-db: {postgres: {dsn: x, schema: "one\\n"}}',
                 "task-db.postgres.schema: expected, for example, taskservice, got"),
                ("http: {max-body: 0}", "http.max-body: expected at least 1, got 0"),
                ("http: {max-event-streams: 16000}",
                 "http.max-event-streams: expected less than http.max-connections = 16000, got 16000"),
                ("http: {max-event-streams: 5, max-connections: 5}", "less than http.max-connections = 5, got 5"),
                ("http: {max-event-streams: -1}", "http.max-event-streams: expected at least 0, got -1"),
                ("http: {max-ndjson-lines: 0}", "http.max-ndjson-lines: expected at least 1, got 0"),
                ("http: {max-header: 262145}",
                 "http.max-header: expected at most 262144, got 262145"),
                ("logging: {}", "logging: expected the key 'version'"),
                ("logging: {version: 2}", "logging.version: expected 1, got 2"),
                ("logging: {version: 1, handlerz: {}}", "logging.handlerz: unknown key, did you mean"),
                ("logging: {version: 1, root: {levle: INFO}}", "logging.root.levle: unknown key, did you mean level?"),
                ("logging: {version: 1, loggers: {taskservice: {handler: [a]}}}",
                 "logging.loggers.taskservice.handler: unknown key, did you mean handlers?"),
                ("logging: {version: 1, formatters: {line: {fromat: x}}}",
                 "logging.formatters.line.fromat: unknown key, did you mean format?"),
                ("logging: {version: 1, filters: {own: {nam: x}}}", "logging.filters.own.nam: unknown key, did you"),
                ("http: {drain-timeout: .nan}", "http.drain-timeout: expected number, got nan"),
                ("http: {drain-timeout: .inf}", "http.drain-timeout: expected number, got inf"),
                ("http: {drain-timeout: true}", "http.drain-timeout: expected number, got True"),
                ("http: {stream-backlog: 10.0}", "http.stream-backlog: expected integer, got 10.0"),
                ("http: {hosts: ['a.example:80']}", "http.hosts.0: expected, for example, tasks.example.com"),
                *((f"http: {{base-path: {json.dumps(path)}}}", "http.base-path: expected, for example, /todo or")
                  for path in WRONG_BASE_PATHS),
                ("http: {hosts: ['::1']}", "or [::1], got '::1'"),
                ("http: {hosts: ['http://a']}", "http.hosts.0: expected"),
                ("http: {cors-origins: ['https://A.example']}", "expected, for example, https://app.example.com"),
                (f"http: {{cors-origins: ['https://{'a' * 193}']}}", "cors-origins.0: expected at most 200 characters"),
                ("http: {cors-origins: ['https://a b', 'https://x?y', 'https://u@h']}", "origins.2: expected"),
                ("auth: {tokens: [{name: \"a\\n\", scope: read, sha256: %s}]}" % ("a" * 64), "tokens.0.name: "),
                ("auth: {tokens: [{name: a, scope: read, sha256: %s}, {name: b, scope: write, sha256: %s}]}"
                 % ("a" * 64, "a" * 64), "auth.tokens.1.sha256: expected another than that of auth.tokens.0"),
                ("http: {}\nauth: {tokens: []}\nauth: {}", "the key auth comes a second time in"),
                ("http: {max-body: 1, max-body: 2}", "the key max-body comes a second time"),
                ("service: {name: 2024-02-30}", "not YAML: day is out of range"),
                (f"http: {{max-body: {'9' * 5000}}}", "not YAML: "),
                ("[" * 3000, "not YAML: "),
                ("a: [\n", "not YAML: "),
                ("a: b: c\n- d", "not YAML: "),
                ("!!python/object/apply:os.system [exit]", "not YAML: ")):
            with self.subTest(text), self.assertRaises(ConfigError) as caught:
                parse_config(text)
            self.assertIn(said, str(caught.exception))
            self.assertEqual(len(str(caught.exception).splitlines()), 1)

    def test_a_memory_that_no_body_fits_into_is_an_error(self) -> None:
        for text in ("{max-body-memory: 33554431}", "{max-body-memory: 199, max-ndjson-body: 100}"):
            with self.assertRaisesRegex(
                    ConfigError, r"\Ahttp.max-body-memory: expected at least 2 \* http.max-ndjson-body = \d+"):
                parse_config(f"http: {text}")
        parse_config("http: {max-body-memory: 200, max-ndjson-body: 100}")

    def test_merge_keys_are_no_second_time(self) -> None:
        handlers = "{a: &a {class: logging.NullHandler, level: INFO}, b: {<<: *a, level: DEBUG}}"
        config = parse_config(f"logging: {{version: 1, handlers: {handlers}}}")
        assert config.logging is not None
        self.assertEqual(config.logging["handlers"]["b"], {"class": "logging.NullHandler", "level": "DEBUG"})

    def test_every_error_is_reported(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            parse_config("service: {name: 3}\ntask-db: {fs: 3}\nloging: 3")
        for key in ("service.name", "task-db.fs", "loging"):
            self.assertIn(f"{key}: ", str(caught.exception))

    def test_the_schema_is_one_and_its_name_is_that_of_the_code(self) -> None:
        schema = read_schema("config-v1.0")
        jsonschema.Draft7Validator.check_schema(schema)
        name = schema["properties"]["service"]["properties"]["name"]["default"]
        self.assertEqual(name, Config.service_name)


class DefaultsTest(unittest.TestCase):
    """The config's schema, the code and its parts have the same limits."""

    def test_the_defaults_of_the_schema_are_those_of_the_code(self) -> None:
        keys = read_schema("config-v1.0")["properties"]["http"]["properties"]
        for key, schema in keys.items():
            value = getattr(HttpConfig(), key.replace("-", "_"))
            if "default" in schema:
                self.assertEqual(list(value) if isinstance(value, tuple) else value, schema["default"], key)
            else:
                self.assertIsNone(value, key)
        self.assertEqual(set(vars(HttpConfig())), {key.replace("-", "_") for key in keys})

    def test_they_are_what_was_promised(self) -> None:
        http = HttpConfig()
        self.assertEqual(
            (http.max_header, http.max_body, http.max_ndjson_body, http.max_ndjson_lines,
             http.idle_timeout, http.header_timeout, http.body_timeout,
             http.reader_timeout, http.answer_timeout, http.max_connections, http.drain_timeout,
             http.stream_backlog),
            (16 * 1024, 64 * 1024, 16 * 1024 ** 2, 10_000, 75, 30, 20, 30, 10, 16_000, 20, 1_000))

    def test_parts_without_a_config_have_them(self) -> None:
        http = HttpConfig()
        self.assertEqual(Limits(), Limits(
            header_bytes=http.max_header, body_bytes=http.max_body, body_memory=http.max_body_memory,
            idle_timeout=http.idle_timeout, header_timeout=http.header_timeout, body_timeout=http.body_timeout,
            min_body_rate=http.min_body_rate, body_grace=http.body_timeout, answer_timeout=http.answer_timeout,
            reader_timeout=http.reader_timeout, connections=http.max_connections))
        self.assertEqual(ReadLimits(), ReadLimits(http.query_timeout, http.max_queued_reads))
        feed = ChangeFeed(create_todolist_db({"memory": None}))
        self.assertEqual((feed.backlog, feed.max_followers), (http.stream_backlog, http.max_event_streams))
