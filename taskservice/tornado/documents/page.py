"""The page: its files as they are served, and its content security policy.

All that the page loads lies under one folder that is named by the joint hash of the files,
`/static/{hash}/`: imports are relative, and browsers keep the files for good. The worker, the
manifest and its icons, whose addresses have to stay, lie beside it. Nothing is read before it is asked for, and
then once.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

from taskservice.tornado.documents.openapi import ServedFile

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types taskservice-worker")
"""The content security policy: load its own files, and ask its own service; nothing inline.

With Trusted Types the browser refuses to take any text for HTML or a script, whatever a script may try. The single
policy passes the address of the page's own worker, and nothing else.
"""

_FOLDER = Path(__file__).resolve().parents[1] / "static" / "page"
_INDEX = "index.html"
_SCRIPT = "app.js"
_TYPES = {
    ".html": "text/html; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}

WORKER = "worker.js"
"""The service worker: its address stays, so that a browser finds its next version."""

MANIFEST = "manifest.webmanifest"
"""The manifest, by which browsers install the page."""

PAGE_FILES = frozenset(file.name for file in _FOLDER.iterdir()) - {_INDEX}
"""The files of the page, as `/static/{file}` and as `/static/{hash}/{file}`."""

LOADED_FILES = frozenset(name for name in PAGE_FILES if not name.endswith(".png")) - {WORKER, MANIFEST}
"""Those that the page loads from the folder with the hash; pictures are loaded where it is installed."""


@cache
def folder_name() -> str:
    """Return the name of the folder under `/static/`: it changes with any file."""
    digest = hashlib.sha256()
    for name in sorted({_INDEX, *PAGE_FILES}):
        content = (_FOLDER / name).read_bytes()
        digest.update(b"%b %d\n%b" % (name.encode(), len(content), content))
    return digest.hexdigest()[:16]


@cache
def page_file(name: str = _INDEX) -> ServedFile:
    """Return the page, or one of the PAGE_FILES."""
    file = _FOLDER / name
    body = file.read_bytes()
    if name == _INDEX:
        body = _with_folder(body)
    elif name == WORKER:
        files = json.dumps([f"{folder_name()}/{each}" for each in sorted(LOADED_FILES)])
        body = f'const FOLDER = "{folder_name()}";\nconst FILES = {files};\n'.encode() + body
    return ServedFile.of(_TYPES[file.suffix], body)


def _with_folder(page: bytes) -> bytes:
    """Let the page load its files from the folder, and all of its modules at once."""
    modules = sorted(name for name in LOADED_FILES if name.endswith(".js") and name != _SCRIPT)
    links = "\n".join(f'  <link rel="modulepreload" href="static/{name}">' for name in modules)
    whole = page.replace(b"  <!-- modules -->", links.encode())
    for name in LOADED_FILES:
        whole = whole.replace(f'"static/{name}"'.encode(), f'"static/{folder_name()}/{name}"'.encode())
    return whole
