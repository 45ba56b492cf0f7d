"""`${NAME}`, `${NAME:-default}` and `${file:/path}` in the values of a config, replaced after the YAML was parsed.

The content of a variable or a file is therefore data: no quote, colon or line end in it can change the structure of the
config.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from taskservice.errors import ConfigError

KeyPath = tuple[str, ...]

_REFERENCE = re.compile(r"""
    \$\$\{                                                           # a literal ${
    | \$\{ (?P<name> [A-Za-z_][A-Za-z0-9_]*) (:- (?P<default> [^}]*))? \}
    | \$\{ file: (?P<file> [^}]+) \}
    | (?P<wrong> \$\{ [^}]* \}?)
    """, re.VERBOSE)

# Python's logging uses ${name} itself there, with `style: '$'`.
_LEFT_ALONE = ("logging", "formatters")


class FileContent(str):
    """The content of a file named by `${file:…}`, often a secret: errors do not show it."""

    def __repr__(self) -> str:
        return "the content of a file"


def replace_variables(document: Any, environment: Mapping[str, str]) -> Any:
    """Return the document with each reference in a value replaced; raises ConfigError, which names key and variable.

    A value that is one `${NAME}` is read as a YAML scalar, so `${PORT}` can be a number and `${DEBUG}` a boolean. The
    content of a file is a string, without trailing line ends. Keys stay as they are.
    """
    return _replace(document, environment, ())


def _replace(value: Any, environment: Mapping[str, str], path: KeyPath) -> Any:
    match value:
        case dict() if path != _LEFT_ALONE:
            return {key: _replace(item, environment, (*path, str(key))) for key, item in value.items()}
        case list():
            return [_replace(item, environment, (*path, str(index))) for index, item in enumerate(value)]
        case str() if "${" in value:
            return _replace_in_text(value, environment, ".".join(path))
    return value


def _replace_in_text(text: str, environment: Mapping[str, str], key: str) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole and whole["name"]:
        return _scalar(_resolve(whole, environment, key), key)
    if whole and whole["file"]:
        return _resolve(whole, environment, key)
    replaced = _REFERENCE.sub(lambda reference: _resolve(reference, environment, key), text)
    return FileContent(replaced) if "${file:" in text else replaced


def _resolve(reference: re.Match[str], environment: Mapping[str, str], key: str) -> str:
    if reference["wrong"]:
        raise ConfigError(
            f"{key}: expected ${{NAME}}, ${{NAME:-default}}, ${{file:/path}}, or $${{ for a literal ${{,"
            f" got {reference[0]!r}")
    if reference["file"]:
        return _content(reference["file"], f"{key}: {reference[0]}")
    if (name := reference["name"]) is None:
        return "${"
    if (value := environment.get(name)) or reference["default"] is None and value is not None:
        return value
    if reference["default"] is None:
        raise ConfigError(f"{key}: the environment variable {name} is not set")
    return reference["default"]


def _content(path: str, where: str) -> FileContent:
    try:
        return FileContent(Path(path).read_text(encoding="utf-8").rstrip("\r\n"))
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or a NUL in the path
        raise ConfigError(f"{where}: is not the path of a text in UTF-8") from error


def _scalar(text: str, key: str) -> Any:
    """Read a text as YAML reads a plain scalar (YAML 1.2.2 §10.2.2): a number, a boolean, null, or itself."""
    loader = yaml.SafeLoader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # it has no types
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except (ValueError, yaml.YAMLError) as error:  # such as the 30th of February
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
