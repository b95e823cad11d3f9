"""Remembers what was used most recently, up to a number of bytes."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Generic, TypeVar

__all__ = ["Recent", "footprint"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The most recently used values, up to `room` bytes; the last one however large. Thread-safe."""

    def __init__(self, room: int) -> None:
        """room: in bytes; with 0 nothing is kept."""
        self._room = room
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of what is kept."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """The value, which then counts as used; None when it is not here."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of so many bytes; what was used least goes where there is no room."""
        if not self._room:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = value, size
            self._size += size
            while self._size > self._room and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1][1]


def footprint(value: object) -> int:
    """About how many bytes a record of plain values takes."""
    size = sys.getsizeof(value, 64)
    if is_dataclass(value):
        return size + sum(footprint(getattr(value, entry.name)) for entry in fields(value))
    if isinstance(value, Mapping):
        return size + sum(footprint(key) + footprint(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(footprint(item) for item in value)
    return size
