"""The client behind proxies: X-Forwarded-For and X-Forwarded-Proto, from trusted peers only.

`Forwarded` (RFC 7239) is ignored: a proxy that does not write it passes on whatever a client sent.
"""

import functools
import ipaddress
from collections.abc import Iterable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The addresses and networks whose fields are trusted."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Take addresses and networks, such as 10.0.0.0/8; raises ValueError."""
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._is_trusted = functools.lru_cache(1024)(self._find)

    def client(self, peer: str, forwarded_for: str | None) -> str:
        """Return the address of the client whose request came from `peer`.

        That is the rightmost address in `forwarded_for` that is not trusted itself: a client may have invented all to
        the left of it. In a malformed list only what is right of the fault counts.
        """
        client = peer
        if not self._networks:
            return client
        for entry in reversed((forwarded_for or "").split(",")):
            if not self._is_trusted(client) or (address := _parse(entry.strip())) is None:
                break
            client = str(address)
        return client

    def scheme(self, peer: str, scheme: str, forwarded_proto: str | None) -> str:
        """Return the scheme that the client used, http or https: the last one that a trusted peer names."""
        if forwarded_proto is None:
            return scheme
        last = forwarded_proto.rpartition(",")[2].strip().lower()
        return last if last in ("http", "https") and self._is_trusted(peer) else scheme

    def _find(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def share_of(address: str) -> str:
    """Return the key of an address's share of a limit: its /64 for IPv6, since one host has all of that."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def _parse(text: str) -> _Address | None:
    """Parse an address; an IPv4 address mapped to IPv6 (RFC 4291 §2.5.5.2) becomes the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
