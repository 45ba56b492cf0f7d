"""Health, readiness and metrics, for operators and their tools; and the answer to unknown paths."""

from http import HTTPStatus

import tornado.web

from taskservice.errors import StoreUnavailableError
from taskservice.http.representation import JSON
from taskservice.tornado.handlers.base import BaseRequestHandler
from taskservice.tornado.metrics import CONTENT_TYPE


class HealthRequestHandler(BaseRequestHandler):
    """`/healthz`: the process is alive."""

    route = "/healthz"
    public = True
    is_probe = True

    async def get(self) -> None:
        """Answer ok."""
        self.set_header("Content-Type", JSON)
        self.write(b'{"status": "ok"}')

    head = get


class ReadinessRequestHandler(HealthRequestHandler):
    """`/readyz`: the store answers and takes writes, and the service is not going away."""

    route = "/readyz"

    async def get(self) -> None:
        """Answer ok; raises StoreError."""
        if self.dependencies.draining:
            raise StoreUnavailableError("the service is going away")
        await self.service.check_ready()
        await super().get()

    head = get


class MetricsRequestHandler(BaseRequestHandler):
    """`/metrics`: the metrics, for Prometheus."""

    route = "/metrics"

    def get(self) -> None:
        """Return all metrics."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(self.metrics.render())

    head = get


class DefaultRequestHandler(BaseRequestHandler):
    """Every unknown path; no method is refused there with a 405."""

    def _check_access(self, method: str) -> None:
        """Raise 404."""
        super()._check_access(method)
        raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND, reason="Unknown Endpoint")
