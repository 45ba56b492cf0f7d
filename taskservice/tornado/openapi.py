"""What the service says of its API: the OpenAPI document, and the page to read and try it.

Nothing is read before it is asked for, and then once. That takes up to a quarter of a second (the
page's script is large), so ask in a thread: `await asyncio.to_thread(openapi_file)`.
"""

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from taskservice import __version__, read_schema

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'")
"""What `/docs` may load: nothing from elsewhere, nothing inline; Swagger UI has `data:` icons."""

PACKAGE = "mkdocs-swagger-ui-tag"
"""What carries Swagger UI; nothing else of it is used, nor imported."""

_HERE = Path(__file__).resolve().parent
_PAGE = "index.html"
_OWN_FILES = {_PAGE: "text/html; charset=UTF-8", "init.js": "text/javascript; charset=UTF-8"}
_PACKAGED_FILES = {
    "swagger-ui.css": ("text/css; charset=UTF-8", "stylesheets"),
    "swagger-ui-bundle.js": ("text/javascript; charset=UTF-8", "javascripts"),
}

DOCS_FILES = frozenset({"init.js", *_PACKAGED_FILES})
"""The files that the page loads, as `/docs/{file}`."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file as it is served: its type, its bytes plain and in gzip, one weak tag for both."""

    media_type: str
    body: bytes
    gzipped: bytes
    etag: str

    @classmethod
    def of(cls, media_type: str, body: bytes) -> Self:
        """Compress and tag the bytes."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        return cls(media_type, body, gzip.compress(body, mtime=0), f'W/"{digest}"')


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI document, with the task's schema and the service's version put in."""
    import yaml

    described: dict[str, Any] = yaml.load(
        (_HERE / "openapi.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    del described["x-anchors"]
    described["info"]["version"] = __version__
    task = read_schema("todoList-v1.0")
    del task["$schema"], task["$id"]  # a part of this document, and found by its place in it
    described["components"]["schemas"]["Task"] = task
    return described


@cache
def document() -> bytes:
    """Return the OpenAPI document as JSON."""
    return json.dumps(description(), ensure_ascii=False).encode()


@cache
def openapi_file() -> ServedFile:
    """Return what `/openapi.json` serves."""
    return ServedFile.of("application/json; charset=UTF-8", document())


@cache
def docs_file(name: str = _PAGE) -> ServedFile:
    """Return the page of `/docs`, or one of the DOCS_FILES that it loads.

    Raises ModuleNotFoundError, which names the package that Swagger UI comes in.
    """
    if name in _OWN_FILES:
        return ServedFile.of(_OWN_FILES[name], (_HERE / "static" / "docs" / name).read_bytes())
    media_type, folder = _PACKAGED_FILES[name]
    return ServedFile.of(media_type, (_swagger_ui() / folder / name).read_bytes())


def _swagger_ui() -> Path:
    module = PACKAGE.replace("-", "_")
    spec = find_spec(module)  # finds it without running any of its code
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"/docs needs the package '{PACKAGE}'", name=module)
    return Path(spec.origin).parent / "swagger-ui"
