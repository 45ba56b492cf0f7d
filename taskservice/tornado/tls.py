"""The TLS context that the config asks for."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from taskservice.errors import ConfigError


def make_ssl_context(tls: Mapping[str, str] | None) -> ssl.SSLContext | None:
    """Read certificate and key (paths of PEM files), for TLS 1.2 or newer; raises ConfigError."""
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for name, path in tls.items():
        try:
            Path(path).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"http.tls.{name}: {path}: {reason}") from error

    def no_passphrase() -> str:
        raise ConfigError(f"http.tls.key: {tls['key']} has a passphrase, expected one without")

    try:
        context.load_cert_chain(tls["certificate"], tls["key"], no_passphrase)
    except ssl.SSLError as error:
        raise ConfigError(f"http.tls: {tls['certificate']}, {tls['key']}: {error}") from error
    return context
