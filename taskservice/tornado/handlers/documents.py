"""Files that come with the service: the OpenAPI document, and the page to read and try it."""

import asyncio

from taskservice.http.negotiation import accepts_gzip
from taskservice.tornado.documents import openapi
from taskservice.tornado.handlers.conditional import ConditionalHandler


class DocumentRequestHandler(ConditionalHandler):
    """A file that comes with the service: public, since a page has no token to load it with."""

    public = True

    def give(self, file: openapi.ServedFile) -> None:
        """Return the file, compressed beforehand."""
        if self.unchanged(file.etag):
            return
        self.set_header("Content-Type", file.media_type)
        gzipped = accepts_gzip(self.fields.get("accept-encoding"))
        if gzipped:
            self.set_header("Content-Encoding", "gzip")
        self.write(file.gzipped if gzipped else file.body)


class OpenAPIRequestHandler(DocumentRequestHandler):
    """`/openapi.json`: the description of this API."""

    route = "/openapi.json"

    async def get(self) -> None:
        """Return the document."""
        tokens = bool(self.policy.access.tokens)
        self.give(await asyncio.to_thread(openapi.openapi_file, tokens, self.http.base_path))

    head = get


class DocsRequestHandler(DocumentRequestHandler):
    """`/docs`: the page to read and try the API, and the files it loads."""

    route = "/docs"

    async def get(self, name: str = openapi.DOCS_PAGE) -> None:
        """Return one of its files."""
        self.set_header("Content-Security-Policy", openapi.CONTENT_SECURITY_POLICY)
        self.give(await asyncio.to_thread(openapi.docs_file, name, self.http.base_path))

    head = get
