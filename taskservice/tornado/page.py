"""The page: its files, as they are served, and what a browser may do on it.

Nothing is read before it is asked for, and then once.
"""

from functools import cache
from pathlib import Path

from taskservice.tornado.openapi import ServedFile

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
"""What the page may do: load its own files, and ask its own service; nothing inline.

Trusted Types have the browser refuse to take any text for HTML, whatever a script may try.
"""

_FOLDER = Path(__file__).resolve().parent / "static" / "page"
_INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
}

PAGE_FILES = frozenset({
    "access.js", "api.js", "app.js", "composer.js", "conflict.js", "connection.js", "dates.js",
    "dom.js", "due-field.js", "editor.js", "events.js", "filters.js", "fold.js", "icon.svg",
    "list-view.js", "notices.js", "query.js", "row-view.js", "row.js", "status.js", "store.js", "style.css",
    "task.js"})
"""The files that the page loads, as `/static/{file}`."""


@cache
def page_file(name: str = _INDEX) -> ServedFile:
    """Return the page, or one of the PAGE_FILES."""
    file = _FOLDER / name
    return ServedFile.of(_TYPES[file.suffix], file.read_bytes())
