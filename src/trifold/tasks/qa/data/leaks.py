"""Finds passages that stand both in training data and in data that a model is measured on."""

from __future__ import annotations

from collections.abc import Sequence

from trifold.tasks.qa.data.examples import Example

__all__ = ["shared_passages"]


def shared_passages(train: Sequence[Example], held_out: Sequence[Example]) -> list[Example]:
    """The held-out examples whose passage also stands in the training data, whatever its blanks and line ends.

    A model has read these passages when it is asked about them, so it looks better than it is.
    """
    seen = {_squeezed(passage) for passage in {example.passage for example in train}}
    leaked = {passage for passage in {example.passage for example in held_out} if _squeezed(passage) in seen}
    return [example for example in held_out if example.passage in leaked]


def _squeezed(passage: str) -> str:
    return " ".join(passage.split())
