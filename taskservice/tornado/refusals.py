"""Answers to requests that the connection refuses, in the shape that all errors have."""

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.tornado.http1 import Refusal, Refuse
from taskservice.tornado.metrics import Metrics
from taskservice.tornado.negotiation import PROBLEM, wants_problem
from taskservice.tornado.problems import RETRY_AFTER, Problem
from taskservice.tornado.representation import JSON
from taskservice.utils import logutils


def refuser(metrics: Metrics) -> Refuse:
    """Make the function that answers for the connection, and logs and counts what it refused."""
    def refuse(refusal: Refusal) -> tuple[Mapping[str, str], bytes]:
        about = {
            "req_id": refusal.request_id or uuid.uuid4().hex, "method": refusal.method, "uri": refusal.uri,
            "ip": refusal.remote_ip}
        _log(refusal, about)
        metrics.refused(refusal.status)
        return _answer(refusal, about)
    return refuse


def _log(refusal: Refusal, about: Mapping[str, Any]) -> None:
    level = logging.ERROR if refusal.status >= 500 else logging.WARNING
    logutils.log(
        logging.getLogger(LOGGER_NAME), level, **about, reason=refusal.message,
        message="RESPONSE", status=refusal.status)


def _answer(refusal: Refusal, about: Mapping[str, Any]) -> tuple[Mapping[str, str], bytes]:
    as_problem = refusal.headers is not None and wants_problem(refusal.headers.get("Accept"))
    phrase = HTTPStatus(refusal.status).phrase
    problem = Problem(refusal.status, phrase, refusal.message)
    fields = {
        "Server": "taskservice", "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache", "X-Request-Id": about["req_id"], "Vary": "Accept",
        "Content-Type": PROBLEM if as_problem else JSON}
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields["Retry-After"] = str(RETRY_AFTER)
    return fields, problem.to_json(about, None, rfc_9457=as_problem)
