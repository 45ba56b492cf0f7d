"""`/`, `/static/{file}` and `/static/{hash}/{file}`: the page."""

from http import HTTPStatus

import tornado.web

from taskservice.tornado.documents import page
from taskservice.tornado.handlers.documents import DocumentRequestHandler


class PageRequestHandler(DocumentRequestHandler):
    """The page, and the files it loads."""

    route = "/"

    def get(self, *path: str) -> None:
        """Return one of its files, which the path ends with."""
        name = path[-1] if path else None
        self.set_header("Content-Security-Policy", page.CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        if name == page.WORKER:
            self.set_header("Service-Worker-Allowed", f"{self.http.base_path}/")
        self.give(page.page_file(name) if name else page.page_file())

    head = get


class BasePathRequestHandler(DocumentRequestHandler):
    """`http.base-path` without the slash, from which the page's relative URLs would lead elsewhere."""

    route = "/"

    def get(self) -> None:
        """Redirect to the page, with the view that the query names."""
        query = f"?{self.request.query}" if self.request.query else ""
        self.redirect(f"{self.http.base_path}/{query}", permanent=True)

    head = get


class StaticRequestHandler(PageRequestHandler):
    """`/static/{file}`: the files of the page."""

    route = "/static"


class HashedRequestHandler(StaticRequestHandler):
    """`/static/{hash}/{file}`: the same, immutable, since the name of the folder identifies the content."""

    def get(self, *path: str) -> None:
        """Return one of the files; raises 404 if the folder is that of another version."""
        if path[0] != page.folder_name():
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND, reason="Unknown Endpoint")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        super().get(*path)

    head = get
