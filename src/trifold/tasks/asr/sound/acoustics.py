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

__all__ = ["Acoustics", "Spectra", "likened"]

Spectrum: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_SIZE = 512
_SMOOTHED = 9
"""Frames, and bands, that are taken together."""
_QUIETEST = 5
"""Per cent of a recording's frames; there is only noise in them."""
_BIAS = 0.55
"""What the quietest frames are taken to have of the noise's power. Of even noise they have 0.46
(simulated): what is added is rather 0.8 dB too quiet than too loud."""
_LEAST = 0.02
"""Of a band's power that is taken for speech, however much noise is in it."""
_TINY = 1e-12
_AT_ONCE = 450 * _SMOOTHED
"""Frames of a block."""


@dataclass(frozen=True, slots=True)
class Spectra:
    """Of one recording. speech: sum of the power spectra of its frames of speech, shape (257,). frames: how many.
    noise: mean power spectrum of its quietest frames."""

    speech: Spectrum
    frames: int
    noise: Spectrum

    @classmethod
    def of(cls, samples: Samples, stretches: Sequence[Stretch]) -> Spectra | None:
        """None of what is too short."""
        frames = max(0, 1 + (len(samples) - _SIZE) // HOP)
        if frames < _SMOOTHED:
            return None
        spoken = np.zeros(frames, bool)
        for first, last in stretches:
            spoken[first:last] = True
        speech, even = np.zeros(_SIZE // 2 + 1), []
        for first in range(0, frames, _AT_ONCE):
            last = min(first + _AT_ONCE, frames)
            power = _power(samples[first * HOP : (last - 1) * HOP + _SIZE])
            speech += power[spoken[first:last]].sum(0)
            whole = len(power) // _SMOOTHED
            even.append(power[: whole * _SMOOTHED].reshape(whole, _SMOOTHED, power.shape[1]).mean(1, dtype=np.float32))
        return cls(speech, int(spoken.sum()), np.percentile(np.concatenate(even), _QUIETEST, 0) / _BIAS)


@dataclass(frozen=True, slots=True)
class Acoustics:
    """speech, noise: mean power in each of 257 bands from 0 to 8 kHz, smooth over bands. speech has the noise in it."""

    speech: Spectrum
    noise: Spectrum

    @classmethod
    def of(cls, recordings: Sequence[Spectra | None]) -> Acoustics | None:
        """Of all of them together; None where there is no speech in them."""
        known = [one for one in recordings if one is not None and one.frames]
        if not known:
            return None
        speech = sum(one.speech for one in known) / sum(one.frames for one in known)
        return cls(_smooth(np.asarray(speech)), _smooth(np.median([one.noise for one in known], 0)))


def likened(samples: Samples, own: Acoustics, to: Acoustics, chance: np.random.Generator) -> Samples:
    """The samples through a filter that gives speech with the acoustics `own` those of `to`, and with its noise."""
    if not len(samples):
        return samples
    bands = np.linspace(0, 1, len(to.speech))
    inner = np.linspace(0, 1, len(samples) // 2 + 1)
    gains = np.sqrt(np.maximum(to.speech - to.noise, _LEAST * to.speech) / np.maximum(own.speech, _TINY))
    noise = np.fft.rfft(chance.standard_normal(len(samples))) * np.interp(inner, bands, np.sqrt(to.noise))
    heard = np.fft.rfft(samples) * np.interp(inner, bands, gains)
    return np.asarray(np.fft.irfft(heard + noise, len(samples)), np.float32)


def _power(samples: Samples) -> Spectrum:
    """Of each frame of at least one, shape (frames, 257), such that white noise of variance 1 has 1 in every band."""
    window = np.hanning(_SIZE)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _SIZE)[::HOP] * window
    return np.asarray(np.abs(np.fft.rfft(frames)) ** 2 / (window**2).sum(), np.float64)


def _smooth(power: Spectrum) -> Spectrum:
    """The geometric mean over neighbouring bands."""
    reach = _SMOOTHED // 2
    padded = np.pad(np.log(power + _TINY), reach, mode="edge")
    return np.exp(np.convolve(padded, np.ones(_SMOOTHED) / _SMOOTHED, "valid"))
