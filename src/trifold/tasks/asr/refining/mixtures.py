"""How each state sounds: a mixture of normal distributions with diagonal covariances.

N frames, S states, M components, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.sound.features import Frames

__all__ = ["LEAST_SHARE", "Mixtures", "Totals"]

LEAST_SHARE = 0.02
"""Of the variance of all frames: a state that was heard a few times only must not become a spike."""
_PRIOR = 10.0
"""Frames' worth of the distribution of all frames, in every state."""


@dataclass(frozen=True, slots=True)
class Mixtures:
    """weights: shape (S, M). means, variances: (S, M, D)."""

    weights: Table
    means: Table
    variances: Table

    @classmethod
    def single(cls, frames: Frames, shares: Table) -> Mixtures:
        """One distribution for each state. shares: p(state | frame), shape (N, S)."""
        totals = Totals.zero(shares.shape[1], 1, frames.shape[1])
        totals.add(frames, shares[:, :, None])
        return totals.mixtures(frames.mean(0), frames.var(0))

    def scores(self, frames: Frames) -> Table:
        """log p(frame | state), shape (N, S)."""
        return np.asarray(_log_sum(self._of_components(frames)))

    def components(self, frames: Frames, shares: Table | Frames) -> Table:
        """p(state and component | frame), shape (N, S, M), from the states' shares (N, S)."""
        each = self._of_components(frames)
        return np.asarray(shares[:, :, None] * np.exp(each - _log_sum(each)[:, :, None]))

    def of(self, state: int) -> Mixtures:
        """Those of one state."""
        one = slice(state, state + 1)
        return Mixtures(self.weights[one], self.means[one], self.variances[one])

    def split(self, seed: int = 0) -> Mixtures:
        """Twice as many components: each as two, a fifth of a standard deviation to either side."""
        chance = np.random.default_rng(seed)
        away = 0.2 * np.sqrt(self.variances) * np.sign(chance.standard_normal(self.means.shape))
        return Mixtures(
            np.concatenate([self.weights, self.weights], 1) / 2,
            np.concatenate([self.means + away, self.means - away], 1),
            np.concatenate([self.variances, self.variances], 1),
        )

    def _of_components(self, frames: Frames) -> Table:
        states, count, width = self.means.shape
        precision = (1 / self.variances).reshape(-1, width)
        centre = (self.means / self.variances).reshape(-1, width)
        fixed = np.log(self.weights) - 0.5 * (np.log(2 * np.pi * self.variances) + self.means**2 / self.variances).sum(
            2
        )
        found = frames @ centre.T - 0.5 * (frames**2 @ precision.T) + fixed.reshape(-1)
        return np.asarray(found.reshape(len(frames), states, count))


@dataclass(slots=True)
class Totals:
    """What frames add up to in each component: how many, their sum and that of their squares."""

    count: Table
    first: Table
    second: Table

    @classmethod
    def zero(cls, states: int, components: int, width: int) -> Totals:
        shape = (states, components, width)
        return cls(np.zeros(shape[:2]), np.zeros(shape), np.zeros(shape))

    def add(self, frames: Frames, shares: Table) -> None:
        """shares: p(state and component | frame), shape (N, S, M)."""
        states, components, width = self.first.shape
        flat = shares.reshape(len(frames), -1)
        self.count += flat.sum(0).reshape(states, components)
        self.first += (flat.T @ frames).reshape(states, components, width)
        self.second += (flat.T @ frames**2).reshape(states, components, width)

    def mixtures(self, mean: Any, variance: Any) -> Mixtures:
        """The likeliest distributions; mean and variance of all frames, shape (D,), are their prior."""
        count = self.count[:, :, None] + _PRIOR
        means = (self.first + _PRIOR * mean) / count
        squares = (self.second + _PRIOR * (variance + mean**2)) / count
        variances = np.maximum(squares - means**2, LEAST_SHARE * variance)
        weights = self.count + 1.0
        return Mixtures(weights / weights.sum(1, keepdims=True), means, variances)


def _log_sum(each: Table) -> Table:
    highest = each.max(2)
    return np.asarray(highest + np.log(np.exp(each - highest[:, :, None]).sum(2)))
