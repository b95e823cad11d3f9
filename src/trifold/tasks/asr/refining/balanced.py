"""As many of each phone as the text has: what is heard too often is made less likely in the next round.

Expectation maximisation from models that are half right gives the sounds of one phone to another that is like it, and
stays there: one is then heard far too often, the other hardly at all, which the text's frequencies tell. A weight for
each phone holds the expected counts to them (posterior regularisation; Ganchev, Graça, Gillenwater & Taskar 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.matching.trigrams import Following

__all__ = ["Balance"]

_MOST = 8.0
_FEWEST = 0.5
"""Of a phone's count, so that one that is never heard has a logarithm."""


@dataclass(frozen=True, slots=True)
class Balance:
    """wanted: each phone's share of the text, shape (V,). weights: logarithms of what its probability is multiplied
    with, shape (V,)."""

    wanted: Table
    weights: Table

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]], symbols: int) -> Balance:
        """Of the text's phones; all are as likely as the trigrams say."""
        counts = np.bincount([phone for sentence in sentences for phone in sentence], minlength=symbols)
        return cls(counts / max(counts.sum(), 1), np.zeros(symbols))

    def on(self, following: Following) -> Following:
        """The trigrams with the weights; their probabilities no longer add up to 1."""
        import torch

        weights = torch.from_numpy(np.exp(self.weights)).to(following.first.dtype)
        return replace(following, first=following.first * weights, after=following.after * weights)

    def after(self, heard: Table) -> Balance:
        """With the weights for the next round. heard: how often each phone was, shape (V,)."""
        counts = np.maximum(heard, _FEWEST)
        known = self.wanted > 0
        apart = np.log(np.where(known, self.wanted, 1.0)) - np.log(counts / counts.sum())
        return replace(self, weights=np.clip(self.weights + np.where(known, apart, 0.0), -_MOST, _MOST))
