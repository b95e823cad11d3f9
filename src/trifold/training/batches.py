"""Batches of like length, in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["bucketed", "padded_length"]

_POOL = 16
"""Batches whose items are sorted together: enough for like lengths, few enough for the order to stay random."""


def padded_length(length: int, multiple: int = 32) -> int:
    """The length a batch is padded to. Few different shapes, since each new one is compiled."""
    return -(-length // multiple) * multiple


def bucketed(lengths: Sequence[int], size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Indices in batches of `size`, every index once, items of like length together.

    lengths: of each item. The items are shuffled, sorted by length within pools of some batches, and the batches
    shuffled again. The same arguments give the same batches, so that a resumed training needs no saved order.
    """
    chance = np.random.default_rng((seed, epoch))
    order = chance.permutation(len(lengths))
    batches: list[list[int]] = []
    for first in range(0, len(order), size * _POOL):
        pool = sorted((int(i) for i in order[first : first + size * _POOL]), key=lambda i: lengths[i])
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    return [batches[i] for i in chance.permutation(len(batches))]
