"""Which rows teach, which choose and calibrate, and which are only reported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from trifold.errors import DataError
from trifold.tasks.qa.data.examples import Example

__all__ = ["Split", "kept_for_choosing", "split"]

_KEPT = 0.05


@dataclass(frozen=True, slots=True)
class Split:
    """train: taught. validation: chooses the epoch and fits the calibration. held_out: reported, used for nothing."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    held_out: tuple[Example, ...]


def split(examples: Sequence[Example], *, validation: float, held_out: float, seed: int) -> Split:
    """Divide the rows so that no passage stands in two parts.

    validation, held_out: shares of the rows. Whole passages are dealt out in an order that depends on their text and
    the seed alone, so that adding rows moves no other row. Raises DataError when there are too few passages.
    """
    passages: dict[str, list[Example]] = {}
    for example in examples:
        passages.setdefault(example.passage, []).append(example)
    ordered = sorted(passages, key=lambda passage: _draw(passage, seed))
    wanted = {"held_out": held_out * len(examples), "validation": validation * len(examples)}
    parts: dict[str, list[Example]] = {"held_out": [], "validation": [], "train": []}
    for passage in ordered:
        part = next((name for name, count in wanted.items() if len(parts[name]) < count), "train")
        parts[part] += passages[passage]
    if not parts["train"] or not parts["validation"]:
        raise DataError(
            f"expected rows about at least {2 + (held_out > 0)} passages, to teach with some and to choose and report "
            f"with others; found {len(examples):,} rows about {len(passages):,}. Add rows about other passages."
        )
    return Split(*(tuple(parts[name]) for name in ("train", "validation", "held_out")))


def _draw(passage: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\n{passage}".encode()).digest()


def kept_for_choosing(title: str) -> bool:
    """Whether the questions of a title of SQuAD's training file choose between models rather than teach: one in twenty.

    By the title alone, so that every recipe and benchmark keeps the same ones.
    """
    return int.from_bytes(hashlib.sha256(title.encode()).digest()[:4], "big") < _KEPT * 2**32
