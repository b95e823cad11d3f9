"""Sounds by number: segments that are alike get the same one, whatever phone they will turn out to be.

k-means (Lloyd 1982, begun as Arthur & Vassilvitskii 2007) on the mean of each segment, where a direction counts the
less, the more frames differ in it within segments: what changes inside a sound does not tell sounds apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.segments import Bounds, means

__all__ = ["Units", "clustered", "segment_features", "units_of"]

Units: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
"""One number for each segment of an utterance."""

_ROUNDS = 25
_FLOOR = 0.02
_AT_ONCE = 8192


def segment_features(utterances: Sequence[Frames], bounds: Sequence[Bounds]) -> list[Frames]:
    """The mean of each segment, turned and scaled so that frames vary by 1 within segments: (segments, D) each."""
    width = utterances[0].shape[1]
    within, count = np.zeros((width, width)), 0
    for frames, edges in zip(utterances, bounds, strict=True):
        away = frames - np.repeat(means(frames, edges), np.diff(edges), 0)
        within += away.T @ away
        count += len(frames)
    spread, turn = np.linalg.eigh(within / max(count, 1))
    scaled = (turn / np.sqrt(np.maximum(spread, 0) + _FLOOR)).astype(np.float32)
    return [means(frames, edges) @ scaled for frames, edges in zip(utterances, bounds, strict=True)]


def units_of(features: Sequence[Frames], count: int, seed: int) -> list[Units]:
    """The number of each segment's cluster, from 0 to count - 1."""
    numbers = clustered(np.concatenate(features), count, seed)
    edges = np.cumsum([len(one) for one in features])[:-1]
    return [np.asarray(part, np.int64) for part in np.split(numbers, edges)]


def clustered(points: Frames, count: int, seed: int) -> Units:
    """The cluster of each point, shape (N,). points: shape (N, D), at least `count` of them."""
    chance = np.random.default_rng(seed)
    chosen = [int(chance.integers(len(points)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(1)
    for _ in range(count - 1):
        total = float(nearest.sum())
        share = nearest / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(int(chance.choice(len(points), p=share / share.sum())))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    centres = points[chosen].copy()
    numbers = _nearest(points, centres)
    for _ in range(_ROUNDS):
        sizes = np.bincount(numbers, minlength=count)
        sums = np.stack([np.bincount(numbers, column, count) for column in points.T.astype(np.float64)], 1)
        used = sizes > 0
        centres[used] = (sums[used] / sizes[used, None]).astype(np.float32)
        numbers = _nearest(points, centres)
    return numbers


def _nearest(points: Frames, centres: Frames) -> Units:
    half = 0.5 * (centres**2).sum(1)
    parts = [points[at : at + _AT_ONCE] for at in range(0, len(points), _AT_ONCE)]
    return np.concatenate([(part @ centres.T - half).argmax(1) for part in parts])
