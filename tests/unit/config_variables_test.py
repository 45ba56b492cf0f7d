"""Environment variables and files in the values of a config."""

import tempfile
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskservice.config import Config, parse_config
from taskservice.config_variables import replace_variables
from taskservice.errors import ConfigError


def replaced(value: Any, **environment: str) -> Any:
    return replace_variables({"key": value}, environment)["key"]


class VariablesTest(unittest.TestCase):

    def test_a_variable_stands_anywhere_in_a_text(self) -> None:
        dsn = replaced("postgresql://${USER_}@${HOST_}:5432/tasks", USER_="me", HOST_="db.example")
        self.assertEqual(dsn, "postgresql://me@db.example:5432/tasks")

    def test_a_value_that_is_one_variable_is_read_as_a_yaml_scalar(self) -> None:
        for text, value in (("7", 7), ("0.5", 0.5), ("true", True), ("no", False), ("null", None), ("", None),
                            ("7 tasks", "7 tasks"), ("[1]", "[1]"), ("a: b", "a: b"), ("# a", "# a"), ("&a", "&a")):
            with self.subTest(text):
                self.assertEqual(replaced("${X}", X=text), value)
                self.assertEqual(replaced("${X:-%s}" % text), value)

    def test_a_part_of_a_text_stays_a_text(self) -> None:
        self.assertEqual(replaced("${X} ", X="7"), "7 ")
        self.assertEqual(replaced("${X}${Y}", X="7", Y="8"), "78")

    def test_the_default_holds_where_the_variable_is_unset_or_empty(self) -> None:
        self.assertEqual(replaced("a ${X:-b}"), "a b")
        self.assertEqual(replaced("a ${X:-b}", X=""), "a b")
        self.assertEqual(replaced("a ${X:-b}", X="c"), "a c")
        self.assertEqual(replaced("a ${X:-}."), "a .")

    def test_an_empty_variable_is_set(self) -> None:
        self.assertEqual(replaced("a${X}.", X=""), "a.")

    def test_two_dollars_are_a_literal_one(self) -> None:
        self.assertEqual(replaced("$${X}", X="7"), "${X}")
        self.assertEqual(replaced("a $${file:/x} ${X}", X="7"), "a ${file:/x} 7")

    def test_a_dollar_alone_is_nothing_special(self) -> None:
        for text in ("$X", "$", "$$", "5$ {X}", "%(message)s"):
            self.assertEqual(replaced(text, X="7"), text)

    def test_what_was_put_in_is_not_read_again(self) -> None:
        self.assertEqual(replaced("a${X}", X="${Y}", Y="7"), "a${Y}")
        self.assertEqual(replaced("${X}", X="${Y}", Y="7"), "${Y}")

    def test_values_are_replaced_at_any_depth_and_keys_are_not(self) -> None:
        document = {"a": [{"${X}": "${X}"}, "${X}"], 3: "${X}"}
        self.assertEqual(replace_variables(document, {"X": "7"}), {"a": [{"${X}": 7}, 7], 3: 7})

    def test_formats_of_logging_are_left_alone(self) -> None:
        logging: Mapping[str, Any] = {
            "formatters": {"a": {"style": "$", "format": "${message}"}}, "handlers": {"a": {"level": "${LEVEL}"}}}
        done = replace_variables({"logging": logging}, {"LEVEL": "INFO"})["logging"]
        self.assertEqual(done, {**logging, "handlers": {"a": {"level": "INFO"}}})

    def test_an_unset_variable_is_an_error_that_names_it_and_the_key(self) -> None:
        for text in ("http: {hosts: [a, '${NAME_}']}", "http: {hosts: [a, 'b${NAME_}']}"):
            with self.assertRaisesRegex(ConfigError, r"^http\.hosts\.1: the environment variable NAME_ is not set$"):
                parse_config(text, {})

    def test_a_reference_of_another_form_is_an_error_that_names_the_key(self) -> None:
        for text in ("${", "${}", "${1A}", "${A", "${A-b}", "${file:}", "a ${a b}"):
            with self.subTest(text), self.assertRaisesRegex(ConfigError, r"^key: expected \$\{NAME\}, .*got '\$\{"):
                replaced(text, A="1", a="2")

    def test_a_scalar_that_cannot_be_is_an_error_that_names_the_key(self) -> None:
        with self.assertRaisesRegex(ConfigError, "^key: .*day"):
            replaced("${X}", X="2026-02-30")


class FilesTest(unittest.TestCase):

    def setUp(self) -> None:
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "a secret"

    def parsed(self, text: str) -> Config:
        return parse_config(text.replace("FILE", "'${file:%s}'" % self.file))

    def test_the_content_of_a_file_is_a_text_without_its_last_line_end(self) -> None:
        for content, value in ((b"12345\n", "12345"), (b" a\r\n", " a"), (b"a\nb\n\n", "a\nb"), (b"", "")):
            self.file.write_bytes(content)
            self.assertEqual(replaced("${file:%s}" % self.file), value)
            self.assertEqual(replaced("<${file:%s}>" % self.file), f"<{value}>")

    def test_a_token_comes_from_a_file(self) -> None:
        self.file.write_text("0" * 64 + "\n")
        config = self.parsed("auth: {tokens: [{name: a, scope: read, sha256: FILE}]}")
        self.assertEqual(config.tokens[0]["sha256"], "0" * 64)

    def test_an_error_does_not_show_what_the_file_holds(self) -> None:
        self.file.write_text("hunter2\n")
        for text in ("auth: {tokens: [{name: a, scope: read, sha256: FILE}]}", "http: {max-body: FILE}",
                     "http: {server: FILE}", "logging: {version: FILE}", "http: FILE"):
            with self.subTest(text), self.assertRaises(ConfigError) as caught:
                self.parsed(text)
            self.assertNotIn("hunter2", str(caught.exception))

    def test_a_file_that_cannot_be_read_is_an_error_that_names_it_and_the_key(self) -> None:
        with self.assertRaisesRegex(ConfigError, r"^service\.name: \$\{file:.*a secret\}: No such file"):
            self.parsed("service: {name: FILE}")
        self.file.write_bytes(b"\xff")
        with self.assertRaisesRegex(ConfigError, r"^service\.name: \$\{file:.*a secret\}: .*UTF-8"):
            self.parsed("service: {name: FILE}")
