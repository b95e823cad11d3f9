"""Learns phones from recordings and unpaired text: a start from units or from voices, then rounds of hearing.

Each step goes on from the last; of seeds and of rounds the one is kept whose phones look most like the text.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import DataError
from trifold.task import no_progress
from trifold.tasks.asr.choosing.verdict import Verdict
from trifold.tasks.asr.decoding.following import Following as Grams
from trifold.tasks.asr.decoding.phones import ORDER, grams_of
from trifold.tasks.asr.learning.judging import Judge, Judged
from trifold.tasks.asr.learning.kept import First, first_of
from trifold.tasks.asr.learning.networked import beside_network
from trifold.tasks.asr.learning.pieces import pieces_of
from trifold.tasks.asr.learning.reading import Report, Text, Warn, phones_of_segments
from trifold.tasks.asr.learning.refined import refined
from trifold.tasks.asr.learning.selftaught import self_taught, set_apart
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.learning.spoken import Aloud, by_voices
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.matching.units import segment_features
from trifold.tasks.asr.refining.paths import Trigrams
from trifold.tasks.asr.refining.phones import PhoneModel, Spoken, first_model
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.segments import Bounds, boundaries
from trifold.tasks.asr.sound.utterances import cepstra_of, features_of
from trifold.tasks.asr.text.ngrams import NGrams

__all__ = ["Learnt", "Stage", "learn"]

_FEWEST = 200
_AS_LIKE = 0.01
"""Of likeness to the text, what is no difference."""
_JUDGED = 40_000
"""Frames that are read to judge a model; the judgement is of a sample of their phones anyway."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A result on the way. name: such as "seed 2". judged: None where recordings that were set apart are no likelier by
    it. kept: whether the next step went on from it."""

    name: str
    judged: Judged | None
    kept: bool


@dataclass(frozen=True, slots=True)
class Learnt:
    """model: of the phones. grams: of the text's phones. segments: how many there were. units: clusters they were in;
    None where it began from what a synthesiser said.

    agreement: share of speech to which another seed gave the same phone, as the mean over the other seeds; None with
    one seed. Each seed begins with clusters or with voices of its own, so they agree where recordings and text leave no
    choice, and hardly by chance.
    """

    model: PhoneModel
    grams: Grams
    stages: tuple[Stage, ...]
    verdict: Verdict
    segments: int
    units: int | None
    agreement: float | None


def learn(
    utterances: Sequence[Frames],
    recordings: Sequence[int],
    sentences: Sequence[Sequence[int]],
    symbols: int,
    settings: LearningSettings,
    report: Report = lambda _: nullcontext(no_progress),
    kept: Path | None = None,
    said: Aloud | None = None,
    warn: Warn = lambda _: None,
) -> Learnt:
    """utterances: frames of stretches of speech (`parts_of`). recordings: which one each is of, ascending; one is
    taken for a sentence, whatever its pauses. sentences: of phones from 1 to symbols - 1, as 0 is
    silence.

    kept: a folder where each seed's result is put, and taken from where it is there already. said: what a synthesiser
    may read for a start, instead of matching units with the text. warn: told what goes wrong while it does.

    Raises DataError where there is too little speech to learn from.
    """
    bounds = [boundaries(cepstra_of(one), settings.threshold) for one in utterances]
    segments = sum(len(edges) - 1 for edges in bounds)
    if segments < _FEWEST:
        raise DataError(
            f"the recordings: expected at least {_FEWEST} sounds of speech, found {segments}. Record more; "
            "`trifold asr check` says how much is there."
        )
    judge = Judge.of(sentences, symbols, segments, settings.seed)
    text = Text.of(sentences, symbols)
    bigrams = Chain(*NGrams.fit(sentences, 2, symbols).transitions())
    trigrams = Trigrams.of(text.following.first, text.following.after, text.following.ends)
    pieces = pieces_of(utterances, recordings)
    # Models learn from the others alone, so that these say whether the last rounds make them any better.
    apart, others = set_apart(pieces, settings.seed)
    units = int(np.clip(segments // settings.segments_of_a_unit, 16, settings.units))

    def from_units(seed: int, label: str) -> First:
        features = segment_features([features_of(one) for one in utterances], bounds)
        phones = phones_of_segments(features, recordings, text, units, settings, seed, report, label, warn)
        cuts = np.cumsum([len(edges) - 1 for edges in bounds])[:-1]
        parts = [_labelled(edges, part) for edges, part in zip(bounds, np.split(phones, cuts), strict=True)]
        labels = pieces.joined(parts)
        model = first_model(others.frames, others.joined(parts), bigrams, settings.scale)
        return First(labels, Told(model.sounds, model.stays))

    def from_voices(seed: int, label: str, said: Aloud) -> First:
        told = by_voices(others.frames, said, text, settings, seed, report, label, warn)
        with report(f"{label}: reading") as progress:
            return First(model_of(told).read(pieces.frames, progress), told)

    def model_of(told: Told) -> PhoneModel:
        return PhoneModel(told.sounds, told.stays, bigrams, settings.scale, trigrams, told.space)

    tries: list[tuple[Judged, First]] = []
    for number in range(settings.seeds):
        seed, label = settings.seed + number, f"seed {number + 1} of {settings.seeds}"
        place = None if kept is None else kept / f"seed-{seed}.npz"
        look = partial(from_units, seed, label) if said is None else partial(from_voices, seed, label, said)
        first = first_of(place, pieces.frames, look)
        tries.append((judge.judge(pieces.said(first.labels)), first))
    best = min(range(len(tries)), key=lambda i: tries[i][0].place)
    stages = [Stage(f"seed {i + 1}", judged, i == best) for i, (judged, _) in enumerate(tries)]
    candidates: list[tuple[str, PhoneModel, Judged]] = []

    sample = pieces.sample(_JUDGED, settings.seed)

    def consider(name: str, model: PhoneModel) -> None:
        with report(f"{name}: judging") as progress:
            read = model.read(sample.frames, progress)
        candidates.append((name, model, judge.judge(sample.said(read))))

    consider("phone models", model_of(tries[best][1].told))
    if said is None:  # what began from voices has been heard with trigrams already
        refined(tries[best][1].told, others.frames, text, model_of, settings, consider, report)
    chosen = min(range(len(candidates)), key=lambda i: candidates[i][2].place)
    grams = grams_of(sentences, symbols)
    refused: list[str] = []
    for name, rounds in (
        (f"heard with {ORDER - 1} phones before each", self_taught),
        ("heard beside networks", beside_network),
    ):
        last = rounds(candidates[chosen][1], grams, others, apart, settings, report)
        if last is None:
            refused.append(name)
        else:
            consider(name, last)
            # What is heard so should look more like the text in any case: where it looks less like it, something is
            # wrong.
            if candidates[-1][2].place <= candidates[chosen][2].place + _AS_LIKE:
                chosen = len(candidates) - 1
    stages += [Stage(name, judged, i == chosen) for i, (name, _, judged) in enumerate(candidates)]
    stages += [Stage(name, None, False) for name in refused]
    _, model, judged = candidates[chosen]
    agreement = _agreement([first.labels for _, first in tries], best)
    verdict = judge.conclude(judged, agreement)
    return Learnt(model, grams, tuple(stages), verdict, segments, units if said is None else None, agreement)


def _agreement(labels: Sequence[Sequence[Sequence[Spoken]]], best: int) -> float | None:
    """The share of frames that others give the same phone as the best does."""
    each = [
        np.concatenate([np.full(one.last - one.first, one.phone) for piece in found for one in piece])
        for found in labels
    ]
    others = [one for i, one in enumerate(each) if i != best]
    return float(np.mean([each[best] == other for other in others])) if others else None


def _labelled(edges: Bounds, phones: np.ndarray[Any, Any]) -> list[Spoken]:
    """Segments with their phones; neighbours with the same one are one."""
    found: list[Spoken] = []
    for phone, (first, last) in zip(phones.tolist(), itertools.pairwise(edges.tolist()), strict=True):
        if found and found[-1].phone == phone:
            found[-1] = Spoken(phone, found[-1].first, last)
        else:
            found.append(Spoken(phone, first, last))
    return found
