"""Cuts the units of many requests into batches by cost and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trifold.task import Unit

__all__ = ["Budget", "length", "plan"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be computed at once.

    batch: cost of one batch, padding included. A unit that alone exceeds it is a batch of its own.
    padding: by how much a unit may be lengthened to share a batch, in units of its length.
    lookahead: cost of the requests that are read ahead of the results, which bounds memory.
    """

    batch: int
    padding: int
    lookahead: int


def length(unit: Unit) -> int:
    """The common size of axis 0 of a unit's arrays."""
    return len(next(iter(unit.arrays.values())))


def plan(units: Sequence[Unit], budget: Budget) -> list[list[int]]:
    """Batches of indices into `units`, the longest units first.

    Units of like length go together, so that little is padded; the longest go first, so that what runs
    last is short and all cores finish together.
    """
    order = sorted(range(len(units)), key=lambda i: -length(units[i]))
    batches: list[list[int]] = []
    for index in order:
        if batches:
            first = batches[-1][0]
            fits = (len(batches[-1]) + 1) * units[first].cost <= budget.batch
            if fits and length(units[first]) - length(units[index]) <= budget.padding:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches
