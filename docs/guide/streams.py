"""A body as it comes in, an answer as it goes out, and a reader who takes nothing of it."""

import asyncio

from serving import fetch, serving
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler, stream_request_body

PIECE = b"x" * 65_536
PIECES = 1_000


@stream_request_body
class UploadHandler(RequestHandler):
    """Counts a body of any size, and holds a piece of it at a time."""

    def prepare(self) -> None:
        self.size = 0

    def data_received(self, chunk: bytes) -> None:  # may be a coroutine: then the client waits
        self.size += len(chunk)

    def post(self) -> None:
        self.write(f"{self.size} bytes")


class DownloadHandler(RequestHandler):
    """Sends 65 MB; under `/waits` each piece waits until the client has taken the last one."""

    written = 0
    begun = asyncio.Event()

    async def get(self, how: str) -> None:
        for DownloadHandler.written in range(1, PIECES + 1):
            self.begun.set()
            self.write(PIECE)
            flushed = self.flush()
            if how == "waits":
                try:
                    await flushed
                except StreamClosedError:  # the client has left: no error of ours
                    return


async def ask_and_read_nothing(port: int, how: str) -> None:
    _, client = await asyncio.open_connection("127.0.0.1", port, limit=1)
    client.write(f"GET /download/{how} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await DownloadHandler.begun.wait()
    DownloadHandler.begun.clear()
    client.transport.abort()


async def main() -> None:
    application = Application(
        [("/upload", UploadHandler), (r"/download/(\w+)", DownloadHandler)], log_function=lambda handler: None)
    async with serving(application) as port:
        response = await fetch(port, "/upload", method="POST", body=PIECE * 160)
        print(f"upload: {response.body.decode()}")
        for how in ("hurries", "waits"):
            await ask_and_read_nothing(port, how)
            print(f"{how}: {'all' if DownloadHandler.written == PIECES else 'not all'} pieces are written")


asyncio.run(main())
