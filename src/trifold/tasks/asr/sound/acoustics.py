"""What recordings sound like whoever speaks: the long-term spectrum of their speech, and of the noise behind it.

What a synthesiser says is made to sound so before it is learnt from: a microphone and a room change every frame, and
what is below the noise of a recording must not be learnt as a feature of a sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import Samples
from trifold.tasks.asr.sound.features import HOP

__all__ = ["Acoustics", "Heard", "likened"]

Spectrum: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_SIZE = 512
_SMOOTHED = 9
"""Frames, and bands, that are taken together."""
_QUIETEST = 5
"""Per cent of a recording's frames; there is only noise in them."""
_BIAS = 0.55
"""What the quietest frames of even noise have of its power, of means over `_SMOOTHED` frames; simulated."""
_LEAST = 0.02
"""Of a band's power that is taken for speech, however much noise is in it."""
_TINY = 1e-12
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one recording. speech: sum of the power spectra of its frames of speech, shape (257,). frames: how many.
    noise: mean power spectrum of its quietest frames."""

    speech: Spectrum
    frames: int
    noise: Spectrum

    @classmethod
    def of(cls, samples: Samples, stretches: Sequence[Stretch]) -> Heard | None:
        """None of what is too short."""
        power = _power(samples)
        if len(power) < _SMOOTHED:
            return None
        spoken = np.zeros(len(power), bool)
        for first, last in stretches:
            spoken[first:last] = True
        sums = np.cumsum(np.concatenate([np.zeros((1, power.shape[1])), power]), 0)
        quietest = np.percentile((sums[_SMOOTHED:] - sums[:-_SMOOTHED]) / _SMOOTHED, _QUIETEST, 0)
        return cls(power[spoken].sum(0), int(spoken.sum()), quietest / _BIAS)


@dataclass(frozen=True, slots=True)
class Acoustics:
    """speech, noise: mean power in each of 257 bands from 0 to 8 kHz, smooth over bands. speech has the noise in it."""

    speech: Spectrum
    noise: Spectrum

    @classmethod
    def of(cls, recordings: Sequence[Heard | None]) -> Acoustics | None:
        """Of all of them together; None where there is no speech in them."""
        known = [one for one in recordings if one is not None and one.frames]
        if not known:
            return None
        speech = sum(one.speech for one in known) / sum(one.frames for one in known)
        return cls(_smooth(np.asarray(speech)), _smooth(np.median([one.noise for one in known], 0)))


def likened(samples: Samples, own: Acoustics, to: Acoustics, chance: np.random.Generator) -> Samples:
    """The samples through a filter that gives speech with the acoustics `own` those of `to`, and with its noise."""
    bands = np.linspace(0, 1, len(to.speech))
    inner = np.linspace(0, 1, len(samples) // 2 + 1)
    gains = np.sqrt(np.maximum(to.speech - to.noise, _LEAST * to.speech) / np.maximum(own.speech, _TINY))
    noise = np.fft.rfft(chance.standard_normal(len(samples))) * np.interp(inner, bands, np.sqrt(to.noise))
    heard = np.fft.rfft(samples) * np.interp(inner, bands, gains)
    return np.asarray(np.fft.irfft(heard + noise, len(samples)), np.float32)


def _power(samples: Samples) -> Spectrum:
    """Of each frame, shape (frames, 257), such that white noise of variance 1 has 1 in every band."""
    count = max(0, 1 + (len(samples) - _SIZE) // HOP)
    window = np.hanning(_SIZE)
    found = np.empty((count, _SIZE // 2 + 1), np.float32)
    for first in range(0, count, _AT_ONCE):
        last = min(first + _AT_ONCE, count)
        part = samples[first * HOP : (last - 1) * HOP + _SIZE]
        frames = np.lib.stride_tricks.sliding_window_view(part, _SIZE)[::HOP] * window
        found[first:last] = np.abs(np.fft.rfft(frames)) ** 2 / (window**2).sum()
    return np.asarray(found, np.float64)


def _smooth(power: Spectrum) -> Spectrum:
    """The geometric mean over neighbouring bands."""
    reach = _SMOOTHED // 2
    padded = np.pad(np.log(power + _TINY), reach, mode="edge")
    return np.exp(np.convolve(padded, np.ones(_SMOOTHED) / _SMOOTHED, "valid"))
