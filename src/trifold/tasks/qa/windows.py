"""Lays a passage of any length out in windows that the model can read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.task import Prefix, Unit
from trifold.tasks.qa.tokens import Frame, Ids

__all__ = ["LEAST_ROOM", "Window", "WindowSize", "room_apart", "spread", "unit_apart", "window_unit"]

LEAST_ROOM = 64
"""Tokens of passage that a question must leave room for."""
_LIKE = 32
"""Questions that need the same number of steps of so many tokens are of like length; most need one."""


@dataclass(frozen=True, slots=True)
class WindowSize:
    """length: tokens in a window at most. stride: tokens that neighbouring windows share at least."""

    length: int
    stride: int

    def room(self, question: int, frame: Frame) -> int:
        """Tokens of passage that fit beside a question of so many tokens; may be negative."""
        return self.length - question - frame.size


@dataclass(frozen=True, slots=True)
class Window:
    """Which tokens one unit reads: [first, first + size) of a passage, found at `offset` in the unit."""

    passage: int
    first: int
    size: int
    offset: int


def spread(tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """(first, size) of the fewest windows that cover a passage, all of nearly the same size.

    Even windows cost no more tokens than full ones with a short rest, and leave no answer with a window of a
    few words for its context. The stride is at most half of the room.
    """
    if tokens <= room:
        return [(0, tokens)] if tokens else []
    stride = min(stride, room // 2)
    count = -(-(tokens - stride) // (room - stride))
    size = -(-(tokens + (count - 1) * stride) // count)
    firsts = [i * (size - stride) for i in range(count)]
    return [(first, min(size, tokens - first)) for first in firsts if first < tokens]


def room_apart(size: WindowSize, question: int, frame: Frame) -> int:
    """Tokens of passage in a window of a reader whose lower layers read question and passage apart.

    The same for all questions of like length, so that they cut a long passage into the same windows.
    """
    return size.room(-(-question // _LIKE) * _LIKE, frame)


def unit_apart(frame: Frame, question: Ids, passage: Ids, position: int) -> Unit:
    """The inputs of one window in two parts: `before q between` as the unit's own, `p after` as its prefix.

    position: that of the passage's first token, whatever the length of the question, so that the prefix is the same
    for all of them.
    """
    own = _inputs((frame.before, question, frame.between), frame.types[:3], 0)
    shared = _inputs((passage, frame.after), frame.types[3:], position)
    ids = shared["input_ids"]
    key = hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
    return Unit(own, len(own["input_ids"]) + len(ids), Prefix(key, shared))


def _inputs(parts: Sequence[Sequence[int] | Ids], types: Sequence[int], position: int) -> dict[str, Ids]:
    ids = np.concatenate([np.asarray(part, np.int64) for part in parts])
    return {
        "input_ids": ids,
        "position_ids": np.arange(position, position + len(ids)),
        "token_type_ids": np.repeat(np.array(types, np.int64), [len(part) for part in parts]),
    }


def window_unit(frame: Frame, question: Ids, passage: Ids) -> Unit:
    """The model's inputs for one window, int64 arrays of shape (length,)."""
    parts = (frame.before, question, frame.between, passage, frame.after)
    ids = np.concatenate([np.asarray(part, np.int64) for part in parts])
    types = np.repeat(np.array(frame.types, np.int64), [len(part) for part in parts])
    arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
    return Unit(arrays, len(ids))
