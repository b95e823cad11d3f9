"""Cuts the units of many requests into batches by cost and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trifold.task import Unit

__all__ = ["Budget", "Shape", "fits_beside", "length", "plan", "shape"]

Shape = tuple[int, int]


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


def shape(unit: Unit) -> Shape:
    """The lengths of a unit and of its prefix, 0 where it has none."""
    shared = unit.prefix
    return length(unit), 0 if shared is None else len(next(iter(shared.arrays.values())))


def fits_beside(first: Unit, unit: Unit, budget: Budget) -> bool:
    """Whether a unit may share a batch whose longest one is `first`."""
    longest, unit_length = shape(first), shape(unit)
    if first.prefix is not None or unit.prefix is not None:  # what follows upon padding would be out of place
        return longest == unit_length
    return 0 <= longest[0] - unit_length[0] <= budget.padding


def plan(units: Sequence[Unit], budget: Budget) -> list[list[int]]:
    """Batches of indices into `units`, the longest units first.

    Units of like length go together, so that little is padded; the longest go first, so that what runs
    last is short and all cores finish together.
    """
    shapes = [shape(unit) for unit in units]
    order = sorted(range(len(units)), key=lambda i: (-sum(shapes[i]), -shapes[i][1]))
    batches: list[list[int]] = []
    for index in order:
        if batches:
            first = batches[-1][0]
            fits = (len(batches[-1]) + 1) * units[first].cost <= budget.batch
            if fits and fits_beside(units[first], units[index], budget):
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches
