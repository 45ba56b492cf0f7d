"""`/` and `/static/{file}`: the page to look at."""

from taskservice.tornado import page
from taskservice.tornado.handlers import DocumentRequestHandler


class PageRequestHandler(DocumentRequestHandler):
    """The page, and what it loads: for everybody, as it is the page that asks for a token."""

    route = "/"
    public = True

    def get(self, name: str | None = None) -> None:
        """Give one of its files."""
        self.set_header("Content-Security-Policy", page.CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        self.give(page.page_file(name) if name else page.page_file())

    head = get


class StaticRequestHandler(PageRequestHandler):
    """`/static/{file}`: what the page loads."""

    route = "/static"
