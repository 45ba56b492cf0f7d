"""What the handlers work with: the routes of an Application hand it to `initialize`."""

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
    """What a config says about requests."""

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
    """One for each Application; its handlers read it, and never change it."""

    service: TodoListService
    metrics: Metrics
    logger: logging.Logger
    policy: Policy
    """Another one after each reload of the config."""
    debug: bool = False
    """Whether clients see tracebacks, and the log has those of 4xx."""
    draining: bool = False
    """Whether the service is about to stop, so that load balancers should look elsewhere."""
