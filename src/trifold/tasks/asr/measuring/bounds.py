"""How well boundaries are found: precision, recall, F1, and Räsänen's R-value, which insertions cannot improve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["BoundaryScore", "score_boundaries"]

TOLERANCE = 0.020
_ROUNDING = 1e-6
"""Boundaries that are apart by the tolerance count as matched, however their seconds are rounded."""


@dataclass(frozen=True, slots=True)
class BoundaryScore:
    """Counts over all utterances: boundaries of the references, those found, and those that are both."""

    wanted: int
    found: int
    matched: int

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @property
    def r_value(self) -> float:
        """Räsänen, Laine & Altosaar (2009), 1 for a perfect segmentation."""
        if not self.wanted or not self.found:
            return 0.0
        over = self.found / self.wanted - 1
        r1 = math.hypot(1 - self.recall, over)
        r2 = (self.recall - 1 - over) / math.sqrt(2)
        return 1 - (abs(r1) + abs(r2)) / 2


def score_boundaries(
    pairs: Iterable[tuple[Sequence[float], Sequence[float]]], tolerance: float = TOLERANCE
) -> BoundaryScore:
    """Match the boundaries of each (reference, found), seconds in ascending order, each to one at most."""
    wanted = found = matched = 0
    tolerance += _ROUNDING
    for reference, hypothesis in pairs:
        wanted += len(reference)
        found += len(hypothesis)
        at = 0
        for time in reference:
            while at < len(hypothesis) and hypothesis[at] < time - tolerance:
                at += 1
            if at < len(hypothesis) and hypothesis[at] <= time + tolerance:
                matched += 1
                at += 1
    return BoundaryScore(wanted, found, matched)
