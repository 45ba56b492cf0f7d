"""Who may do what: bearer tokens and their scopes (RFC 6750), hosts that are ours, other origins."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from taskservice.config import Config
from taskservice.errors import ForbiddenError, MisdirectedError, UnauthorizedError

READING_METHODS = frozenset({"GET", "HEAD"})
"""What a token of scope `read` may do; OPTIONS wants none."""


def cross_origin_fields(origin: str | None, allowed: Collection[str]) -> Mapping[str, str]:
    """Return the fields that let a page of an allowed origin see an answer (Fetch, §3.2).

    It may read every header: the wildcard is for requests without credentials, which are the only
    ones allowed, and a list of names would make the longest heads exceed 4 KiB.
    """
    if origin is None or origin not in allowed:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "*"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the config has it: by its SHA-256, which does not give it away."""

    name: str
    digest: bytes
    scope: str
    """`read` or `write`."""


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens there are (none: all may do everything), and the hosts that are answered to."""

    tokens: Sequence[Token]
    hosts: Collection[str]

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Take the tokens and the hosts of the config."""
        tokens = [
            Token(token["name"], bytes.fromhex(token["sha256"]), token["scope"])
            for token in config.tokens]
        return cls(tokens, frozenset(host.lower() for host in config.http.hosts))

    def check_host(self, host: str) -> None:
        """Raise MisdirectedError for a Host that is not ours (RFC 9110 §7.4).

        A page that has its name point to this machine (DNS rebinding) sends its own name.
        """
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        if name not in self.hosts and "*" not in self.hosts:
            raise MisdirectedError("Host: this is not a name of the service, see http.hosts")

    def check_token(self, authorization: str | None, method: str) -> Token | None:
        """Return whose token it is, None where there are none.

        Raises UnauthorizedError, and ForbiddenError for what is beyond the token's scope.
        """
        if not self.tokens:
            return None
        token = self._identify(authorization)
        if token.scope == "read" and method not in READING_METHODS:
            raise ForbiddenError(f"the token '{token.name}' may read, not write")
        return token

    def _identify(self, authorization: str | None) -> Token:
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthorizedError("Authorization: expected Bearer and a token")
        digest = hash_token(secret.strip())
        # All are compared, each in constant time: nothing is told by how long it takes.
        found = [token for token in self.tokens if hmac.compare_digest(token.digest, digest)]
        if not found:
            raise UnauthorizedError("Authorization: this token is not known")
        return found[0]


def hash_token(secret: str) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def new_token() -> str:
    """Return a token of 256 random bits, safe in headers and shells."""
    return secrets.token_urlsafe(32)
