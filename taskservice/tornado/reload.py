"""Reload the config at SIGHUP, while the service goes on serving."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.config import RESTART_KEYS, Config, changed_keys, read_config, with_restart_keys_of
from taskservice.errors import ConfigError
from taskservice.tornado import systemd
from taskservice.utils import log_config, logutils

Prepare = Callable[[Config], Callable[[], object]]
"""Prepares a config, and returns a function that applies it, which does not fail; raises ConfigError."""


class Reloader:
    """Reads the config of a process again on request; a wrong config changes nothing."""

    def __init__(self, path: Path, config: Config, check: Callable[[Config], object]) -> None:
        """Take the config that was read from `path` at the start; `check` raises ConfigError for a wrong one."""
        self._path = path
        self.config = config
        """The last correct one, which is in use."""
        self._check = check
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Request a reload; one that is under way is followed by another."""
        self._asked.set()

    @asynccontextmanager
    async def running(
        self, prepare: Prepare, observe: Callable[[bool], object] = lambda succeeded: None
    ) -> AsyncIterator[None]:
        """In the block carry out reloads; `observe` is called with whether each succeeded."""
        task = asyncio.create_task(self._run(prepare, observe))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, prepare: Prepare, observe: Callable[[bool], object]) -> None:
        while await self._asked.wait():
            self._asked.clear()
            systemd.notify_reloading()
            try:
                changed = await self._reload(prepare)
            except Exception as error:  # the service goes on with what it has
                trace = {} if isinstance(error, ConfigError) else {"trace": logutils.format_trace(error)}
                observe(False)
                _log(logging.ERROR, "RELOAD FAILED", reason=str(error), **trace)
            else:
                observe(True)
                self._log_changes(changed)
            systemd.notify("READY=1")

    async def _reload(self, prepare: Prepare) -> list[str]:
        """Apply the file as it is now; return the keys whose values have changed."""
        read = await asyncio.to_thread(read_config, self._path)
        changed = changed_keys(self.config, read)
        config = with_restart_keys_of(self.config, read)
        self._check(config)
        apply = prepare(config)
        try:
            log_config.reconfigure(self.config.logging, config.logging)
        except ValueError as error:
            raise ConfigError(f"{self._path}: logging: {error}") from error
        apply()
        self.config = config
        return changed

    def _log_changes(self, changed: Sequence[str]) -> None:
        name = self.config.service_name
        _log(logging.INFO, "RELOADED", service_name=name,
             changed=" ".join(key for key in changed if key not in RESTART_KEYS))
        if kept := [key for key in changed if key in RESTART_KEYS]:
            _log(logging.WARNING, "RESTART NEEDED", service_name=name, keys=" ".join(kept))


def _log(level: int, message: str, **facts: Any) -> None:
    logutils.log(logging.getLogger(LOGGER_NAME), level, message=message, **facts)
