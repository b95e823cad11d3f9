"""As many of each phone as the text has: what is heard too often is made less likely in the next round.

Expectation maximisation from models that are half right gives the sounds of one phone to another that is like it, and
stays there: one is then heard far too often, the other hardly at all, which the text's frequencies tell. A weight for
each phone holds the expected counts to them (posterior regularisation; Ganchev, Graça, Gillenwater & Taskar 2010).
Counts, and not only shares: with shares alone all weights may rise together, and ever shorter phones are heard.
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
    """wanted: how often each phone is to be heard in all frames, shape (V,); 0 where the text has none. weights:
    logarithms of what its probability is multiplied with, shape (V,)."""

    wanted: Table
    weights: Table

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]], heard: Table) -> Balance:
        """The text's shares of as many phones as were heard, silence aside. heard: how often each was, shape (V,)."""
        counts = np.bincount([phone for sentence in sentences for phone in sentence], minlength=len(heard))
        return cls(counts / max(counts.sum(), 1) * float(heard[1:].sum()), np.zeros(len(heard)))

    def on(self, following: Following) -> Following:
        """The trigrams with the weights; their probabilities no longer add up to 1."""
        import torch

        weights = torch.from_numpy(np.exp(self.weights)).to(following.first.dtype)
        return replace(following, first=following.first * weights, after=following.after * weights)

    def after(self, heard: Table) -> Balance:
        """With the weights for the next round."""
        known = self.wanted > 0
        apart = np.log(np.where(known, self.wanted, 1.0)) - np.log(np.maximum(heard, _FEWEST))
        return replace(self, weights=np.clip(self.weights + np.where(known, apart, 0.0), -_MOST, _MOST))
