"""Answers to requests that the connection refuses, in the form that all errors have."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.http.access import cross_origin_fields
from taskservice.http.identity import identify
from taskservice.http.negotiation import PROBLEM, wants_problem
from taskservice.http.problems import RETRY_AFTER, Problem
from taskservice.http.representation import COMMON_FIELDS, JSON
from taskservice.http1.headers import fields_of
from taskservice.http1.server import Refusal, Refuse
from taskservice.tornado.handlers.dependencies import Policy
from taskservice.tornado.metrics import Metrics
from taskservice.utils import logutils


_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def refuser(metrics: Metrics, policy: Policy) -> Refuse:
    """Return the function that answers for the connection, and logs and counts the refused requests."""
    def refuse(refusal: Refusal) -> tuple[Mapping[str, str], bytes]:
        refusal = _with_advice(refusal)
        sent = {} if refusal.headers is None else fields_of(refusal.headers)
        about = identify(
            sent, refusal.method, refusal.uri, refusal.remote_ip, policy.proxies, refusal.request_id)
        _log(refusal, about)
        metrics.refused(refusal.method or "", refusal.status, refusal.seconds or 0.0)
        fields, body = _answer(refusal, about)
        if origins := policy.http.cors_origins:
            fields["Vary"] += ", Origin"
            fields |= cross_origin_fields(sent.get("origin"), origins)
        return fields, body
    return refuse


def _with_advice(refusal: Refusal) -> Refusal:
    """Add how to find the outcome of a write that the application has begun."""
    if not (refusal.status == HTTPStatus.SERVICE_UNAVAILABLE and refusal.request_id
            and refusal.method in _WRITES):
        return refusal
    how = "send it again with the same Idempotency-Key" if refusal.method == "POST" else (
        "read the task")
    return replace(refusal, message=(
        f"{refusal.message}, and the write may still take place: to find out, {how}"))


def _log(refusal: Refusal, about: Mapping[str, Any]) -> None:
    ours = refusal.status >= 500 and refusal.status != HTTPStatus.NOT_IMPLEMENTED
    level = logging.ERROR if ours else logging.WARNING
    took: dict[str, Any] = {} if refusal.seconds is None else {"time_ms": refusal.seconds * 1000}
    logutils.log(
        logging.getLogger(LOGGER_NAME), level, **about, reason=refusal.message,
        message="RESPONSE", status=refusal.status, **took)


def _answer(refusal: Refusal, about: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    as_problem = refusal.headers is not None and wants_problem(refusal.headers.get("Accept"))
    phrase = HTTPStatus(refusal.status).phrase
    problem = Problem(refusal.status, phrase, refusal.message)
    fields = {
        **COMMON_FIELDS, "X-Request-Id": about["req_id"], "Vary": "Accept",
        "Content-Type": PROBLEM if as_problem else JSON}
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields["Retry-After"] = str(RETRY_AFTER)
    return fields, problem.to_json(about, None, rfc_9457=as_problem)
