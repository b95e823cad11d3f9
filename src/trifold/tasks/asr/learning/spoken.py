"""A start from a synthesiser: phone models of what it was asked to say, brought over to the recordings' voices.

What the synthesiser says is far from how people speak, so the models are right about few frames at first. All their
means move together first, then each by itself, while the text's trigrams say what can follow what (`refining/adapted`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from trifold.tasks.asr.learning.reading import Report, Text
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.refining.adapted import drawn, moved_together
from trifold.tasks.asr.refining.heard import relearnt
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.told import Told, learn_told
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import frames_of
from trifold.tasks.asr.speaking.spoken import Line, aloud

__all__ = ["ROUNDS", "Aloud", "brought_over", "by_voices", "told_aloud"]

_TOGETHER, _EACH = 4, 5
ROUNDS = _TOGETHER + _EACH
"""Of adaptation: all means together first, then each by itself."""
_STRENGTH = 30.0
_FRAMES = 150_000
"""Of the recordings, heard in each round."""


@dataclass(frozen=True, slots=True)
class Aloud:
    """voice: a language of espeak-ng. lines: what it may read. hearing: as of the recordings."""

    voice: str
    lines: Sequence[Line]
    hearing: Hearing = field(default_factory=Hearing)


def by_voices(
    recordings: Sequence[Frames],
    said: Aloud,
    text: Text,
    settings: LearningSettings,
    seed: int,
    report: Report,
    label: str,
) -> Told:
    """Models of the phones in the recordings' voices. recordings: frames of each one's speech."""
    found = told_aloud(said, text.symbols, settings, seed, report, label)
    rounds = brought_over(found, recordings, text, settings.scale, seed)
    with report(f"{label}: to the recordings' voices") as progress:
        for done in range(ROUNDS):
            found = next(rounds)
            progress(done + 1, ROUNDS)
    return found


def told_aloud(said: Aloud, symbols: int, settings: LearningSettings, seed: int, report: Report, label: str) -> Told:
    """Models of the phones in the synthesiser's voices."""
    heard, phones = [], []
    count = min(settings.spoken, len(said.lines))
    with report(f"{label}: reading aloud") as progress:
        for done, (samples, line) in enumerate(aloud(said.lines, said.voice, count, seed), 1):
            heard.append(said.hearing.listened(samples))
            phones.append(line)
            progress(done, count)
    spoken = [(frames, line) for frames, line in zip(frames_of(heard), phones, strict=True) if len(frames)]
    with report(f"{label}: models of what was read aloud") as progress:
        return learn_told(
            [frames for frames, _ in spoken], [line for _, line in spoken], symbols, settings.components, progress
        )


def brought_over(told: Told, recordings: Sequence[Frames], text: Text, scale: float, seed: int) -> Iterator[Told]:
    """The models after each of `ROUNDS` rounds in which a random sample of the recordings is heard. scale: how much a
    frame's score counts beside the trigrams."""
    chosen = _some(recordings, seed)
    variance = np.concatenate(chosen).var(0).astype(np.float64)

    def each(sounds: Mixtures, totals: Totals) -> Mixtures:
        return drawn(sounds, totals, variance, _STRENGTH)

    for estimate in [moved_together] * _TOGETHER + [each] * _EACH:
        told = relearnt(told, text.following, chosen, scale, estimate)
        yield told


def _some(recordings: Sequence[Frames], seed: int) -> list[Frames]:
    """As many of the recordings as rounds of adaptation hear."""
    found, count = [], 0
    for i in np.random.default_rng(seed).permutation(len(recordings)).tolist():
        if count >= _FRAMES:
            break
        found.append(recordings[i])
        count += len(recordings[i])
    return found
