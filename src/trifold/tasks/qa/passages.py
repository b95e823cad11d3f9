"""Remembers passages that were tokenised, since questions about one passage seldom come alone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from trifold.tasks.qa.tokens import PassageTokens

__all__ = ["PassageCache"]

_ROOM = 32_000_000
_OVERHEAD = 1000
"""Bytes of the objects around a passage's arrays."""


class PassageCache:
    """The most recently used passages, up to a number of bytes; the last one however large. Thread-safe."""

    def __init__(self, tokenise: Callable[[str], PassageTokens], *, room: int = _ROOM) -> None:
        self._tokenise = tokenise
        self._room = room
        self._kept: OrderedDict[str, PassageTokens] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __call__(self, text: str) -> PassageTokens:
        """The passage's tokens."""
        with self._lock:
            found = self._kept.get(text)
            if found is not None:
                self._kept.move_to_end(text)
                return found
        tokens = self._tokenise(text)  # without the lock: two threads may do the same work, but none waits
        with self._lock:
            if text not in self._kept:
                self._kept[text] = tokens
                self._size += _size(text, tokens)
                while self._size > self._room and len(self._kept) > 1:
                    self._size -= _size(*self._kept.popitem(last=False))
        return tokens


def _size(text: str, tokens: PassageTokens) -> int:
    arrays = (tokens.ids, tokens.starts, tokens.ends, tokens.may_start, tokens.may_end)
    return _OVERHEAD + 4 * len(text) + sum(array.nbytes for array in arrays)
