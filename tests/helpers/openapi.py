"""Holds the service to its OpenAPI document: `check` an answer, compare the routes.

It finds what an Application has and the document lacks, and the other way round. HEAD, OPTIONS and the pages are no
operations of the document: `all_paths` puts together what they answer.
"""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import tornado.web
from tornado.routing import PathMatches

from taskservice.tornado.documents.openapi import DOCS_FILES, description
from taskservice.tornado.documents.page import folder_name

NOT_DESCRIBED = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})
"""The headers that delimit a message and end a connection (RFC 9112), or are said by `content`."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Item = dict[str, Any]
"""A path item of OpenAPI."""

_DOCS_FIELDS: Item = {"Content-Security-Policy": {"required": True, "schema": {"type": "string"}}}
_WORKER_FIELDS = {"Service-Worker-Allowed": {"schema": {"const": "/"}}}
_PAGE_FIELDS: Item = {
    **_DOCS_FIELDS, **_WORKER_FIELDS, "Referrer-Policy": {"required": True, "schema": {"const": "no-referrer"}}}
_KEPT_FIELDS: Item = {**_PAGE_FIELDS, "Cache-Control": {
    "required": True, "schema": {"const": "public, max-age=31536000, immutable"}}}
_PAGE_FILE: Item = {
    "name": "page_file", "schema": {"pattern": r"^[a-z0-9-]+\.(js|css|svg|png|webmanifest)$", "examples": ["app.js"]}}
_PAGES: dict[str, tuple[Item, Item | None]] = {
    # The fields that the answers have beside those of the document's, and the file's name.
    "/docs": (_DOCS_FIELDS, None),
    "/docs/{file}": (_DOCS_FIELDS, {"name": "file", "schema": {"enum": sorted(DOCS_FILES)}}),
    "/": (_PAGE_FIELDS, None),
    "/static/{page_file}": (_PAGE_FIELDS, _PAGE_FILE),
    f"/static/{folder_name()}/{{page_file}}": (_KEPT_FIELDS, _PAGE_FILE),
}
_TEXTS = {
    **dict.fromkeys(("text/html", "text/css", "text/javascript", "image/svg+xml"), {"schema": {"type": "string"}}),
    "image/png": {"schema": {"type": "string", "pattern": "^\x89PNG"}},
    "application/manifest+json": {"schema": {"type": "object"}}}
_UNKNOWN = {"$ref": "#/components/responses/UnknownEndpoint"}


@cache
def all_paths() -> Mapping[str, Item]:
    """Return the path items of the document and of the pages, with HEAD and OPTIONS."""
    pages = {path: _page(*page) for path, page in _PAGES.items()}
    return {path: _with_head_and_options(item) for path, item in {**description()["paths"], **pages}.items()}


def _page(fields: Mapping[str, Any], file: Item | None) -> Item:
    """Return the path item of a page or of its files, which are answered as the document is, with more fields."""
    responses = dict(description()["paths"]["/openapi.json"]["get"]["responses"])
    for status, content in ("200", {"content": _TEXTS}), ("304", {}):
        response = _resolve(responses[status])
        responses[status] = {**response, **content, "headers": {**response["headers"], **fields}}
    if file is None:
        return {"parameters": [], "get": {"responses": responses}}
    return {"parameters": [{**file, "in": "path"}], "get": {"responses": {**responses, "404": _UNKNOWN}}}


def _with_head_and_options(item: Item) -> Item:
    responses = {"204": {"$ref": "#/components/responses/Options"}, **_failures()}
    if any(_path_parameters(item)):
        responses["404"] = _UNKNOWN
    return {**item, "head": item["get"], "options": {"responses": responses}}


def _failures() -> Item:
    """Return the answers to any request that fails, whatever it asks for."""
    public: Item = description()["paths"]["/healthz"]["get"]["responses"]
    return {status: response for status, response in public.items() if status >= "400"}


def check(method: str, url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise AssertionError, with the reason, if the document does not have this answer to `method url`."""
    asked = f"{method} {url}: {status}"
    try:
        _check(method, urlsplit(url).path, status, {name.lower(): value for name, value in headers.items()}, body)
    except AssertionError as error:
        raise AssertionError(f"{asked}: {error}") from None


def _check(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    response = _response(method, path, status)
    _check_headers(response.get("headers", {}), headers)
    if (item := _path_item(path)) is not None and "allow" in headers:
        _expect(set(headers["allow"].split(", ")) == _methods(item), f"Allow: {headers['allow']}")
    if method == "HEAD" or status in (204, 304):
        _expect(not body, "has a body")
    else:
        _check_body(response.get("content", {}), headers, body)


def _response(method: str, path: str, status: int) -> dict[str, Any]:
    """Return what the document says of this answer."""
    item = _path_item(path)
    responses: dict[str, Any] = description()["components"]["responses"]
    access = {"401": responses["Unauthorized"], "403": responses["Forbidden"], "421": responses["Misdirected"]}
    if item is None:
        declared = {**access, "404": responses["UnknownEndpoint"]}
    elif method not in _methods(item):
        declared = {**access, "405": responses["MethodNotAllowed"]}
    else:
        declared = item[method.lower()]["responses"]
    _expect(str(status) in declared, f"undeclared status, there are {', '.join(sorted(declared))}")
    return _resolve(declared[str(status)])


def _path_item(path: str) -> Item | None:
    """Return what the document says of a path, to which a slash may be added if it has no file's name."""
    path = path if "." in path or path == "/" else path.removesuffix("/")
    found = [item for pattern, item in _templates() if pattern.fullmatch(path)]
    return found[0] if found else None


@cache
def _templates() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [(re.compile(_pattern(template, item)), item) for template, item in all_paths().items()]


def _pattern(template: str, item: dict[str, Any]) -> str:
    """Return the regular expression of a path, with those of its parameters in it."""
    pattern = re.escape(template)
    for name, schema in _path_parameters(item):
        value = schema["pattern"].strip("^$") if "pattern" in schema else "|".join(map(re.escape, schema["enum"]))
        pattern = pattern.replace(rf"\{{{name}\}}", f"({value})")
    return pattern


def _path_parameters(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give name and schema of what varies in a path."""
    for parameter in map(_resolve, item["parameters"]):
        if parameter["in"] == "path":
            yield parameter["name"], _resolve(parameter["schema"])


def _methods(item: dict[str, Any]) -> set[str]:
    return {name.upper() for name in item} & METHODS


def _check_headers(declared: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    known = {name.lower(): _resolve(header) for name, header in declared.items()}
    undeclared = headers.keys() - known.keys() - NOT_DESCRIBED
    _expect(not undeclared, f"undeclared headers: {', '.join(sorted(undeclared))}")
    for name, header in known.items():
        if name in headers:
            _check_value(f"header {name}", header["schema"], headers[name])
        else:
            _expect(not header.get("required"), f"header {name} is missing")


def _check_body(content: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> None:
    if not content:
        _expect(not body, "undeclared body")
        return
    media_type = headers.get("content-type", "none").split(";")[0]
    _expect(media_type in content, f"undeclared type {media_type}, there are {', '.join(content)}")
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    declared = content[media_type]
    if (line := declared.get("x-itemSchema")) is not None:
        declared = {"schema": {"type": "array", "items": line}}
    _check_value("body", declared["schema"], decode(media_type, body))


def decode(media_type: str, body: bytes) -> Any:
    """Return what a body says, in the terms of the document's schemas; AssertionError if nothing."""
    try:
        if media_type == "application/x-ndjson":
            return [json.loads(line) for line in body.splitlines()]
        return json.loads(body) if media_type.endswith("json") else body.decode(
            "latin-1" if media_type == "image/png" else "utf-8")
    except ValueError as error:
        raise AssertionError(f"body is not {media_type}: {error}") from None


def violations(schema: dict[str, Any], value: Any) -> list[str]:
    """Return every way in which a value breaks a schema of the document."""
    return [f"{error.message[:500]} at {error.instance_path}" for error in _validator(_key(schema)).iter_errors(value)]


def _check_value(what: str, schema: dict[str, Any], value: Any) -> None:
    _expect(not (found := violations(schema, value)), f"{what}: {'; '.join(found)}")


def _key(schema: dict[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True)


@cache
def _validator(key: str) -> jsonschema_rs.Draft202012Validator:
    """Make the validator of a schema, whose references are into the document's components."""
    return jsonschema_rs.Draft202012Validator({**json.loads(key), "components": description()["components"]})


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, if it is one."""
    while "$ref" in node:
        node = _at(node["$ref"])
    return node


def _at(reference: str) -> dict[str, Any]:
    node = description()
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


# --- Routes ----------------------------------------------------------------------------------------------------------

def route_differences(application: tornado.web.Application) -> list[str]:
    """Return what the routes of an application and those of the document do not have in common."""
    rules = [(rule.matcher, rule.target) for rule in application.wildcard_router.rules]
    served = {one for matcher, handler in rules if isinstance(matcher, PathMatches)
              for one in _served(matcher.regex, handler)} - {r"OPTIONS \*$"}  # which is of no path
    declared = {f"{method} {path}" for path, item in all_paths().items() for method in _methods(item)}
    undeclared = [f"undeclared: {one}" for one in served - declared]
    return sorted(undeclared + [f"not served: {one}" for one in declared - served])


def _served(route: re.Pattern[str], handler: type[tornado.web.RequestHandler]) -> Iterator[str]:
    """Give method and path, in the document's words where it has it, of what a route serves."""
    samples = {path: _sample(path, item) for path, item in all_paths().items()}
    # A slash at the end of a path is optional, and the form with it may be a route of its own.
    paths = [path for path, sample in samples.items() if route.match(sample) or route.match(f"{sample}/")]
    base = tornado.web.RequestHandler
    for method in METHODS:
        if getattr(handler, method.lower()) is not getattr(base, method.lower()):
            yield from (f"{method} {path}" for path in paths or [route.pattern])


def _sample(path: str, item: dict[str, Any]) -> str:
    """Return a path like this, with values for its parameters."""
    for name, schema in _path_parameters(item):
        path = path.replace(f"{{{name}}}", (schema.get("examples") or schema["enum"])[0])
    return path
