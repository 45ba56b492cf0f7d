"""Logs cannot be forged (RELIABILITY.md 8): any bytes in path, fields, method or title.

Each event is one line that parses back to what went in, and no line has a token in it.
"""

import json
import random
import re
import unittest
from collections import Counter
from pathlib import Path

import yaml

from tests.contract import quick_folder
from tests.helpers.app import ROOT, logged_target
from tests.helpers.live import config
from tests.helpers.logs import LINE_ENDS, parse
from tests.helpers.processes import ServiceProcess
from tests.helpers.restarts import SEED
from tests.helpers.raw import Peer
from tests.helpers.running import READER, TOKENS, WRITER, running
from tests.helpers.timing import FULL

REQUESTS = 20_000 if FULL else 1_500

FORGED = (
    b'x" status=200 y="', b'\n message="RESPONSE" status=500', b"\r\nlevel=INFO", b'\\" a=b', b"\\", b'"',
    b"%0a%0d", b"\x1b[2J", b"\x00", b"\x7f", b"\xff\xfe", b"\xed\xa0\x80", b"%s%d{0}{req_id}", b" ", b"\t",
    b"=", b"null", b"true", *(end.encode("utf-8", "surrogatepass") for end in LINE_ENDS),
    "\u202e\u200b\ufeff".encode(), "\U0001f600".encode())
"""Pieces of what somebody would send who wants a line to end, or to say something else."""

FIELDS = ("X-Request-Id", "Origin", "Accept", "If-Match", "If-None-Match", "Idempotency-Key", "Prefer",
          "User-Agent", "Content-Type", "Sec-Fetch-Site", "Last-Event-ID", "X-Forwarded-For", "Cookie")


def nasty(chance: random.Random) -> bytes:
    """Return some bytes: forged pieces, any bytes, and letters in between."""
    pieces = [chance.choice((chance.choice(FORGED), chance.randbytes(chance.randrange(8)), b"ab"))
              for _ in range(chance.randrange(1, 6))]
    return b"".join(pieces)


def printable(data: bytes) -> bytes:
    """Return what of it a request line can have in its path: no blank and no control."""
    return bytes(byte for byte in data if byte > 0x20 and byte != 0x7f)


class ForgedLogsTest(unittest.TestCase):

    def start(self, form: str) -> ServiceProcess:
        """Start the service with lines of this form."""
        self.chance = random.Random(SEED)
        folder = Path(self.enterContext(quick_folder()))
        logging = yaml.safe_load(config({"memory": None}))["logging"]
        logging["formatters"]["bare"]["format"] = form
        self.service: ServiceProcess = self.enterContext(running(
            folder, {"memory": None}, "--debug", logging=logging,
            auth={"tokens": [dict(token) for token in TOKENS]}))
        return self.service

    def test_every_line_parses_back_to_what_went_in(self) -> None:
        self.check("%(message)s", REQUESTS)

    def test_so_does_the_form_of_the_tutorial(self) -> None:
        tutorial = yaml.safe_load((ROOT / "configs" / "todoList-local.yaml").read_text("utf-8"))
        self.check(tutorial["logging"]["formatters"]["detailed"]["format"], REQUESTS // 10)

    def check(self, form: str, requests: int) -> None:
        """Send forged requests, and read the log."""
        self.start(form)
        uris: dict[str, str] = {}
        for number in range(requests):
            name = f"id-{number}"
            uri = self.request(name)
            if uri is not None:
                uris[name] = uri
        self.assertEqual(self.service.stop(), 0)
        lines = self.service.stdout
        values = [parse(line) for line in lines]  # which fails at a line that is none
        reported = [line for line in values if line["message"] == "RESPONSE"]
        self.assertEqual(len(reported), requests)
        answers = {line["req_id"]: line for line in reported}
        for name, uri in uris.items():
            self.assertEqual(answers[name]["uri"], uri)
        self.assertEqual(
            Counter(line["message"] for line in values) - Counter({"RESPONSE": requests}),
            Counter({"STARTING": 1, "SHUTTING DOWN": 1, "STOPPED": 1}))
        text = "\n".join(lines + self.service.stderr)
        self.assertEqual([secret for secret in (READER, WRITER) if secret in text], [])
        self.assertFalse(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", text))
        statuses = Counter(line["status"] for line in reported)
        print(f"\n{requests} forged requests: {len(uris)} taken, {len(reported)} lines, all parse back; "
              f"statuses {dict(sorted(statuses.items()))}")
        self.assertGreater(len(uris), requests / 4)
        self.assertEqual([line for line in reported if line["status"] >= 500], [])

    def request(self, name: str) -> str | None:
        """Send a request of which something is forged; return its path, if it was taken as it is."""
        chance = self.chance
        path, fields, body, method = b"/tasks", [], b"", b"GET"
        secret = chance.choice((READER, WRITER, WRITER, "unknown"))
        fields = [(b"Authorization", b"Bearer " + secret.encode())]
        kind = chance.randrange(5)
        if kind == 0:
            path = b"/" + printable(nasty(chance)).replace(b"#", b"")
        elif kind == 1:
            path = b"/tasks?q=" + printable(nasty(chance)).replace(b"#", b"")
        elif kind == 2:
            fields.append((chance.choice(FIELDS).encode(), nasty(chance)))
        elif kind == 3:
            method, title = b"POST", nasty(chance).decode("utf-8", "replace")
            body = json.dumps(chance.choice((
                {"title": title}, {title: title}, {"title": "a", "priority": title}))).encode()
        else:
            method = nasty(chance)
        head = [method + b" " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
        if not any(field == b"X-Request-Id" for field, _ in fields):
            head.append(b"X-Request-Id: " + name.encode())
        head += [field + b": " + value for field, value in fields]
        head += [b"Content-Length: %d" % len(body)] if body else []
        client = Peer(self.service.port)
        client.send(b"\r\n".join([*head, b"", b""]) + body)
        answer = client.rest()
        client.close()
        echoed = re.search(rb"\r\nX-Request-Id: ([^\r]*)\r\n", answer)
        taken = echoed is not None and echoed[1] == name.encode()
        return logged_target(path) if taken else None


if __name__ == "__main__":
    unittest.main()
