"""Lays a passage of any length out in windows that the model can read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trifold.task import Unit
from trifold.tasks.qa.tokens import Frame, Ids

__all__ = ["LEAST_ROOM", "Window", "WindowSize", "spread", "window_unit"]

LEAST_ROOM = 64
"""Tokens of passage that a question must leave room for."""


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


def window_unit(frame: Frame, question: Ids, passage: Ids) -> Unit:
    """The model's inputs for one window, int64 arrays of shape (length,)."""
    parts = (frame.before, question, frame.between, passage, frame.after)
    ids = np.concatenate([np.asarray(part, np.int64) for part in parts])
    types = np.repeat(np.array(frame.types, np.int64), [len(part) for part in parts])
    arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
    return Unit(arrays, len(ids))
