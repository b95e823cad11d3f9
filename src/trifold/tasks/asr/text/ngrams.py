"""How often which phone (or word) follows which: n-gram models of any order, smoothed after Witten & Bell (1991).

p(w | h) = (count(h w) + distinct(h) * p(w | h')) / (count(h) + distinct(h)), where h' is h without its first symbol;
below all of it the uniform distribution. Interpolated, so every sequence has a probability.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BOUNDARY", "NGrams", "divergence", "ngram_counts"]

BOUNDARY = -1
"""What stands before the first and after the last symbol of a sequence."""

Symbols = Sequence[int]


@dataclass(frozen=True, slots=True)
class NGrams:
    """symbols: how many there are; sequences are of numbers from 0 to symbols - 1, and end with `BOUNDARY`.

    counts: of each history, shorter than `order`, what followed it.
    """

    order: int
    symbols: int
    counts: dict[tuple[int, ...], Counter[int]]
    totals: dict[tuple[int, ...], int]

    @classmethod
    def fit(cls, sequences: Iterable[Symbols], order: int, symbols: int) -> NGrams:
        """Count a corpus. order: symbols of an n-gram, at least 1."""
        counts: dict[tuple[int, ...], Counter[int]] = {}
        for sequence in sequences:
            padded = (*[BOUNDARY] * (order - 1), *sequence, BOUNDARY)
            for at in range(order - 1, len(padded)):
                for size in range(order):
                    history = padded[at - size : at]
                    if (known := counts.get(history)) is None:
                        known = counts[history] = Counter()
                    known[padded[at]] += 1
        return cls(order, symbols, counts, {history: followed.total() for history, followed in counts.items()})

    def without_rare(self, longer: int = 2, least: int = 2) -> NGrams:
        """Without the histories of more than `longer` symbols that are there fewer than `least` times."""
        kept = {h: followed for h, followed in self.counts.items() if len(h) <= longer or self.totals[h] >= least}
        return NGrams(self.order, self.symbols, kept, {history: self.totals[history] for history in kept})

    def probability(self, history: Symbols, symbol: int) -> float:
        """p(symbol | the last order - 1 symbols of the history)."""
        kept = tuple(history[-(self.order - 1) :]) if self.order > 1 else ()
        p = 1.0 / (self.symbols + 1)
        for size in range(len(kept) + 1):
            context = kept[len(kept) - size :]
            followed = self.counts.get(context)
            if followed is None:
                break
            distinct = len(followed)
            p = (followed[symbol] + distinct * p) / (self.totals[context] + distinct)
        return p

    def log_probability(self, sequence: Symbols) -> float:
        """Natural logarithm of the probability of a sequence and its end."""
        padded = (*[BOUNDARY] * (self.order - 1), *sequence, BOUNDARY)
        first = self.order - 1
        return sum(math.log(self.probability(padded[:at], padded[at])) for at in range(first, len(padded)))

    def perplexity(self, sequences: Sequence[Symbols]) -> float:
        """exp(-mean log-probability of a symbol), ends counted as symbols; infinite for no sequence."""
        if not sequences:
            return math.inf
        total = sum(self.log_probability(sequence) for sequence in sequences)
        return math.exp(-total / (sum(map(len, sequences)) + len(sequences)))

    def transitions(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Of a bigram model: p(first), p(next | symbol) and p(end | symbol), shapes (V,), (V, V) and (V,)."""
        everything = range(self.symbols)
        initial = np.array([self.probability((BOUNDARY,), w) for w in everything])
        following = np.array([[self.probability((h,), w) for w in everything] for h in everything])
        ends = np.array([self.probability((h,), BOUNDARY) for h in everything])
        return initial, following, ends


def ngram_counts(sequences: Iterable[Symbols], order: int) -> Counter[tuple[int, ...]]:
    """How often each run of `order` symbols stands in the sequences."""
    found: Counter[tuple[int, ...]] = Counter()
    for sequence in sequences:
        found.update(zip(*(sequence[i:] for i in range(order)), strict=False))
    return found


def divergence(a: Counter[tuple[int, ...]], b: Counter[tuple[int, ...]]) -> float:
    """Jensen-Shannon divergence of two distributions of n-grams, 0 for equal and 1 for disjoint ones (base 2)."""
    total_a, total_b = a.total(), b.total()
    if not total_a or not total_b:
        return 1.0
    found = 0.0
    for key in a.keys() | b.keys():
        p, q = a[key] / total_a, b[key] / total_b
        middle = (p + q) / 2
        found += sum(x * math.log2(x / middle) for x in (p, q) if x) / 2
    return min(max(found, 0.0), 1.0)
