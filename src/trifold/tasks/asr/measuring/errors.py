"""Phone and word errors against references: how many, and what was taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from trifold.errors import MissingExtra

__all__ = ["Errors", "compare"]


@dataclass(slots=True)
class Errors:
    """Counted over any number of utterances. confused: (reference, found) and how often.

    deleted, inserted: what was missed and what was made up.
    """

    length: int = 0
    right: int = 0
    confused: Counter[tuple[Hashable, Hashable]] = field(default_factory=Counter)
    deleted: Counter[Hashable] = field(default_factory=Counter)
    inserted: Counter[Hashable] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Errors for each symbol of the references; may exceed 1. Infinite where something was found in silence."""
        wrong = self.confused.total() + self.deleted.total() + self.inserted.total()
        return wrong / self.length if self.length else (float("inf") if wrong else 0.0)


def compare(pairs: Iterable[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> Errors:
    """Errors of the cheapest alignment of each (reference, found), all kinds of errors costing the same."""
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise MissingExtra("scoring", "asr") from error
    total = Errors()
    for reference, found in pairs:
        total.length += len(reference)
        wrong = 0
        edits: list[tuple[str, int, int]] = [
            (e.tag, e.src_pos, e.dest_pos) for e in Levenshtein.editops(reference, found)
        ]
        for kind, at, to in edits:
            if kind == "replace":
                total.confused[reference[at], found[to]] += 1
                wrong += 1
            elif kind == "delete":
                total.deleted[reference[at]] += 1
                wrong += 1
            else:
                total.inserted[found[to]] += 1
        total.right += len(reference) - wrong
    return total
