"""From what is heard in recordings to what is learnt from: stretches of speech, on a scale that voices share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.features import Frames, with_deltas

__all__ = [
    "CEPSTRA",
    "Part",
    "Scale",
    "Spoken",
    "all_parts",
    "cepstra_of",
    "features_of",
    "frames_of",
    "own_scale",
    "parts_of",
    "scale_of",
    "sounds",
]

CEPSTRA = 13
_PRIOR = 300
"""Frames' worth of the mean of all recordings in that of each: a short one says little of its voice."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is heard in a recording, and where somebody speaks.

    heard: 13 cepstra, beside them the D features of an encoder where there is one: shape (frames, 13 + D).
    """

    heard: Frames
    stretches: tuple[Stretch, ...]

    def frames(self) -> Frames:
        """Those of speech alone."""
        if not self.stretches:
            return self.heard[:0]
        return np.concatenate([self.heard[first:last] for first, last in self.stretches])


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of all recordings' speech, shape (13 + D,)."""

    mean: np.ndarray[Any, np.dtype[np.float32]]
    spread: np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of speech. first: its first frame in the recording. frames: on the common scale, (frames, 13 + D)."""

    first: int
    frames: Frames


def cepstra_of(frames: Frames) -> Frames:
    """What tells where sounds begin and end, whatever else is heard: shape (frames, 13)."""
    return frames[:, :CEPSTRA]


def features_of(frames: Frames) -> Frames:
    """What sounds are told apart by: an encoder's features, shape (frames, D), or the cepstra where there is none."""
    return frames[:, CEPSTRA:] if frames.shape[1] > CEPSTRA else frames


def sounds(frames: Frames) -> Frames:
    """What phones are told by: an encoder's features, which know what is around them, shape (frames, D); else cepstra,
    their slopes and the slopes of those, shape (frames, 39)."""
    return features_of(frames) if frames.shape[1] > CEPSTRA else with_deltas(frames)


def scale_of(recordings: Sequence[Spoken]) -> Scale:
    """Of the speech in all of them."""
    width = recordings[0].heard.shape[1] if recordings else CEPSTRA
    count, first, second = 0, np.zeros(width), np.zeros(width)
    for one in recordings:
        frames = one.frames().astype(np.float64)
        count, first, second = count + len(frames), first + frames.sum(0), second + (frames**2).sum(0)
    mean = first / max(count, 1)
    spread = np.sqrt(np.maximum(second / max(count, 1) - mean**2, 1e-6))
    return Scale(mean.astype(np.float32), spread.astype(np.float32))


def parts_of(recording: Spoken, scale: Scale) -> list[Part]:
    """The stretches of speech, in order, each recording on its own mean and variance drawn to those of all."""
    mean, spread = own_scale(recording.frames(), scale.mean, scale.spread)
    return [
        Part(first, np.asarray((recording.heard[first:last] - mean) / spread, np.float32))
        for first, last in recording.stretches
    ]


def own_scale(frames: np.ndarray[Any, Any], mean: Frames, spread: Frames) -> tuple[Frames, Frames]:
    """Mean and standard deviation of a recording's frames, drawn to those of all: shape (D,) each."""
    total = len(frames) + _PRIOR
    own = (frames.sum(0) + _PRIOR * mean) / total
    squares = ((frames**2).sum(0) + _PRIOR * (spread**2 + mean**2)) / total
    return own, np.sqrt(np.maximum(squares - own**2, 1e-3))


def frames_of(recordings: Sequence[Spoken]) -> list[Frames]:
    """What the phones of each recording are told by (`sounds`), its stretches one after the other."""
    found = [[sounds(one.heard[:0])] for one in recordings]
    for number, part in all_parts(recordings, scale_of(recordings)):
        found[number].append(sounds(part.frames))
    return [np.concatenate(parts) for parts in found]


def all_parts(recordings: Sequence[Spoken], scale: Scale) -> list[tuple[int, Part]]:
    """The parts of all recordings, each with the number of its recording."""
    return [(number, part) for number, one in enumerate(recordings) for part in parts_of(one, scale)]
