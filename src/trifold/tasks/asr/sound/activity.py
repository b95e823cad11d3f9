"""Where somebody speaks: stretches of a recording that are louder than its background, without a model.

The energies of a recording's frames are taken for a mixture of two normal distributions, background and speech, found
by expectation maximisation; a frame is speech where that is likelier. Short gaps are bridged and short bursts dropped.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from trifold.tasks.asr.sound.audio import Samples
from trifold.tasks.asr.sound.features import HOP, WINDOW

__all__ = ["Stretch", "energies", "speech"]

Stretch: TypeAlias = tuple[int, int]
"""First frame and the one after the last."""

_SMOOTHED = 5
_BRIDGED, _SHORTEST, _MARGIN = 30, 8, 5
"""Frames of silence that end no stretch, of speech that make one, and that are added on either side."""
_NEAREST = 6.0
"""Decibels between background and speech; where they are nearer, a recording is all one of them."""
_SILENT = -65.0
"""Decibels under full scale that nothing worth hearing stays below."""
_FLOOR = 1e-10


def energies(samples: Samples) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Decibels of each frame relative to full scale, shape (frames,), smoothed over five of them."""
    count = max(0, 1 + (len(samples) - WINDOW) // HOP)
    if not count:
        return np.zeros(0)
    squares = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    first = np.arange(count) * HOP
    loud = 10 * np.log10(np.maximum((squares[first + WINDOW] - squares[first]) / WINDOW, _FLOOR))
    reach = _SMOOTHED // 2
    padded = np.pad(loud, reach, mode="edge")
    return np.convolve(padded, np.ones(_SMOOTHED) / _SMOOTHED, "valid")


def speech(samples: Samples) -> list[Stretch]:
    """The stretches in which there is speech, in order and apart; none in silence."""
    loud = energies(samples)
    audible = loud > _SILENT
    if not audible.any():
        return []
    background, spoken, boundary = _mixture(loud)
    if spoken - background < _NEAREST:
        # All of it is alike: speech without a pause, or a hiss. What is audible is kept.
        boundary = _SILENT
    return _stretches(loud > max(boundary, _SILENT))


def _mixture(loud: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Means of background and speech, and the level from which speech is likelier."""
    values = np.clip(loud, np.percentile(loud, 1), None)
    mean = np.percentile(values, [15, 85]).astype(float)
    spread, share = np.full(2, max(float(values.std()), 1.0)), np.full(2, 0.5)
    for _ in range(50):
        density = share * np.exp(-0.5 * ((values[:, None] - mean) / spread) ** 2) / spread
        weight = density / np.maximum(density.sum(1, keepdims=True), 1e-300)
        total = np.maximum(weight.sum(0), 1e-9)
        mean, share = (weight * values[:, None]).sum(0) / total, total / len(values)
        spread = np.sqrt((weight * (values[:, None] - mean) ** 2).sum(0) / total).clip(1.0)
    low, high = float(mean.min()), float(mean.max())
    if mean[0] > mean[1]:
        mean, spread, share = mean[::-1], spread[::-1], share[::-1]
    levels = np.linspace(low, high, 200)
    density = share * np.exp(-0.5 * ((levels[:, None] - mean) / spread) ** 2) / spread
    return low, high, float(levels[int(np.argmax(density[:, 1] >= density[:, 0]))])


def _stretches(active: np.ndarray[Any, Any]) -> list[Stretch]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    joined: list[Stretch] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if joined and first - joined[-1][1] <= _BRIDGED:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    found: list[Stretch] = []
    for first, last in joined:
        if last - first < _SHORTEST:
            continue
        start = max(first - _MARGIN, found[-1][1] if found else 0)
        found.append((start, min(last + _MARGIN, len(active))))
    return found
