"""Text spoilt on purpose: what transcripts that are worthless look like to label-free measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["permuted", "unigrams"]

Symbols = tuple[int, ...]


def permuted(sentences: Sequence[Symbols], *, seed: int) -> list[Symbols]:
    """The sentences with every phone called by another's name: a substitution cipher."""
    phones = np.array(sorted({phone for sentence in sentences for phone in sentence}), np.int64)
    # A permutation along one random circle leaves no phone its name.
    order = np.random.default_rng((seed, 2)).permutation(phones)
    name = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return [tuple(name[phone] for phone in sentence) for sentence in sentences]


def unigrams(sentences: Sequence[Symbols], *, seed: int) -> list[Symbols]:
    """Sentences of the same lengths whose phones stand in a random order: right in number, without sequence."""
    everything = np.array([phone for sentence in sentences for phone in sentence], np.int64)
    mixed = np.random.default_rng((seed, 3)).permutation(everything).tolist()
    found, at = [], 0
    for sentence in sentences:
        found.append(tuple(mixed[at : at + len(sentence)]))
        at += len(sentence)
    return found
