"""Two clients who add one to a number, first without conditions, then with `If-Match`."""

import asyncio
import json

from serving import fetch, serving
from tornado.web import Application, HTTPError, RequestHandler


class CounterHandler(RequestHandler):
    value = 0
    revision = 1

    def compute_etag(self) -> str:
        """Return the tag of what `get` answers; Tornado's own hashes the body that was made."""
        return f'"{self.revision}"'

    def get(self) -> None:
        self.set_etag_header()
        if self.check_etag_header():  # the client has it already (RFC 9110 §13.1.2)
            self.set_status(304)
        else:
            self.write(str(self.value))

    def put(self) -> None:
        """Replace the number, unless the client has seen another revision (RFC 9110 §13.1.1)."""
        expected = self.request.headers.get("If-Match")
        if expected is not None and expected != self.compute_etag():
            raise HTTPError(412)
        # Nothing is awaited between the comparison and the write: with a database, both are one transaction.
        CounterHandler.value = json.loads(self.request.body)
        CounterHandler.revision += 1
        self.set_status(204)


async def add_one(port: int, both_have_read: asyncio.Barrier, with_condition: bool) -> int:
    """Read, add one, write; again if somebody was faster. Return how many times that took."""
    for attempt in range(1, 10):
        read = await fetch(port, "/")
        if attempt == 1:
            await both_have_read.wait()
        headers = {"If-Match": read.headers["Etag"]} if with_condition else {}
        body = str(int(read.body) + 1)
        if (await fetch(port, "/", method="PUT", body=body, headers=headers)).code == 204:
            return attempt
    raise AssertionError("always too late")


async def main() -> None:
    async with serving(Application([("/", CounterHandler)], log_function=lambda handler: None)) as port:
        for with_condition in (False, True):
            CounterHandler.value = 0
            barrier = asyncio.Barrier(2)
            attempts = await asyncio.gather(*[add_one(port, barrier, with_condition) for _ in range(2)])
            how = "If-Match" if with_condition else "without"
            print(f"{how}: {CounterHandler.value}, after {sum(attempts)} attempts")
        tag = (await fetch(port, "/")).headers["Etag"]
        print("unchanged:", (await fetch(port, "/", headers={"If-None-Match": tag})).code)


asyncio.run(main())
