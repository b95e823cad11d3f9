"""What became of the rows of a batch job, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["BINS", "Tally"]

BINS = 10
_KINDS_OF_WARNINGS = 20


@dataclass(slots=True)
class Tally:
    """rows = answered + silent + failed.

    silent: rows to which the reply was that there is no answer. failed: rows in the errors file. computed: rows that
    went through the model; the others were faulty or asked the same as another row of their chunk. scores: a histogram
    of the replies' scores, `BINS` bins of equal width from 0 to 1. warnings: how many replies bore each warning.
    """

    rows: int = 0
    answered: int = 0
    silent: int = 0
    failed: int = 0
    computed: int = 0
    scores: list[int] = field(default_factory=lambda: [0] * BINS)
    warnings: dict[str, int] = field(default_factory=dict)

    def count(self, *, answered: bool, score: float | None, warnings: tuple[str, ...] = ()) -> None:
        """Count one reply."""
        self.rows += 1
        self.answered += answered
        self.silent += not answered
        if score is not None:
            self.scores[min(BINS - 1, max(0, int(score * BINS)))] += 1
        for text in warnings:
            self._warn(text, 1)

    def count_failed(self) -> None:
        """Count one row that could not be answered."""
        self.rows += 1
        self.failed += 1

    def add(self, other: Tally) -> None:
        """Count everything that another has counted."""
        self.rows += other.rows
        self.answered += other.answered
        self.silent += other.silent
        self.failed += other.failed
        self.computed += other.computed
        self.scores = [a + b for a, b in zip(self.scores, other.scores, strict=True)]
        for text, times in other.warnings.items():
            self._warn(text, times)

    def _warn(self, text: str, times: int) -> None:
        if text in self.warnings or len(self.warnings) < _KINDS_OF_WARNINGS:
            self.warnings[text] = self.warnings.get(text, 0) + times

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Tally:
        """What `to_dict` made."""
        return cls(**value)
