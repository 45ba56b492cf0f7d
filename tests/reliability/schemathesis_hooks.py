"""What schemathesis has to know of this API; it loads this file itself (SCHEMATHESIS_HOOKS).

Its decorators are called below: mypy takes this file also where the package is missing, and they have no types then.
"""

import json
from collections import deque
from typing import Any, TypeAlias

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

from taskservice.errors import BadInputError
from taskservice.http.parameters import epoch_seconds
from tests.helpers import openapi

Case: TypeAlias = "schemathesis.Case[Any]"

NDJSON = "application/x-ndjson"

INSTANTS = ("due_before", "due_after")

known = deque[str](maxlen=100)
"""The ids of tasks that are there, so that requests to one are not all answered by 404."""


def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Have NDJSON made line by line: the document has it as a string, with the schema of a line beside it."""
    create = raw_schema["paths"]["/tasks"]["post"]["requestBody"]["content"][NDJSON]
    listed = raw_schema["paths"]["/tasks"]["get"]["responses"]["200"]["content"][NDJSON]
    created = raw_schema["components"]["responses"]["CreatedMany"]["content"][NDJSON]
    for content, at_least in (create, 1), (listed, 0), (created, 0):
        content["schema"] = {"type": "array", "minItems": at_least, "items": content["x-itemSchema"]}


def declared(context: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> None:
    """Find what schemathesis passes over: headers and bodies that the document does not have."""
    fields = {name: ", ".join(values) for name, values in response.headers.items()}
    headers = {name: value for name, value in fields.items() if name != "content-encoding"}  # it is decoded already
    request = response.request
    openapi.check(str(request.method), str(request.url), response.status_code, headers, response.content)


def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Name a task that is there, where a valid id was made up."""
    meta = case.meta
    is_fuzzing = meta is not None and meta.phase.name.value == "fuzzing" and meta.generation.mode.is_positive
    if is_fuzzing and known and case.path == "/tasks/{id}":
        case.path_parameters = {"id": known[-1]}


def after_call(context: schemathesis.HookContext, case: Case, response: schemathesis.Response) -> None:
    """Note which tasks there are."""
    if response.status_code == 201 and "location" in response.headers:
        known.append(response.headers["location"][0].rpartition("/")[2])
    if response.status_code == 204 and case.method.upper() == "DELETE" and known:
        task_id = str(case.path_parameters.get("id"))
        if task_id in known:
            known.remove(task_id)


def write_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return the body: one value a line. Examples are text already."""
    if isinstance(value, bytes | str):
        return value if isinstance(value, bytes) else value.encode()
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def read_lines(context: schemathesis.DeserializationContext, response: schemathesis.Response) -> Any:
    """Return the values of the lines."""
    return [json.loads(line) for line in response.content.splitlines()]


def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: Case, response: schemathesis.Response
) -> bool:
    """Pass over the refusal of what is well-formed, but means nothing to this server now."""
    return not (isinstance(failure, RejectedPositiveData) and response.status_code == 400 and is_rightly_refused(case))


def is_rightly_refused(case: Case) -> bool:
    """Return whether no schema can say that these values do not go."""
    if "cursor" in case.query:
        return True  # it is opaque: no generator makes one
    if len(str(case.query.get("q")).split()) > 32:
        return True  # too many words
    if any(is_no_instant(str(case.query[name])) for name in INSTANTS if name in case.query):
        return True
    return bool(case.media_type == NDJSON)  # ids that are there already, or twice


def is_no_instant(text: str) -> bool:
    """Return whether the service takes this for no time: the pattern allows days that no calendar has."""
    try:
        epoch_seconds("", text)
    except BadInputError:
        return True
    return False


schemathesis.check(declared)
schemathesis.serializer(NDJSON)(write_lines)
schemathesis.deserializer(NDJSON)(read_lines)
for hook in (before_load_schema, before_call, after_call, filter_failure):
    schemathesis.hook(hook)
