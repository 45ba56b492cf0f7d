"""The objects that handlers use; the routes of an Application pass them to `initialize`."""

import logging
from dataclasses import dataclass
from typing import Self

from taskservice.config import Config, HttpConfig
from taskservice.http.access import Access
from taskservice.http.forwarded import TrustedProxies
from taskservice.service import TodoListService
from taskservice.tornado.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Policy:
    """The parts of a config that decide about requests."""

    service_name: str
    http: HttpConfig
    access: Access
    proxies: TrustedProxies

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the policy of a config."""
        http = config.http
        return cls(
            config.service_name, http, Access.of(config.tokens, http.hosts), TrustedProxies(http.trusted_proxies))


@dataclass(slots=True)
class Dependencies:
    """The objects that the handlers of one Application share. Handlers only read them."""

    service: TodoListService
    metrics: Metrics
    logger: logging.Logger
    policy: Policy
    """Replaced at each reload of the config."""
    debug: bool = False
    """Whether answers contain tracebacks, and the log those of 4xx as well."""
    draining: bool = False
    """Whether the service is about to stop; `/readyz` then answers 503."""
