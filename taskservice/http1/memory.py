"""The memory of large bodies: one budget for all in flight, and a fair share of it for each owner."""

from collections.abc import Callable


class BodyMemory:
    """Counts the bytes of large bodies, by owner: at most `limit`, and half of it for one."""

    def __init__(self, limit: int, observe: Callable[[int], object] = lambda size: None) -> None:
        """`observe` is called with the sum whenever that changes."""
        self.limit = limit
        self._observe = observe
        self._held: dict[str, int] = {}
        self.total = 0

    def take(self, owner: str, size: int) -> bool:
        """Count `size` more bytes of an owner, and return True; False if there is no room."""
        held = self._held.get(owner, 0) + size
        if self.total + size > self.limit or held > self.limit // 2:
            return False
        self._held[owner] = held
        self._change(size)
        return True

    def give_back(self, owner: str, size: int) -> None:
        """Count `size` bytes less."""
        self._held[owner] -= size
        if not self._held[owner]:
            del self._held[owner]
        self._change(-size)

    def _change(self, size: int) -> None:
        self.total += size
        self._observe(self.total)


class Claim:
    """The memory of one body."""

    __slots__ = ("_memory", "_owner", "_size")

    def __init__(self, memory: BodyMemory, owner: str) -> None:
        self._memory = memory
        self._owner = owner
        self._size = 0

    def grow(self, size: int) -> bool:
        """Hold `size` bytes in all; return False, and change nothing, if there is no room."""
        granted = self._memory.take(self._owner, size - self._size)
        if granted:
            self._size = size
        return granted

    def release(self) -> None:
        """Release it; a second call does nothing."""
        if self._size:
            self._memory.give_back(self._owner, self._size)
            self._size = 0
