"""Log lines for a reader that may stop reading: they wait in a bounded queue, and a thread writes them.

A write to a pipe, socket or terminal blocks when its reader does not read, and a log must not stop
the service. So the thread that logs never writes to one of these. Beyond `MAX_QUEUED_BYTES` lines
are dropped and counted, until the queue has been written; then one line says how many were lost.
"""

import atexit
import logging
import logging.config
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TextIO

MAX_QUEUED_BYTES = 4 * 2 ** 20

PAUSE = 0.005
"""Seconds from one write to the next while the queue is short: waking the thread for each line
would cost a request several percent of its time."""

EXIT_PATIENCE = 3.0
"""Seconds that an exit waits for the reader."""

Notice = Callable[[logging.Handler, int], str]
"""Makes the line that says how many records a handler's stream has lost."""

_streams: "dict[tuple[int, int], QueuedStream]" = {}  # by device and inode
_on_drop: Callable[[int], object] = lambda count: None


class QueueingConfigurator(logging.config.DictConfigurator):
    """Configures as `dictConfig` does, with a queue before each stream whose reader may not read."""

    def __init__(self, config: Mapping[str, Any], notice: Notice, *, waits: bool) -> None:
        """Take what `dictConfig` takes; `waits` is for the reader of a FIFO, until it is there."""
        super().__init__(dict(config))
        self._notice, self._waits = notice, waits
        self._used: set[QueuedStream] = set()

    def configure(self) -> None:
        """Configure; an earlier configuration's queue goes on if its reader is still used, else a thread ends it."""
        super().configure()
        if unused := [key for key, stream in _streams.items() if stream not in self._used]:
            # In a thread, since this one may be the event loop's. An exit waits for it.
            threading.Thread(target=_close, args=[[_streams.pop(key) for key in unused]], name="log end").start()

    def configure_handler(self, config: dict[str, Any]) -> Any:
        """Make a handler."""
        with nullcontext() if self._waits else _without_waiting(config.get("filename")):
            handler = super().configure_handler(config)
        if isinstance(handler, logging.StreamHandler) and _may_block(handler.stream):
            opened = handler.stream
            handler.stream = _queued(handler, self._notice)
            self._used.add(handler.stream)
            if isinstance(handler, logging.FileHandler):  # the queue has a descriptor of its own
                opened.close()
        return handler


def count_drops(count: Callable[[int], object]) -> None:
    """Call `count` with the number of records whenever some are dropped, from any thread."""
    global _on_drop
    _on_drop = count


def close_all() -> None:
    """Write the queues, for up to `EXIT_PATIENCE` seconds, and end the threads."""
    streams = list(_streams.values())
    _streams.clear()
    _close(streams)


def _close(streams: "Iterable[QueuedStream]") -> None:
    deadline = time.monotonic() + EXIT_PATIENCE
    for stream in streams:
        stream.end(deadline - time.monotonic())


@contextmanager
def _without_waiting(path: object) -> Iterator[None]:
    """Have an open of a FIFO in the block wait for no reader: there is one, which reads nothing."""
    reader = -1
    if isinstance(path, str) and os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
        with suppress(OSError):  # which opening it raises as well
            reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield
    finally:
        if reader >= 0:
            os.close(reader)


def _may_block(stream: Any) -> bool:
    """Return whether a write can block; it cannot on a file or /dev/null."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # no stream, none of the system's, or closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()


def _queued(handler: "logging.StreamHandler[Any]", notice: Notice) -> "QueuedStream":
    """Return the queue of a handler's stream; streams to the same reader share one."""
    status = os.fstat(handler.stream.fileno())
    key = status.st_dev, status.st_ino
    if key not in _streams or _streams[key].closed:
        _streams[key] = QueuedStream(handler.stream, lambda count: notice(handler, count))
    stream = _streams[key]
    stream.notice = lambda count: notice(handler, count)
    return stream


class QueuedStream:
    """Takes text at once, and writes it in order. No write tears a line that fits into PIPE_BUF."""

    def __init__(self, stream: TextIO, notice: Callable[[int], str]) -> None:
        stream.flush()
        self._encoding = stream.encoding
        self._fd = os.dup(stream.fileno())  # a write that hangs may outlast the stream
        self.notice = notice
        self.forked()

    def forked(self) -> None:
        """Begin with an empty queue: after a fork the parent's thread writes the old one."""
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._size = 0  # bytes not written yet, those of a write under way included
        self._writing = 0  # records of a write under way
        self._dropped = 0  # records since all was written
        self._asleep = self.closed = False
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Take a line, or drop it; characters that the encoding lacks are escaped."""
        line = text.encode(self._encoding, "backslashreplace")
        with self._changed:
            dropped = bool(self._dropped) or self.closed or self._size + len(line) > MAX_QUEUED_BYTES
            if dropped:
                self._dropped += 1
            else:
                self._lines.append(line)
                self._size += len(line)
            self._wake()
        if dropped:
            _on_drop(1)
        return len(text)

    def flush(self) -> None:
        """Do nothing: a handler calls it after each line, and does not wait."""

    def close(self) -> None:
        """Do nothing when a file's handler is closed: the thread writes the queue, and another handler may use it."""

    def end(self, patience: float) -> None:
        """Write the queue, for at most `patience` seconds, and end the thread; count the lines that are left."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._size or self._dropped), patience)
            if self._thread is None and not self.closed:
                os.close(self._fd)
            self.closed = True
            lost, self._writing = len(self._lines) + self._writing, 0
            self._lines.clear()
            self._changed.notify_all()
        if lost:
            _on_drop(lost)

    def _wake(self) -> None:
        if self._thread is None and not self.closed:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
        elif self._asleep:
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._asleep = True
                self._changed.wait_for(lambda: self._lines or self._dropped or self.closed)
                self._asleep = False
                if self.closed:
                    os.close(self._fd)
                    return
                batch = self._next_batch()
            self._put(batch)
            with self._changed:
                self._size -= sum(map(len, batch))
                self._writing = 0
                self._changed.notify_all()
                pause = not self._lines
            if pause:
                time.sleep(PAUSE)

    def _next_batch(self) -> list[bytes]:
        """Return the next lines: as many as fit into one atomic write, at least one."""
        is_notice = not self._lines
        if is_notice:
            self._lines.append(self.notice(self._dropped).encode(self._encoding, "backslashreplace"))
            self._size += len(self._lines[0])
            self._dropped = 0
        batch = [self._lines.popleft()]
        size = len(batch[0])
        while self._lines and (size := size + len(self._lines[0])) <= select.PIPE_BUF:
            batch.append(self._lines.popleft())
        self._writing = 0 if is_notice else len(batch)
        return batch

    def _put(self, batch: list[bytes]) -> None:
        """Write lines, however long that takes; those that cannot be written are counted."""
        data = memoryview(b"".join(batch))
        while data and not self.closed:
            try:
                data = data[os.write(self._fd, data):]
            except BlockingIOError:  # another process has made it non-blocking
                room = select.poll()
                room.register(self._fd, select.POLLOUT)
                room.poll()
            except OSError:  # nobody can read it any more
                with self._changed:
                    lost, self._writing = self._writing, 0
                if lost:  # else `end` has counted them
                    _on_drop(lost)
                return


def _forked() -> None:
    for stream in _streams.values():
        stream.forked()


atexit.register(close_all)
os.register_at_fork(after_in_child=_forked)
