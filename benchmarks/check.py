"""Proves that a candidate does the work that is measured: the core of the HTTP API."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.client import TASK, Answer, Client
from benchmarks.processes import Server

LOG_DELAY = 2.0
"""Seconds within which the line of an answer is in the log."""

INVALID = {
    "not JSON": b"{",
    "no title": b"{}",
    "an empty title": b'{"title": ""}',
    "a priority that there is not": b'{"title": "a", "priority": "soon"}',
    "a member that there is not": b'{"title": "a", "colour": "red"}',
    "a number for a flag": b'{"title": "a", "completed": 1}',
    "a text for a date": b'{"title": "a", "due_date": "1"}',
    "a date beyond the bounds": b'{"title": "a", "due_date": 9007199254740992}',
}


class CheckError(Exception):
    """A candidate answers otherwise than API.md says."""


def check(server: Server) -> None:
    """Raise CheckError unless the server answers as it should."""
    with _named(server), Client(server.place.port) as client:
        target, etag = _creates(client)
        _reads(client, target, etag, server.candidate.lean)
        _refuses(server.place.port)
        if server.candidate.core_api:
            _is_conditional(client, target, etag)
            _lists(client)
            _replaces(client, target, etag)
            _deletes(client, target)
        _logs(server, client, target)


@contextmanager
def _named(server: Server) -> Iterator[None]:
    try:
        yield
    except CheckError as error:
        raise CheckError(f"{server.candidate.name}: {error}") from error


def _expect(holds: object, what: str, answer: Answer) -> None:
    if not holds:
        raise CheckError(f"{what}: {answer}")


def _creates(client: Client) -> tuple[str, str]:
    answer = client.ask("POST", "/tasks", TASK)
    headers = answer.headers
    _expect(answer.status == 201 and not answer.body, "POST: 201 without a body", answer)
    _expect(re.fullmatch(r"/tasks/[0-9a-f]{32}", headers["location"]), "POST: Location", answer)
    _expect(re.fullmatch(r'"[1-9][0-9]*"', headers["etag"]), "POST: a strong ETag", answer)
    _expect(headers["content-length"] == "0", "POST: Content-Length", answer)
    return headers["location"], headers["etag"]


def _reads(client: Client, target: str, etag: str, lean: bool) -> None:
    answer = client.ask("GET", target)
    _expect(answer.status == 200 and answer.json() == json.loads(TASK), "GET: the task", answer)
    _expect(answer.headers["etag"] == etag, "GET: the ETag of the POST", answer)
    _expect("GMT" in answer.headers["date"], "GET: Date", answer)
    if not lean:
        _expect("GMT" in answer.headers["last-modified"], "GET: Last-Modified", answer)
        _expect(re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"]), "an id", answer)
    answer = client.ask("GET", "/tasks/0", headers={"X-Request-Id": "mine-1"})
    _expect(answer.status == 404, "GET: 404", answer)
    if not lean:
        _expect(answer.json()["req_id"] == "mine-1", "GET: 404", answer)
        _expect(answer.headers["x-request-id"] == "mine-1", "the request's own id", answer)
    only_title = client.ask("POST", "/tasks", b'{"title": "a"}').headers["location"]
    answer = client.ask("GET", only_title)
    _expect(answer.json() == {"title": "a"}, "GET: the members that were sent", answer)


def _refuses(port: int) -> None:
    for what, body in INVALID.items():
        with Client(port) as client:  # a new one each time: Fastify closes it after a refusal
            answer = client.ask("POST", "/tasks", body)
        _expect(answer.status == 400 and answer.json()["code"] == 400, f"POST: {what}", answer)


def _is_conditional(client: Client, target: str, etag: str) -> None:
    for tags in (etag, f'"1", W/{etag}', "*"):
        answer = client.ask("GET", target, headers={"If-None-Match": tags})
        _expect(answer.status == 304 and answer.headers["etag"] == etag, f"304: {tags}", answer)
    answer = client.ask("GET", target, headers={"If-None-Match": '"1"'})
    _expect(answer.status == 200, "200 for another tag", answer)


def _lists(client: Client) -> None:
    answer = client.ask("GET", "/tasks")
    _expect(answer.status == 200 and len(answer.json()) == 2, "GET /tasks: both tasks", answer)
    _expect(answer.headers["etag"].startswith('W/"'), "GET /tasks: a weak ETag", answer)
    tags = {"If-None-Match": answer.headers["etag"]}
    answer = client.ask("GET", "/tasks", headers=tags)
    _expect(answer.status == 304, "GET /tasks: 304", answer)
    client.ask("POST", "/tasks", TASK)
    answer = client.ask("GET", "/tasks", headers=tags)
    _expect(answer.status == 200 and len(answer.json()) == 3, "GET /tasks: changed", answer)


def _replaces(client: Client, target: str, etag: str) -> None:
    answer = client.ask("PUT", target, b'{"title": "b"}', {"If-Match": etag})
    _expect(answer.status == 204 and answer.headers["etag"] != etag, "PUT: 204", answer)
    answer = client.ask("PUT", target, TASK, {"If-Match": etag})
    _expect(answer.status == 412, "PUT: 412 for a stale tag", answer)
    answer = client.ask("GET", target)
    _expect(answer.json() == {"title": "b"}, "PUT: the whole task", answer)
    answer = client.ask("PUT", "/tasks/0", TASK)
    _expect(answer.status == 404, "PUT: 404", answer)


def _deletes(client: Client, target: str) -> None:
    answer = client.ask("DELETE", target)
    _expect(answer.status == 204, "DELETE: 204", answer)
    answer = client.ask("GET", target)
    _expect(answer.status == 404, "DELETE: it is gone", answer)


def _logs(server: Server, client: Client, target: str) -> None:
    target = f"{target}?logged"
    answer = client.ask("GET", target)
    end = time.perf_counter() + LOG_DELAY
    while not (lines := _lines(server, "?logged")) and time.perf_counter() < end:
        time.sleep(0.01)
    for part in (f'uri="{target}"', 'method="GET"', "time_ms=", f"status={answer.status}"):
        _expect(len(lines) == 1 and part in lines[0], f"one line with {part}, not {lines}", answer)


def _lines(server: Server, part: str) -> list[str]:
    return [line for line in server.place.log.read_text("utf-8").splitlines() if part in line]
