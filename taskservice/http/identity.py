"""The facts that each log line and error has about its request."""

from collections.abc import Mapping

from taskservice.http.fields import request_id_of, trace_id_of
from taskservice.http.forwarded import TrustedProxies


def identify(
    headers: Mapping[str, str], method: str | None, uri: str | None, peer: str, proxies: TrustedProxies,
    request_id: str | None = None
) -> dict[str, object]:
    """Return `req_id`, `method`, `uri`, the client's `ip`, and `trace_id` if the request has a trace.

    `request_id` is the id that the request has already, if any.
    """
    facts: dict[str, object] = {
        "req_id": request_id or request_id_of(headers.get("X-Request-Id")), "method": method, "uri": uri,
        "ip": proxies.client(peer, headers.get("X-Forwarded-For"))}
    if (trace_id := trace_id_of(headers.get("traceparent"))) is not None:
        facts["trace_id"] = trace_id
    return facts
