"""Looks through recordings: how long, how loud, how much of them is speech, and how fast it is."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from trifold.errors import DataError
from trifold.task import Progress, no_progress
from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import Samples, read_sound
from trifold.tasks.asr.sound.features import HOP, WINDOW, Frames, mfcc
from trifold.tasks.asr.sound.hearing import Activity, Hearing
from trifold.tasks.asr.sound.segments import boundaries

__all__ = ["Recording", "Recordings", "Unreadable", "survey"]

_FRAMES_A_SECOND = 100
_CEPSTRA = 13
_KEPT = 60_000_000 // (4 * _CEPSTRA)
"""Frames of all recordings whose features are kept at once: 60 MB, 3.2 hours of speech."""
_KEPT_OF_ONE = 10 * 60 * _FRAMES_A_SECOND
_THRESHOLD = 1.0
"""Of `boundaries`: at this one there are about as many segments as phones."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One that can be read. seconds, speech: its length, and how much of it somebody speaks, in seconds.

    rate, channels: of the file. clipped: share of its samples at full scale. segments_a_second: sounds in a second of
    its speech; None where it was not among those that were looked at, or nobody speaks. digest: equal for equal sounds.
    """

    path: Path
    seconds: float
    rate: int
    channels: int
    clipped: float
    speech: float
    segments_a_second: float | None
    digest: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be read, and why."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class Recordings:
    """What `survey` found. segments_a_second: of all speech that was looked at; None where there is none."""

    files: tuple[Recording, ...]
    unreadable: tuple[Unreadable, ...]
    segments_a_second: float | None

    @property
    def seconds(self) -> float:
        return sum(file.seconds for file in self.files)

    @property
    def speech(self) -> float:
        """Seconds of speech."""
        return sum(file.speech for file in self.files)

    @property
    def silence(self) -> float:
        """Share of the recordings in which nobody speaks; 1 where there are none."""
        return 1 - self.speech / self.seconds if self.seconds else 1.0

    @property
    def spoken(self) -> tuple[Recording, ...]:
        """Those with speech in them."""
        return tuple(file for file in self.files if file.speech)

    @property
    def same(self) -> tuple[tuple[Recording, ...], ...]:
        """Recordings with speech whose sound is the same to the last sample, two or more together."""
        groups: defaultdict[str, list[Recording]] = defaultdict(list)
        for file in self.spoken:
            groups[file.digest].append(file)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def survey(paths: Sequence[Path], progress: Progress = no_progress, *, activity: Activity = "energy") -> Recordings:
    """Look through recordings one by one. What cannot be read is among the results. Raises MissingExtra.

    activity: what finds speech in them.

    The features of at most three hours are in memory: of longer corpora every second, fourth, ... recording is taken,
    of a long recording its first ten minutes of speech.
    """
    files: list[Recording] = []
    unreadable: list[Unreadable] = []
    kept = _Kept()
    hearing = Hearing.open(activity)
    for number, path in enumerate(paths, 1):
        try:
            sound = read_sound(path)
        except DataError as error:
            unreadable.append(Unreadable(path, str(error).removeprefix(f"{path}: ")))
        else:
            stretches = hearing.speech(sound.samples)
            kept.add(len(files), sound.samples, stretches)
            spoken = min(sum(last - first for first, last in stretches) / _FRAMES_A_SECOND, sound.seconds)
            digest = hashlib.blake2b(np.ascontiguousarray(sound.samples).data, digest_size=16).hexdigest()
            files.append(
                Recording(path, sound.seconds, sound.rate, sound.channels, sound.clipped, spoken, None, digest)
            )
        progress(number, len(paths))
    counts = kept.counts()
    for index, (segments, frames) in counts.items():
        files[index] = replace(files[index], segments_a_second=segments * _FRAMES_A_SECOND / frames)
    frames = sum(frames for _, frames in counts.values())
    rate = sum(segments for segments, _ in counts.values()) * _FRAMES_A_SECOND / frames if frames else None
    return Recordings(tuple(files), tuple(unreadable), rate)


@dataclass(slots=True)
class _Kept:
    """Cepstra of speech, of every `stride`th recording. A list of arrays for each, one of a stretch."""

    stride: int = 1
    frames: int = 0
    of: dict[int, list[Frames]] = field(default_factory=dict)

    def add(self, index: int, samples: Samples, stretches: Sequence[Stretch]) -> None:
        if index % self.stride or not stretches:
            return
        found: list[Frames] = []
        left = _KEPT_OF_ONE
        for first, last in stretches:
            last = min(last, first + left)
            found.append(mfcc(samples[first * HOP : (last - 1) * HOP + WINDOW]))
            left -= last - first
            if left <= 0:
                break
        self.of[index] = found
        self.frames += _length(found)
        while self.frames > _KEPT and len(self.of) > 1:
            self.stride *= 2
            for other in [i for i in self.of if i % self.stride]:
                self.frames -= _length(self.of.pop(other))

    def counts(self) -> dict[int, tuple[int, int]]:
        """Of each recording: segments and frames, all recordings normalised together."""
        if not self.frames:
            return {}
        total, squares = np.zeros(_CEPSTRA), np.zeros(_CEPSTRA)
        for stretch in (s for stretches in self.of.values() for s in stretches):
            total += stretch.sum(0, dtype=np.float64)
            squares += (stretch.astype(np.float64) ** 2).sum(0)
        mean = total / self.frames
        spread = np.sqrt(np.maximum(squares / self.frames - mean**2, 1e-10))
        return {
            index: (
                sum([_segments(np.asarray((s - mean) / spread, np.float32)) for s in stretches]),
                _length(stretches),
            )
            for index, stretches in self.of.items()
        }


def _segments(features: Frames) -> int:
    return len(boundaries(features, _THRESHOLD)) - 1


def _length(stretches: Sequence[Frames]) -> int:
    return sum(map(len, stretches))
