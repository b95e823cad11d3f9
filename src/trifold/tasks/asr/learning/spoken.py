"""A start from a synthesiser: phone models of what it was asked to say, brought over to the recordings' voices.

What the synthesiser says is far from how people speak, so the models are right about few frames at first. All their
means move together first, then each by itself (`refining/adapted`), while the text says which phones are how frequent
(`refining/balanced`) and, by its trigrams, what can follow what. What is heard counts little at first, and then more.
"""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = ["Aloud", "by_voices"]

_TOGETHER = 6
"""Rounds of adaptation in which all means move together; they are the first ones."""
_SCALES = (*[0.25] * 12, *[0.5] * 4, *[1.0] * 3)
"""What is heard counts so much in each round, as a share of what it will in the end."""
_STRENGTH = 30.0
_FRAMES = 60_000
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
    heard, phones = [], []
    count = min(settings.spoken, len(said.lines))
    with report(f"{label}: reading aloud") as progress:
        for done, (samples, line) in enumerate(aloud(said.lines, said.voice, count, seed), 1):
            heard.append(said.hearing.listened(samples))
            phones.append(line)
            progress(done, count)
    spoken = [(frames, line) for frames, line in zip(frames_of(heard), phones, strict=True) if len(frames)]
    with report(f"{label}: models of what was read aloud") as progress:
        told = learn_told(
            [frames for frames, _ in spoken], [line for _, line in spoken], text.symbols, settings.components, progress
        )
    chosen = _some(recordings, seed)
    variance = np.concatenate(chosen).var(0).astype(np.float64)

    def each(sounds: Mixtures, totals: Totals) -> Mixtures:
        return drawn(sounds, totals, variance, _STRENGTH)

    balance = text.balance()
    with report(f"{label}: to the recordings' voices") as progress:
        for number, scale in enumerate(_SCALES):
            estimate = moved_together if number < _TOGETHER else each
            found = relearnt(told, balance.on(text.following), chosen, scale * settings.scale, estimate)
            told, balance = found.told, balance.after(found.heard)
            progress(number + 1, len(_SCALES))
    return told


def _some(recordings: Sequence[Frames], seed: int) -> list[Frames]:
    """As many of the recordings as rounds of adaptation hear."""
    found, count = [], 0
    for i in np.random.default_rng(seed).permutation(len(recordings)).tolist():
        if count >= _FRAMES:
            break
        found.append(recordings[i])
        count += len(recordings[i])
    return found
