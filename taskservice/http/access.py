"""Access: bearer tokens and their scopes (RFC 6750), the service's own hosts, other origins."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from taskservice.errors import ForbiddenError, MisdirectedError, UnauthorizedError

READING_METHODS = frozenset({"GET", "HEAD"})
"""The methods that only read: a token of scope `read` may use them (OPTIONS needs no token)."""

_ALLOWED = ", ".join((
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-Modified-Since",
    "If-None-Match", "If-Unmodified-Since", "Last-Event-ID", "Prefer", "X-Request-Id"))
"""The request header fields that pages of other origins may send besides the safelisted ones."""


def cross_origin_fields(origin: str | None, allowed: Collection[str]) -> Mapping[str, str]:
    """Return the fields that let a page of an allowed origin see an answer (Fetch, §3.2).

    It may read every header: the wildcard is for requests without credentials, the only ones allowed, and a list of
    names would make the longest heads exceed 4 KiB.
    """
    if origin is None or origin not in allowed:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "*"}


def preflight_fields(methods: str) -> Mapping[str, str]:
    """Return the fields that let pages of other origins send requests by these methods."""
    return {
        "Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": _ALLOWED,
        "Access-Control-Max-Age": "600"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the config has it: its SHA-256, from which the token cannot be found."""

    name: str
    digest: bytes
    scope: str
    """`read` or `write`."""


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens (without any, all may do everything), and the hosts that the service answers for."""

    tokens: Sequence[Token]
    hosts: Collection[str]
    """Names in lower case; `*.example.com` covers all subdomains of example.com, and `*` is any name."""

    @classmethod
    def of(cls, tokens: Iterable[Mapping[str, str]], hosts: Iterable[str]) -> Self:
        """Take the tokens (name, sha256 in hexadecimal, scope) and the hosts as a config has them."""
        return cls(
            [Token(token["name"], bytes.fromhex(token["sha256"]), token["scope"]) for token in tokens],
            frozenset(host.lower() for host in hosts))

    def check_host(self, host: str) -> None:
        """Raise MisdirectedError for a Host that is not ours (RFC 9110 §7.4).

        A page whose name was pointed at this machine (DNS rebinding) sends its own name. An address cannot be rebound,
        and is accepted.
        """
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        if name not in self.hosts and "*" not in self.hosts and not (
                _is_address(name) or any(f"*{name[dot:]}" in self.hosts for dot in _dots(name))):
            raise MisdirectedError("Host: this is not a name of the service, see http.hosts")

    def check_token(self, authorization: str | None, method: str) -> Token | None:
        """Return the token that came; None if none are configured.

        Raises UnauthorizedError, and ForbiddenError for a method beyond the token's scope.
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
        # Compare with all, each in constant time: the time taken reveals nothing.
        found = [token for token in self.tokens if hmac.compare_digest(token.digest, digest)]
        if not found:
            raise UnauthorizedError("Authorization: this token is not known")
        return found[0]


def _is_address(name: str) -> bool:
    """Return whether a host is a dotted IPv4 address, or an IPv6 address in brackets."""
    try:
        if name.startswith("[") and name.endswith("]"):
            ipaddress.IPv6Address(name[1:-1])
        else:
            ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _dots(name: str) -> Iterator[int]:
    """Return the positions of the dots that follow something."""
    return (index for index, character in enumerate(name) if character == "." and index)


def hash_token(secret: str) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def new_token() -> str:
    """Return a token of 256 random bits, safe in headers and shells."""
    return secrets.token_urlsafe(32)
