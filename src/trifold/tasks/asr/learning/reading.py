"""The first reading of all segments: units, what matches them with phones, and what the text makes likely."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from trifold.task import Progress
from trifold.tasks.asr.choosing.alarms import alarms
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.matching.adversarial import GanSettings
from trifold.tasks.asr.matching.players import Watched
from trifold.tasks.asr.matching.skipgrams import match_skipgrams
from trifold.tasks.asr.matching.trigrams import Following, following_of, reread
from trifold.tasks.asr.matching.units import Units, units_of
from trifold.tasks.asr.sound.features import Frames

__all__ = ["Report", "Text", "Warn", "gathered", "phones_of_segments"]

_Item = TypeVar("_Item")

Report: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""A step's name to what its progress is told; `Host.progress` is one."""
Warn: TypeAlias = Callable[[str], None]
"""Told in words what goes wrong while it does."""

_GAN = GanSettings(
    kernel=1,
    hidden=128,
    reach=4,
    batch=64,
    smooth=0.02,
    penalty=0.5,
    generator_rate=1e-2,
    discriminator_rate=3e-3,
)
"""Of eight settings the one with which all of three seeds learnt a language of five phones. The generator sees one
segment, whose features are means of all its frames."""


@dataclass(frozen=True, slots=True)
class Text:
    """sentences: of phones from 1 to symbols - 1. following: their trigrams. skipping: the same for segments, of which
    a phone may have none."""

    sentences: Sequence[Sequence[int]]
    symbols: int
    following: Following
    skipping: Following

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]], symbols: int) -> Text:
        return cls(sentences, symbols, following_of(sentences, symbols, skipped=0.0), following_of(sentences, symbols))


def phones_of_segments(
    features: Sequence[Frames],
    recordings: Sequence[int],
    text: Text,
    units: int,
    settings: LearningSettings,
    seed: int,
    report: Report,
    label: str,
    warn: Warn,
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The phone of each segment of all utterances, one after the other, shape (segments,).

    features: of each utterance's segments. recordings: which one each utterance is of. warn: told what goes wrong.
    """
    heard = [np.concatenate(parts) for parts in gathered(units_of(features, units, seed), recordings)]
    with report(f"{label}: matching") as progress:
        if settings.matcher == "adversarial":
            together = [np.concatenate(parts) for parts in gathered(features, recordings)]
            shares = _by_duel(
                together, heard, text, units, settings, seed, progress, lambda said: warn(f"{label}: {said}")
            )
        else:
            shares = match_skipgrams(
                [one.tolist() for one in heard],
                text.sentences,
                (units, text.symbols),
                steps=settings.steps,
                starts=settings.starts,
                seed=seed,
                progress=progress,
            )[0].shares
    with report(f"{label}: deciphering") as progress:
        found = reread(heard, shares, text.skipping, rounds=settings.rounds, progress=progress)
    return np.concatenate([one.argmax(1) for one in found.shares])


def gathered(items: Sequence[_Item], recordings: Sequence[int]) -> list[list[_Item]]:
    """What belongs to the same recording, together."""
    numbered = itertools.groupby(zip(recordings, items, strict=True), key=lambda pair: pair[0])
    return [[item for _, item in group] for _, group in numbered]


def _by_duel(
    features: Sequence[Frames],
    heard: Sequence[Units],
    text: Text,
    units: int,
    settings: LearningSettings,
    seed: int,
    progress: Progress,
    warn: Warn,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the adversarial matcher takes each unit for, as shares: shape (units, symbols)."""
    from dataclasses import replace

    from trifold.tasks.asr.matching.duel import duel

    everything = np.concatenate(features)
    mean, spread = everything.mean(0), np.maximum(everything.std(0), 1e-5)
    normal = [np.asarray((one - mean) / spread, np.float32) for one in features]
    records: list[Watched] = []
    warned: set[str] = set()

    def watch(record: Watched) -> None:
        records.append(record)
        for alarm in alarms(records, steps=settings.duel_steps):
            if alarm.name not in warned:
                warned.add(alarm.name)
                warn(f"{alarm.says}, at step {alarm.step:,}. To try: {alarm.remedy}.")

    made = duel(
        normal,
        text.sentences,
        text.symbols,
        replace(_GAN, steps=settings.duel_steps),
        seed=seed,
        watch=watch,
        progress=progress,
    )
    counts = np.full((units, text.symbols), 1e-2)
    for numbers, one in zip(heard, normal, strict=True):
        np.add.at(counts, (numbers, made.logits(one).argmax(1)), 1.0)
    return np.asarray(counts / counts.sum(1, keepdims=True), np.float32)
