"""How much the bodies of requests may hold together while they arrive."""

from __future__ import annotations

from types import TracebackType
from typing import Self

__all__ = ["Place", "Room"]

_SMALL = 65_536
"""Bytes of a body that are held in any case, so that bodies that stop half way never stand in the way of short ones."""


class Room:
    """Room for the bodies of all connections."""

    def __init__(self, size: int) -> None:
        """size: bytes."""
        self._free = size

    def place(self) -> Place:
        """A place for one body; leaving it gives back what it took."""
        return Place(self)

    def _take(self, size: int) -> bool:
        if size > self._free:
            return False
        self._free -= size
        return True


class Place:
    """What one body holds."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def hold(self, size: int) -> bool:
        """Whether so many bytes more may be held."""
        self._size += size
        needed = self._size - self._taken if self._size > _SMALL else 0
        if not self._room._take(needed):
            return False
        self._taken += needed
        return True

    def clear(self) -> None:
        """Nothing is held any more."""
        self._room._free += self._taken
        self._size = self._taken = 0
