"""The session of tests/clients/harness.py, by a client of openapi-python-client."""

import json
import os
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from todo_list_client import AuthenticatedClient
from todo_list_client.api.changes import list_changes
from todo_list_client.api.tasks import create_task, delete_task, get_task, list_tasks, patch_task
from todo_list_client.models import ChangeList, ErrorReport, Priority, SortOrder, Task, TaskList, TaskPatch
from todo_list_client.types import UNSET

NDJSON = "application/x-ndjson"

client = AuthenticatedClient(os.environ["SERVICE_URL"], os.environ["SERVICE_TOKEN"])


def say(step: str, value: Any) -> None:
    """Print a step of the session."""
    print(json.dumps([step, value]))


def create(task: Task) -> str:
    """Create a task; return its id."""
    response = create_task.sync_detailed(client=client, body=task)
    assert response.status_code == 201, response
    return str(response.headers["Location"]).removeprefix("/tasks/")


def read(task_id: str) -> tuple[dict[str, Any], str]:
    """Return a task and its tag."""
    response = get_task.sync_detailed(task_id, client=client)
    assert isinstance(response.parsed, Task), response
    return response.parsed.to_dict(), response.headers["ETag"]


def page(cursor: str | None = None) -> tuple[list[str], str]:
    """Return the titles of a page, and the cursor of the next."""
    response = list_tasks.sync_detailed(
        client=client, completed=False, priority=[Priority.HIGH, Priority.URGENT], due_after="1764115260",
        due_before="2025-11-26T00:01:02Z", q="milk", sort=SortOrder.DUE_DATE_REVERSED, limit=1, cursor=cursor or UNSET)
    assert isinstance(response.parsed, TaskList), response
    link = re.match("<([^>]+)>", response.headers.get("Link", ""))
    query = parse_qs(urlsplit(link[1]).query) if link else {}
    return [task.title for task in response.parsed.additional_properties.values()], query.get("cursor", [""])[0]


def bulk() -> list[str]:
    """Create tasks as NDJSON, for which this generator has no function, and list them."""
    http = client.get_httpx_client()
    http.post("/tasks", content='{"title": "Bread"}\n{"title": "Butter"}\n', headers={"Content-Type": NDJSON})
    lines = http.get("/tasks", headers={"Accept": NDJSON}).text.splitlines()
    titles = [json.loads(line)["task"]["title"] for line in lines]
    return [title for title in titles if title.startswith("B")]


def main() -> None:
    """Run the session."""
    milk = create(Task(
        title="Milk", description="two bottles", priority=Priority.HIGH, completed=False, due_date=1764115261))
    rent = create(Task(title="Rent for milk", priority=Priority.URGENT, due_date=1764115261.125))
    early = create(Task(title="Früh \N{GLASS OF MILK}", due_date=-9007199254740991))
    task, etag = read(milk)
    say("read", [task, read(rent)[0], read(early)[0]])

    first, cursor = page()
    say("pages", [first, page(cursor)[0]])

    patched = patch_task.sync(
        milk, client=client, body=TaskPatch(due_date=None, completed=True), if_match=etag,
        prefer="return=representation")
    assert isinstance(patched, Task), patched
    say("patched", patched.to_dict())
    stale = patch_task.sync(milk, client=client, body=TaskPatch(title="Late"), if_match=etag)
    assert isinstance(stale, ErrorReport), stale
    say("stale", stale.code)

    invalid = create_task.sync_detailed(client=client, body=Task(title=""))
    assert isinstance(invalid.parsed, ErrorReport) and invalid.parsed.errors, invalid
    say("invalid", [invalid.status_code, [each.pointer for each in invalid.parsed.errors]])
    missing = get_task.sync_detailed("none", client=client)
    assert isinstance(missing.parsed, ErrorReport), missing
    say("missing", [missing.status_code, missing.parsed.code])

    say("bulk", bulk())

    deleted = delete_task.sync_detailed(milk, client=client)
    say("deleted", [deleted.status_code, get_task.sync_detailed(milk, client=client).status_code])

    changes = list_changes.sync(client=client, since=0)
    assert isinstance(changes, ChangeList), changes
    say("changes", changes.to_dict())


if __name__ == "__main__":
    main()
