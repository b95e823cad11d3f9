"""Learns phones from recordings and unpaired text: segments, units, matching, decipherment, phone models, realignment.

Each step goes on from the last; of seeds and of rounds the one is kept whose phones look most like the text.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import DataError
from trifold.task import no_progress
from trifold.tasks.asr.choosing.verdict import Verdict
from trifold.tasks.asr.learning.judging import Judge, Judged
from trifold.tasks.asr.learning.reading import Report, Text, gathered, phones_of_segments
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.matching.trigrams import following_of
from trifold.tasks.asr.matching.units import segment_features
from trifold.tasks.asr.refining.phones import PhoneModel, Spoken, first_model, improved
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.segments import Bounds, boundaries
from trifold.tasks.asr.sound.utterances import sounds
from trifold.tasks.asr.text.ngrams import NGrams

__all__ = ["Learnt", "Stage", "learn"]

_FEWEST = 200


@dataclass(frozen=True, slots=True)
class Stage:
    """A result on the way. name: such as "seed 2". kept: whether the next step went on from it."""

    name: str
    judged: Judged
    kept: bool


@dataclass(frozen=True, slots=True)
class Learnt:
    """model: of the phones. segments: how many there were. units: clusters they were in.

    agreement: share of segments to which another seed gave the same phone, as the mean over the other seeds; None with
    one seed. Each seed clusters anew, so they agree where recordings and text leave no choice, and hardly by chance.
    """

    model: PhoneModel
    stages: tuple[Stage, ...]
    verdict: Verdict
    segments: int
    units: int
    agreement: float | None


def learn(
    utterances: Sequence[Frames],
    recordings: Sequence[int],
    sentences: Sequence[Sequence[int]],
    symbols: int,
    settings: LearningSettings,
    report: Report = lambda _: nullcontext(no_progress),
    kept: Path | None = None,
) -> Learnt:
    """utterances: cepstra of stretches of speech (`parts_of`). recordings: which one each is of, ascending; one is
    taken for a sentence, whatever its pauses. sentences: of phones from 1 to symbols - 1, as 0 is
    silence.

    kept: a folder where each seed's result is put, and taken from where it is there already.

    Raises DataError where there is too little speech to learn from.
    """
    bounds = [boundaries(one, settings.threshold) for one in utterances]
    segments = sum(len(edges) - 1 for edges in bounds)
    if segments < _FEWEST:
        raise DataError(
            f"the recordings: expected at least {_FEWEST} sounds of speech, found {segments}. Record more; "
            "`trifold asr check` says how much is there."
        )
    judge = Judge.of(sentences, symbols, segments, settings.seed)
    units = int(np.clip(segments // settings.segments_of_a_unit, 16, settings.units))
    features = segment_features(utterances, bounds)
    text = Text(sentences, symbols, following_of(sentences, symbols))
    tries: list[tuple[Judged, np.ndarray[Any, Any], list[list[Spoken]]]] = []
    for number in range(settings.seeds):
        seed = settings.seed + number
        place = None if kept is None else kept / f"seed-{seed}.npz"
        if place is None or not place.is_file():
            label = f"seed {number + 1} of {settings.seeds}"
            phones = phones_of_segments(features, recordings, text, units, settings, seed, report, label)
            if place is not None:
                _write(place, phones)
        else:
            phones = _read(place, segments)
        labels = [_labelled(edges, part) for edges, part in zip(bounds, _cut(phones, bounds), strict=True)]
        tries.append((judge.judge(_said(labels, recordings)), phones, labels))
    best = min(range(len(tries)), key=lambda i: tries[i][0].place)
    stages = [Stage(f"seed {i + 1}", judged, i == best) for i, (judged, _, _) in enumerate(tries)]
    frames = [sounds(one) for one in utterances]
    model, judged, rounds = _refined(frames, recordings, tries[best][2], sentences, symbols, settings, judge, report)
    others = [phones for i, (_, phones, _) in enumerate(tries) if i != best]
    agreement = float(np.mean([tries[best][1] == other for other in others])) if others else None
    verdict = judge.conclude(judged, agreement)
    return Learnt(model, (*stages, *rounds), verdict, segments, units, agreement)


def _refined(
    frames: Sequence[Frames],
    recordings: Sequence[int],
    labels: Sequence[Sequence[Spoken]],
    sentences: Sequence[Sequence[int]],
    symbols: int,
    settings: LearningSettings,
    judge: Judge,
    report: Report,
) -> tuple[PhoneModel, Judged, list[Stage]]:
    """Models of the labels, and of what they hear themselves in turn; the one that looks most like the text."""
    bigrams = Chain(*NGrams.fit(sentences, 2, symbols).transitions())
    candidates: list[tuple[str, PhoneModel, Judged]] = []

    def consider(name: str, model: PhoneModel) -> None:
        candidates.append((name, model, judge.judge(_said(model.read(frames), recordings))))

    aligned = first_model(frames, labels, bigrams, settings.scale)
    consider("phone models", aligned)
    model = aligned
    for number in range(settings.refinements):
        with report(f"realigning {number + 1} of {settings.refinements}") as progress:
            model, _ = improved(model, frames, 2, progress)
        consider(f"realigned {number + 1}", model)
    best = min(range(len(candidates)), key=lambda i: candidates[i][2].place)
    stages = [Stage(name, judged, i == best) for i, (name, _, judged) in enumerate(candidates)]
    return candidates[best][1], candidates[best][2], stages


def _labelled(edges: Bounds, phones: np.ndarray[Any, Any]) -> list[Spoken]:
    """Segments with their phones; neighbours with the same one are one."""
    found: list[Spoken] = []
    for phone, (first, last) in zip(phones.tolist(), itertools.pairwise(edges.tolist()), strict=True):
        if found and found[-1].phone == phone:
            found[-1] = Spoken(phone, found[-1].first, last)
        else:
            found.append(Spoken(phone, first, last))
    return found


def _said(utterances: Sequence[Sequence[Spoken]], recordings: Sequence[int]) -> list[list[int]]:
    """The phones of each recording, silences left out."""
    return [
        [one.phone for utterance in parts for one in utterance if one.phone]
        for parts in gathered(utterances, recordings)
    ]


def _cut(phones: np.ndarray[Any, Any], bounds: Sequence[Bounds]) -> list[np.ndarray[Any, Any]]:
    """The phones of all segments as those of each utterance."""
    return np.split(phones, np.cumsum([len(edges) - 1 for edges in bounds])[:-1])


def _write(place: Path, phones: np.ndarray[Any, Any]) -> None:
    """Whole or not at all."""
    part = place.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, phones=phones.astype(np.int32))
    part.replace(place)


def _read(place: Path, segments: int) -> np.ndarray[Any, Any]:
    with np.load(place, allow_pickle=False) as file:
        phones: np.ndarray[Any, Any] = file["phones"]
    if phones.shape != (segments,):
        raise DataError(f"{place}: expected {segments:,} phones, found {phones.size:,}. Remove it, or start afresh.")
    return phones
