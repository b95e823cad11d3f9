"""From a recording to what is learnt from: cepstra of its stretches of speech, on a scale that voices share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.tasks.asr.sound.activity import Stretch, speech
from trifold.tasks.asr.sound.audio import Samples
from trifold.tasks.asr.sound.features import Frames, mfcc, with_deltas

__all__ = ["Part", "Scale", "Spoken", "all_parts", "frames_of", "listened", "parts_of", "scale_of", "sounds"]

_PRIOR = 300
"""Frames' worth of the mean of all recordings in that of each: a short one says little of its voice."""
_SHORTEST = 6
_LONGEST = 3000
"""Frames of one part: longer stretches are cut, so that work and memory stay bounded."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording's cepstra, shape (frames, 13), and where somebody speaks."""

    cepstra: Frames
    stretches: tuple[Stretch, ...]

    def frames(self) -> Frames:
        """Those of speech alone."""
        if not self.stretches:
            return self.cepstra[:0]
        return np.concatenate([self.cepstra[first:last] for first, last in self.stretches])


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of all recordings' speech, shape (13,)."""

    mean: np.ndarray[Any, np.dtype[np.float32]]
    spread: np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of speech. first: its first frame in the recording. cepstra: on the common scale, (frames, 13)."""

    first: int
    cepstra: Frames


def listened(samples: Samples) -> Spoken:
    """Cepstra and stretches of speech of a recording, none in silence."""
    cepstra = mfcc(samples)
    found: list[Stretch] = []
    for first, last in speech(samples):
        last = min(last, len(cepstra))
        pieces = max(1, -(-(last - first) // _LONGEST))
        edges = np.linspace(first, last, pieces + 1).astype(int).tolist()
        found += [(a, b) for a, b in itertools.pairwise(edges) if b - a >= _SHORTEST]
    return Spoken(cepstra, tuple(found))


def scale_of(recordings: Iterable[Spoken]) -> Scale:
    """Of the speech in all of them."""
    count, first, second = 0, np.zeros(13), np.zeros(13)
    for one in recordings:
        frames = one.frames().astype(np.float64)
        count, first, second = count + len(frames), first + frames.sum(0), second + (frames**2).sum(0)
    mean = first / max(count, 1)
    spread = np.sqrt(np.maximum(second / max(count, 1) - mean**2, 1e-6))
    return Scale(mean.astype(np.float32), spread.astype(np.float32))


def parts_of(recording: Spoken, scale: Scale) -> list[Part]:
    """The stretches of speech, in order, each recording on its own mean and variance drawn to those of all."""
    frames = recording.frames()
    total = len(frames) + _PRIOR
    mean = (frames.sum(0) + _PRIOR * scale.mean) / total
    squares = ((frames**2).sum(0) + _PRIOR * (scale.spread**2 + scale.mean**2)) / total
    spread = np.sqrt(np.maximum(squares - mean**2, 1e-3))
    return [
        Part(first, np.asarray((recording.cepstra[first:last] - mean) / spread, np.float32))
        for first, last in recording.stretches
    ]


def sounds(cepstra: Frames) -> Frames:
    """What phones are told by: cepstra, their slopes and the slopes of those, shape (frames, 39)."""
    return with_deltas(cepstra)


def frames_of(recordings: Sequence[Spoken]) -> list[Frames]:
    """What the phones of each recording are told by, its stretches one after the other: shape (frames, 39) each."""
    found = [[np.zeros((0, 39), np.float32)] for _ in recordings]
    for number, part in all_parts(recordings, scale_of(recordings)):
        found[number].append(sounds(part.cepstra))
    return [np.concatenate(parts) for parts in found]


def all_parts(recordings: Sequence[Spoken], scale: Scale) -> list[tuple[int, Part]]:
    """The parts of all recordings, each with the number of its recording."""
    return [(number, part) for number, one in enumerate(recordings) for part in parts_of(one, scale)]
