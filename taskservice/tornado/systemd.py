"""Notifies systemd of the service's state (sd_notify(3)); does nothing where systemd did not ask for it.

The protocol is a datagram of `NAME=value` lines to the socket that NOTIFY_SOCKET names, which is all that libsystemd
does as well; no library is needed.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""The variables by which systemd asks; for the main process alone."""


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send a state such as `READY=1`; errors are ignored, as systemd's own library advises."""
    if not (address := environment.get("NOTIFY_SOCKET")):
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.setblocking(False)  # a receiver that does not read must not block the event loop
        notifier.connect(address)
        notifier.send(state.encode())


def notify_reloading() -> None:
    """Announce that the config is read again; READY=1 announces that it is done (Type=notify-reload)."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[None]:
    """Announce that the service is ready, and in the block send watchdog signs for WatchdogSec."""
    notify(f"READY=1\nSTATUS=Serving on port {port}")
    watchdog = asyncio.create_task(_keep_watchdog(os.environ))
    try:
        yield
    finally:
        watchdog.cancel()


async def _keep_watchdog(environment: Mapping[str, str]) -> None:
    """Send a sign twice in WatchdogSec, from the event loop: if that hangs, none is sent."""
    if not environment.get("WATCHDOG_USEC") or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        notify("WATCHDOG=1", environment)
        await asyncio.sleep(int(environment["WATCHDOG_USEC"]) / 2e6)
