"""Extractive reading as one writes it around a plain graph: windows, padded batches, best spans.

What the measured processes of ONNX Runtime and OpenVINO share; needs numpy and tokenizers, and nothing of trifold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Feeds", "Logits", "Reading", "cut"]

LONGEST, OVERLAP, LONGEST_ANSWER = 384, 128, 30
"""Tokens of a window, tokens that two windows share, tokens of an answer: those that the pipeline is asked for too."""

Feeds = dict[str, "np.ndarray[Any, np.dtype[np.int64]]"]
Logits = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]


def cut(tokenizer: Any, rows: Sequence[dict[str, str]]) -> list[list[Any]]:
    """The windows of each row."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST, stride=OVERLAP, strategy="only_second")
    encoded = tokenizer.encode_batch([(row["question"], row["passage"]) for row in rows])
    return [[one, *one.overflowing] for one in encoded]


class Reading:
    """Answers rows by a function that computes batches: all windows, the longest first, padded to the batch's longest.

    compute: from batches to start and end logits, each of shape (windows, tokens). batch: windows computed together.
    multiple: lengths are rounded up to multiples of this.
    """

    def __init__(self, folder: str, compute: Callable[[Sequence[Feeds]], Sequence[Logits]]) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._compute = compute
        self.batch, self.multiple = 1, 1

    def ask(self, rows: list[dict[str, str]]) -> list[str]:
        windows = [(row, window) for row, own in enumerate(cut(self._tokenizer, rows)) for window in own]
        windows.sort(key=lambda one: -len(one[1].ids))
        groups = [windows[i : i + self.batch] for i in range(0, len(windows), self.batch)]
        outputs = self._compute([self._feeds([window for _, window in group]) for group in groups])
        best = [(-np.inf, 0, 0)] * len(rows)
        for group, (starts, ends) in zip(groups, outputs, strict=True):
            for (row, window), start, end in zip(group, starts, ends, strict=True):
                best[row] = max(best[row], best_span(window, start, end))
        return [row["passage"][start:end] for row, (_, start, end) in zip(rows, best, strict=True)]

    def _feeds(self, windows: Sequence[Any]) -> Feeds:
        longest = -(-max(len(window.ids) for window in windows) // self.multiple) * self.multiple
        feeds = {
            name: np.zeros((len(windows), longest), np.int64)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        for i, window in enumerate(windows):
            n = len(window.ids)
            feeds["input_ids"][i, :n], feeds["token_type_ids"][i, :n] = window.ids, window.type_ids
            feeds["attention_mask"][i, :n] = 1
        return feeds


def best_span(window: Any, start: Any, end: Any) -> tuple[float, int, int]:
    """The best sum of a start and an end logit in the passage, and the span's characters."""
    inside = np.array([sequence == 1 for sequence in window.sequence_ids])
    n = len(inside)
    start, end = np.where(inside, start[:n], -np.inf), np.where(inside, end[:n], -np.inf)
    sums = np.full((LONGEST_ANSWER, n), -np.inf, np.float32)
    for length in range(min(LONGEST_ANSWER, n)):
        sums[length, : n - length] = start[: n - length] + end[length:]
    length, first = divmod(int(sums.argmax()), n)
    return float(sums[length, first]), window.offsets[first][0], window.offsets[first + length][1]
