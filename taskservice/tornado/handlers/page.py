"""`/`, `/static/{file}` and `/static/{hash}/{file}`: the page to look at."""

from http import HTTPStatus

import tornado.web

from taskservice.tornado.documents import page
from taskservice.tornado.handlers.documents import DocumentRequestHandler


class PageRequestHandler(DocumentRequestHandler):
    """The page, and what it loads."""

    route = "/"

    def get(self, *path: str) -> None:
        """Give one of its files, which the path ends with."""
        name = path[-1] if path else None
        self.set_header("Content-Security-Policy", page.CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        if name == page.WORKER:
            self.set_header("Service-Worker-Allowed", f"{self.http.base_path}/")
        self.give(page.page_file(name) if name else page.page_file())

    head = get


class BasePathRequestHandler(DocumentRequestHandler):
    """`http.base-path` without the slash, from which the page's relative addresses would lead elsewhere."""

    route = "/"

    def get(self) -> None:
        """Send the client to the page, with the view that the query names."""
        query = f"?{self.request.query}" if self.request.query else ""
        self.redirect(f"{self.http.base_path}/{query}", permanent=True)

    head = get


class StaticRequestHandler(PageRequestHandler):
    """`/static/{file}`: what the page loads."""

    route = "/static"


class HashedRequestHandler(StaticRequestHandler):
    """`/static/{hash}/{file}`: the same, for good, as the name of the folder says what is in it."""

    def get(self, *path: str) -> None:
        """Give one of the files; raises 404 where the folder is that of another version."""
        if path[0] != page.folder_name():
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND, reason="Unknown Endpoint")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        super().get(*path)

    head = get
