"""Without any text: sounds that come again and again, numbered, as a model that finds them with their times."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from trifold.errors import DataError
from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.matching.units import segment_features, units_of
from trifold.tasks.asr.refining.phones import PhoneModel, Spoken, first_model, improved
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.segments import boundaries
from trifold.tasks.asr.sound.utterances import cepstra_of, features_of, sounds
from trifold.tasks.asr.text.ngrams import NGrams

__all__ = ["discover"]

_SEGMENTS_OF_A_UNIT = 20


def discover(
    utterances: Sequence[Frames],
    count: int,
    *,
    threshold: float = 1.0,
    scale: float = 1.0,
    rounds: int = 1,
    seed: int = 0,
    progress: Progress = no_progress,
) -> tuple[PhoneModel, tuple[str, ...]]:
    """A model of `count` units, and their names: silence and u01, u02, ..., the commonest first.

    utterances: frames of stretches of speech (`parts_of`). The sounds count in full, as no text says what follows what,
    and are realigned once: more rounds make units of what often stands together. Raises DataError where there is too
    little speech.
    """
    bounds = [boundaries(cepstra_of(one), threshold) for one in utterances]
    segments = sum(len(edges) - 1 for edges in bounds)
    if segments < _SEGMENTS_OF_A_UNIT * count:
        raise DataError(
            f"the recordings: expected at least {_SEGMENTS_OF_A_UNIT * count:,} sounds of speech for {count} units, "
            f"found {segments:,}. Record more, or ask for fewer units."
        )
    heard = units_of(segment_features([features_of(one) for one in utterances], bounds), count, seed)
    order = np.argsort(-np.bincount(np.concatenate(heard), minlength=count), kind="stable")
    number = np.empty(count, np.int64)
    number[order] = np.arange(1, count + 1)
    labels = [
        [
            Spoken(int(number[unit]), a, b)
            for unit, (a, b) in zip(units, itertools.pairwise(edges.tolist()), strict=True)
        ]
        for units, edges in zip(heard, bounds, strict=True)
    ]
    sequences = [[one.phone for one in utterance] for utterance in labels]
    bigrams = Chain(*NGrams.fit(sequences, 2, count + 1).transitions())
    frames = [sounds(one) for one in utterances]
    model, _ = improved(first_model(frames, labels, bigrams, scale), frames, rounds, progress)
    digits = len(str(count))
    return model, ("SIL", *(f"u{i:0{digits}}" for i in range(1, count + 1)))
