"""Mel-frequency cepstra: what the spectrum of each hundredth of a second looks like, as 13 numbers and their changes.

Davis & Mermelstein (1980); frames, pre-emphasis, filters, liftering and deltas as in Kaldi's defaults. All float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from trifold.tasks.asr.sound.audio import RATE, Samples

__all__ = [
    "HOP",
    "WINDOW",
    "Frames",
    "cepstra_of_mel",
    "frame_times",
    "log_mel",
    "mfcc",
    "normalised",
    "spliced",
    "warped_bands",
    "warping",
    "with_deltas",
]

Frames: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
"""Shape (frames, features)."""

HOP, WINDOW = 160, 400
"""Samples from one frame to the next, and that a frame sees: 10 and 25 ms."""
_FFT = 512
_FILTERS, _CEPSTRA, _LIFTER = 40, 13, 22.0
_LOWEST, _HIGHEST = 20.0, 7600.0
_EMPHASIS = 0.97
_FLOOR = 1e-6
_AT_ONCE = 4096


def frame_times(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The middle of each frame in seconds, shape (count,)."""
    return (np.arange(count) * HOP + WINDOW / 2) / RATE


def log_mel(samples: Samples) -> Frames:
    """Natural logarithms of the energies in 40 mel bands, shape (frames, 40); no frame of less than 25 ms."""
    count = max(0, 1 + (len(samples) - WINDOW) // HOP)
    found = np.empty((count, _FILTERS), np.float32)
    window = np.hanning(WINDOW).astype(np.float32) ** 0.85  # Kaldi's "povey"
    for first in range(0, count, _AT_ONCE):
        last = min(first + _AT_ONCE, count)
        part = samples[first * HOP : (last - 1) * HOP + WINDOW]
        frames = np.lib.stride_tricks.sliding_window_view(part, WINDOW)[::HOP]
        frames = frames - frames.mean(1, keepdims=True)
        ahead = np.concatenate([frames[:, :1], frames[:, :-1]], 1)
        power = np.abs(np.fft.rfft((frames - _EMPHASIS * ahead) * window, _FFT)) ** 2
        found[first:last] = np.log(np.maximum(power @ _filters(), _FLOOR))
    return found


def mfcc(samples: Samples) -> Frames:
    """Shape (frames, 13): the first cepstra of `log_mel`."""
    return cepstra_of_mel(log_mel(samples))


def cepstra_of_mel(mel: Frames) -> Frames:
    """Shape (frames, 40) to (frames, 13)."""
    return mel @ _cosines()


def warping(ratio: float) -> Frames:
    """What `mfcc` of a voice, times this, shape (13, 13), is about as if its throat were `ratio` times as long.

    All formants are then divided by `ratio` (Lee & Rose 1996): those of the smooth spectrum that cepstra tell.
    """
    cosines = _cosines().astype(np.float64)
    return np.asarray(np.linalg.pinv(cosines) @ warped_bands(float(np.log(ratio))) @ cosines, np.float32)


def with_deltas(features: Frames, order: int = 2, reach: int = 2) -> Frames:
    """The features beside their slopes over 2 * reach + 1 frames, and the slopes of those, `order` times."""
    if not len(features):
        return np.zeros((0, (order + 1) * features.shape[1]), np.float32)
    weights = np.arange(-reach, reach + 1) / sum(2.0 * i * i for i in range(1, reach + 1))
    parts = [features]
    for _ in range(order):
        padded = np.pad(parts[-1], ((reach, reach), (0, 0)), mode="edge")
        slopes = sum(w * padded[i : i + len(features)] for i, w in enumerate(weights))
        parts.append(np.asarray(slopes, np.float32))
    return np.concatenate(parts, 1)


def normalised(features: Frames, over: Frames | None = None) -> Frames:
    """With mean 0 and variance 1 in each column, or as that makes of `over`, such as all frames of one speaker."""
    over = features if over is None else over
    if not len(over):
        return features
    return np.asarray((features - over.mean(0)) / np.maximum(over.std(0), 1e-5), np.float32)


def spliced(features: Frames, reach: int) -> Frames:
    """Each frame beside `reach` frames on either side, the edges repeated: shape (frames, (2 * reach + 1) * width)."""
    if not len(features):
        return np.zeros((0, (2 * reach + 1) * features.shape[1]), np.float32)
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(features)] for i in range(2 * reach + 1)], 1)


def warped_bands(bend: float) -> Frames:
    """What to multiply log-mel bands by, shape (40, 40), to hear each frequency f as f * exp(bend) was: as from a mouth
    of another size."""
    low, high = (_mel(f) for f in (_LOWEST, _HIGHEST))
    centres = np.linspace(low, high, _FILTERS + 2)[1:-1]
    hertz = 700 * np.expm1(centres / 1127)
    place = np.interp(_mel(hertz * np.exp(bend)), centres, np.arange(_FILTERS))
    before = np.minimum(place.astype(np.int64), _FILTERS - 2)
    found = np.zeros((_FILTERS, _FILTERS), np.float32)
    found[before, np.arange(_FILTERS)] = 1 - (place - before)
    found[before + 1, np.arange(_FILTERS)] = place - before
    return found


def _mel(hertz: Any) -> Any:
    return 1127 * np.log1p(hertz / 700)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Triangles of the same width on the mel scale, shape (257, 40)."""
    low, high = (_mel(f) for f in (_LOWEST, _HIGHEST))
    centres = np.linspace(low, high, _FILTERS + 2)
    mel = _mel(np.arange(_FFT // 2 + 1) * RATE / _FFT)
    rising = (mel[:, None] - centres[:-2]) / (centres[1:-1] - centres[:-2])
    falling = (centres[2:] - mel[:, None]) / (centres[2:] - centres[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)), np.float32)


@lru_cache(maxsize=1)
def _cosines() -> np.ndarray[Any, np.dtype[np.float32]]:
    """The cosine transform (DCT-II, orthonormal) with sine liftering, shape (40, 13)."""
    i, k = np.arange(_FILTERS)[:, None], np.arange(_CEPSTRA)[None]
    table = np.sqrt(2 / _FILTERS) * np.cos(np.pi * k * (i + 0.5) / _FILTERS)
    table[:, 0] /= np.sqrt(2)
    lift = 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(_CEPSTRA) / _LIFTER)
    return np.asarray(table * lift, np.float32)
