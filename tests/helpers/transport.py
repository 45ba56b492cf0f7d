"""A transport without a socket, which keeps what is written to it."""

import asyncio
import socket
import struct
from typing import Any

RESET, FLUSH = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""What SO_LINGER is set to before a connection is reset, or closed."""


class Transport:
    """What an event loop has of a connection: `buffered` bytes of it wait for the client."""

    def __init__(self, tls: bool = False) -> None:
        self.tls = tls
        self.protocol: asyncio.Protocol | None = None
        self.buffered = 0
        self.high: int | None = None
        self.done: list[str] = []
        self.options: list[bytes] = []
        self.written: list[bytes] = []

    def get_extra_info(self, name: str) -> Any:
        """Return the peer, the socket, and whether there is TLS."""
        return {"peername": ("10.0.0.1", 80), "socket": self, "ssl_object": self.tls or None}[name]

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        """Note how the socket is to be closed."""
        assert (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER)
        self.options.append(value)

    def write(self, data: bytes) -> None:
        """Let it wait."""
        self.written.append(data)
        self.buffered += len(data)

    def get_write_buffer_size(self) -> int:
        """Return how much waits."""
        return self.buffered

    def set_write_buffer_limits(self, high: int) -> None:
        """Note it, and have the writer wait where there is more."""
        self.high = high
        if self.buffered > high and self.protocol is not None:
            self.protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Return whether one side can be closed."""
        return not self.tls

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return "close" in self.done or "abort" in self.done

    def __getattr__(self, name: str) -> Any:
        if name not in ("close", "abort", "write_eof", "pause_reading", "resume_reading"):
            raise AttributeError(name)
        return lambda: self.done.append(name)
