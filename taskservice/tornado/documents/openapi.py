"""The OpenAPI document, and the page to read and try the API.

Nothing is read before it is asked for, and then once. That takes up to a quarter of a second (the page's script is
large), so ask in a thread: `await asyncio.to_thread(openapi_file)`.
"""

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from taskservice import __version__

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'")
"""The content security policy of `/docs`: nothing from elsewhere, nothing inline; Swagger UI has `data:` icons."""

PACKAGE = "mkdocs-swagger-ui-tag"
"""The package that contains Swagger UI; nothing else of it is used, nor imported."""

_HERE = Path(__file__).resolve().parent
DOCS_PAGE = "index.html"
_OWN_FILES = {
    DOCS_PAGE: "text/html; charset=UTF-8", "init.js": "text/javascript; charset=UTF-8",
    "style.css": "text/css; charset=UTF-8"}
_PACKAGED_FILES = {
    "swagger-ui.css": ("text/css; charset=UTF-8", "stylesheets"),
    "swagger-ui-bundle.js": ("text/javascript; charset=UTF-8", "javascripts"),
}

DOCS_FILES = frozenset({*_OWN_FILES, *_PACKAGED_FILES} - {DOCS_PAGE})
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
def description(tokens: bool = False, base_path: str = "") -> dict[str, Any]:
    """Return the OpenAPI document of a service that has tokens, or of one that may have them, under a path."""
    import yaml

    described: dict[str, Any] = yaml.load(
        (_HERE / "openapi.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    del described["x-anchors"]
    described["info"]["version"] = __version__
    if tokens:
        described["security"].remove({})
    _put_under(base_path, described)
    return described


def _put_under(base_path: str, described: Any) -> None:
    """Set the server's URL in the document; the paths are below that."""
    for server in described["servers"]:
        server["url"] = server["url"].rstrip("/") + base_path or "/"
    location = described["components"]["headers"]["Location"]
    location["schema"]["pattern"] = f"^{base_path.replace('.', '[.]')}{location['schema']['pattern'][1:]}"
    location["example"] = base_path + location["example"]


def document(tokens: bool = False, base_path: str = "") -> bytes:
    """Return the OpenAPI document as JSON (see `description`)."""
    return json.dumps(description(tokens, base_path), ensure_ascii=False).encode()


@cache
def openapi_file(tokens: bool, base_path: str = "") -> ServedFile:
    """Return the file of `/openapi.json` (see `description`)."""
    return ServedFile.of("application/json; charset=UTF-8", document(tokens, base_path))


@cache
def docs_file(name: str = DOCS_PAGE, base_path: str = "") -> ServedFile:
    """Return the page of `/docs`, or one of the DOCS_FILES that it loads, for a service under a path.

    Raises ModuleNotFoundError, which names the package that Swagger UI comes in.
    """
    if name in _OWN_FILES:
        body = (_HERE.parent / "static" / "docs" / name).read_bytes()
        return ServedFile.of(_OWN_FILES[name], body.replace(b'"/', f'"{base_path}/'.encode()))
    media_type, folder = _PACKAGED_FILES[name]
    return ServedFile.of(media_type, (_swagger_ui() / folder / name).read_bytes())


def _swagger_ui() -> Path:
    module = PACKAGE.replace("-", "_")
    spec = find_spec(module)  # finds it without running any of its code
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"/docs needs the package '{PACKAGE}'", name=module)
    return Path(spec.origin).parent / "swagger-ui"
