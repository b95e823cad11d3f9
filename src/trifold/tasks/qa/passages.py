"""Remembers passages that were tokenised, since questions about one passage seldom come alone."""

from __future__ import annotations

from collections.abc import Callable

from trifold.engine.recent import Recent
from trifold.tasks.qa.tokens import PassageTokens

__all__ = ["PassageCache"]

_ROOM = 32_000_000
_OVERHEAD = 1000
"""Bytes of the objects around a passage's arrays."""


class PassageCache:
    """The most recently used passages, up to a number of bytes. Thread-safe."""

    def __init__(self, tokenise: Callable[[str], PassageTokens], *, room: int = _ROOM) -> None:
        self._tokenise = tokenise
        self._recent: Recent[str, PassageTokens] = Recent(room)

    def __call__(self, text: str) -> PassageTokens:
        """The passage's tokens."""
        found = self._recent.get(text)
        if found is not None:
            return found
        tokens = self._tokenise(text)  # two threads may do the same work, but none waits
        self._recent.put(text, tokens, _size(text, tokens))
        return tokens


def _size(text: str, tokens: PassageTokens) -> int:
    arrays = (tokens.ids, tokens.starts, tokens.ends, tokens.may_start, tokens.may_end)
    return _OVERHEAD + 4 * len(text) + sum(array.nbytes for array in arrays)
