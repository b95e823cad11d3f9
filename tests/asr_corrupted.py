"""Text with errors put in on purpose: what transcripts with so many errors look like to label-free measures.

Five ways of being wrong bracket what recognisers do. "scattered": each phone may be taken for any other, drawn by how
often it stands in the text. "confused": each phone has one other that it is taken for. "swapped": some of the phones
have each other's names throughout, the rest is right; where matching settles with two sounds exchanged. "lost" and
"added": mostly phones that are missed or made up. Insertions and deletions are scattered in all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["KINDS", "corrupted"]

Symbols = tuple[int, ...]

_SHARES = {
    "scattered": (0.6, 0.2, 0.2),
    "confused": (0.6, 0.2, 0.2),
    "swapped": (0.6, 0.2, 0.2),
    "lost": (0.2, 0.8, 0.0),
    "added": (0.2, 0.0, 0.8),
}
"""Of each kind's errors the substitutions, deletions and insertions."""

KINDS = tuple(_SHARES)


def corrupted(sentences: Sequence[Symbols], rate: float, kind: str, *, seed: int) -> list[Symbols]:
    """The sentences with about rate * phones errors put in; aligned with the text they count as somewhat fewer.

    kind: one of `KINDS`.
    """
    chance = np.random.default_rng((seed, KINDS.index(kind), round(1000 * rate)))
    counts = Counter(phone for sentence in sentences for phone in sentence)
    phones = np.array(sorted(counts), np.int64)
    shares = np.array([counts[phone] for phone in phones.tolist()], np.float64)
    shares /= shares.sum()
    substituted, deleted, inserted = _SHARES[kind]
    partner = _partners(phones, shares, rate * substituted if kind == "swapped" else 1.0, chance)
    total = counts.total()
    draws = iter(zip(*chance.random((3, total)).tolist(), *_drawn(phones, shares, total, chance), strict=True))
    found: list[Symbols] = []
    for sentence in sentences:
        made: list[int] = []
        for phone in sentence:
            inserts, deletes, substitutes, more, other = next(draws)
            if inserts < rate * inserted:
                made.append(more)
            if deletes < rate * deleted:
                continue
            if kind == "swapped":
                made.append(partner[phone])
            elif substitutes < rate * substituted:
                made.append(partner[phone] if kind == "confused" else other)
            else:
                made.append(phone)
        found.append(tuple(made))
    return found


def _partners(
    phones: np.ndarray[Any, np.dtype[np.int64]],
    shares: np.ndarray[Any, np.dtype[np.float64]],
    wanted: float,
    chance: np.random.Generator,
) -> dict[int, int]:
    """What each phone is taken for: pairs drawn at random until `wanted` of all tokens are in one, else itself."""
    order = chance.permutation(len(phones)).tolist()
    partner = {phone: phone for phone in phones.tolist()}
    taken = 0.0
    for a, b in zip(order[::2], order[1::2], strict=False):
        mass = float(shares[a] + shares[b])
        # The last pair is drawn in proportion, so that the mean is what is wanted.
        if chance.random() * mass >= wanted - taken:
            break
        partner[int(phones[a])], partner[int(phones[b])] = int(phones[b]), int(phones[a])
        taken += mass
    return partner


def _drawn(
    phones: np.ndarray[Any, np.dtype[np.int64]],
    shares: np.ndarray[Any, np.dtype[np.float64]],
    count: int,
    chance: np.random.Generator,
) -> list[list[int]]:
    """Twice so many phones, as often as their shares are."""
    found: list[list[int]] = chance.choice(phones, (2, count), p=shares).tolist()
    return found
