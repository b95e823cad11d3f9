"""Where one sound of speech ends and the next begins: peaks of how fast the spectrum changes.

Changes of a cluster's number, as wav2vec-U takes them on learnt features, come three times too often on cepstra.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from trifold.tasks.asr.sound.features import Frames

__all__ = ["Bounds", "boundaries", "change", "means"]

Bounds: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
"""First frames of segments and the number of frames, in order: segment i is [b[i], b[i + 1])."""

_SIDE = 2


def change(features: Frames) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How far the mean of the two frames before each frame is from that of the two from it on, shape (frames,)."""
    count = len(features)
    if count < 2 * _SIDE:
        return np.zeros(count)
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, 0, dtype=np.float64)])
    at = np.arange(_SIDE, count - _SIDE + 1)
    before, after = sums[at] - sums[at - _SIDE], sums[at + _SIDE] - sums[at]
    found = np.zeros(count)
    found[at[at < count]] = (np.linalg.norm(after - before, axis=1) / _SIDE)[at < count]
    return found


def boundaries(features: Frames, threshold: float = 1.2, shortest: int = 2) -> Bounds:
    """Segments of an utterance, from frame 0 to its last.

    A frame begins a segment where the change is at its highest within `shortest` frames on either side and exceeds
    `threshold` times its mean. features: normalised cepstra.
    """
    moved = change(features)
    count = len(moved)
    padded = np.pad(moved, shortest, constant_values=-1.0)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * shortest + 1) if count else np.zeros((0, 1))
    highest = moved >= around.max(1) if count else np.zeros(0, bool)
    peaks = np.flatnonzero(highest & (moved > threshold * max(float(moved.mean()) if count else 0.0, 1e-9)))
    kept: list[int] = [0]
    for peak in peaks.tolist():
        if peak - kept[-1] >= shortest and count - peak >= shortest:
            kept.append(peak)
    return np.array([*kept, count], np.int64)


def means(features: Frames, bounds: Bounds) -> Frames:
    """The mean of each segment's frames, shape (segments, width)."""
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, 0, dtype=np.float64)])
    sizes = np.maximum(np.diff(bounds), 1)[:, None]
    return np.asarray((sums[bounds[1:]] - sums[bounds[:-1]]) / sizes, np.float32)
