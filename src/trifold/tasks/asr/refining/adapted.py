"""Distributions that were learnt from other voices, brought over to those of the recordings.

First all means together by one affine map (Leggetter & Woodland 1995), which cannot change what is what, then each by
itself, drawn to where it was (Gauvain & Lee 1994). Estimating each anew at once loses names of phones on the way.
"""

from __future__ import annotations

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.mixtures import LEAST_SHARE, Mixtures, Totals

__all__ = ["drawn", "moved_together"]

_RIDGE = 20.0
"""Weight of the map that leaves everything where it is."""
_SCALES = (0.3, 3.0)


def moved_together(sounds: Mixtures, totals: Totals) -> Mixtures:
    """The means through the likeliest affine map, and the variances scaled, one factor for each feature.

    totals: what frames add up to in each component under `sounds`.
    """
    width = sounds.means.shape[2]
    means, variances = sounds.means.reshape(-1, width), sounds.variances.reshape(-1, width)
    count = totals.count.reshape(-1)
    first, second = totals.first.reshape(-1, width), totals.second.reshape(-1, width)
    extended = np.concatenate([means, np.ones((len(means), 1))], 1)
    moved = np.empty_like(means)
    for column in range(width):
        weights = count / variances[:, column]
        left = extended.T @ (extended * weights[:, None]) + _RIDGE * np.eye(width + 1)
        right = extended.T @ (first[:, column] / variances[:, column])
        right[column] += _RIDGE
        moved[:, column] = extended @ np.linalg.solve(left, right)
    away = second - 2 * moved * first + moved**2 * count[:, None]
    scales = np.clip(away.sum(0) / np.maximum((count[:, None] * variances).sum(0), 1e-9), *_SCALES)
    shape = sounds.means.shape
    return Mixtures(sounds.weights, moved.reshape(shape), (variances * scales).reshape(shape))


def drawn(sounds: Mixtures, totals: Totals, variance: Table, strength: float) -> Mixtures:
    """Each component's own distribution, with `strength` frames' worth of what it was.

    variance: of all frames, shape (D,).
    """
    count = totals.count[:, :, None] + strength
    means = (totals.first + strength * sounds.means) / count
    squares = (totals.second + strength * (sounds.variances + sounds.means**2)) / count
    weights = totals.count + strength * sounds.weights
    return Mixtures(
        weights / weights.sum(1, keepdims=True), means, np.maximum(squares - means**2, LEAST_SHARE * variance)
    )
