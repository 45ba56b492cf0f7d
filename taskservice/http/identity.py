"""The facts that each log line and error has about its request."""

from collections.abc import Mapping

from taskservice.http.fields import request_id_of, trace_id_of
from taskservice.http.forwarded import TrustedProxies


def identify(
    fields: Mapping[str, str], method: str | None, uri: str | None, peer: str, proxies: TrustedProxies,
    request_id: str | None = None
) -> dict[str, object]:
    """Return `req_id`, `method`, `uri`, the client's `ip`, and `trace_id` if the request has a trace.

    `fields` are those of its head, by lower-case name. `request_id` is the id that the request has already, if any.
    """
    facts: dict[str, object] = {
        "req_id": request_id or request_id_of(fields.get("x-request-id")), "method": method, "uri": uri,
        "ip": proxies.client(peer, fields.get("x-forwarded-for"))}
    if "traceparent" in fields and (trace_id := trace_id_of(fields["traceparent"])) is not None:
        facts["trace_id"] = trace_id
    return facts
