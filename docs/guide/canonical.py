"""A forged line, and the canonical line of a request in logfmt."""

import asyncio
import json
import logging
import sys
from typing import Any

from serving import fetch, serving
from tornado.web import Application, HTTPError, RequestHandler


def logfmt(**facts: Any) -> str:
    """Return a line that parses back to these facts, whatever they hold: JSON quotes and escapes."""
    return " ".join(f"{key}={json.dumps(value)}" for key, value in facts.items())


class LoginHandler(RequestHandler):
    def post(self) -> None:
        name = self.get_body_argument("name")
        logging.getLogger("shop").info(f"login of {name} failed")  # forged
        raise HTTPError(403, reason="wrong password")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Keep for the log why the client was refused."""
        self.reason = self._reason
        super().write_error(status_code, **kwargs)

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Not a line of its own: the canonical line has the reason."""


def log_request(handler: RequestHandler) -> None:
    """Write one line for a request, with all that explains it; the Application's `log_function`."""
    facts = {"method": handler.request.method, "uri": handler.request.uri, "status": handler.get_status()}
    if handler.get_status() >= 400:
        facts |= {"reason": getattr(handler, "reason", ""), "name": handler.get_body_argument("name", "")}
    logging.getLogger("shop").info(logfmt(**facts))


async def main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")
    async with serving(Application([("/login", LoginHandler)], log_function=log_request)) as port:
        await fetch(port, "/login", method="POST", body="name=eve%0AINFO+login+of+root+succeeded;+eve")


asyncio.run(main())
