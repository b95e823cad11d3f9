"""The last rounds: models learn from what they hear themselves with long n-grams of the text's phones in mind.

What they hear then always looks like the text, so its looks do not say whether it is any better. Recordings that were
kept apart do: they must have become likelier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trifold.tasks.asr.decoding.following import Following
from trifold.tasks.asr.decoding.phones import LEARNING_BEAM, ORDER, PhoneSearch
from trifold.tasks.asr.learning.pieces import Pieces
from trifold.tasks.asr.learning.reading import Report
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.refining.phones import STATES, PhoneModel
from trifold.tasks.asr.refining.reheard import reheard
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

__all__ = ["MORE", "likely", "self_taught", "set_apart"]

_FRAMES, _LAST, MORE = 180_000, 2, 540_000
"""That are heard in each round, and in so many at the end."""
_APART, _SHARE = 20_000, 10
"""Frames that are kept apart, and the share of all that they are at most, as its inverse."""


def set_apart(pieces: Pieces, seed: int) -> tuple[Pieces, Pieces]:
    """Pieces that nothing is to be learnt from, and the others. Of too few, none and all."""
    sizes = np.array([len(one) for one in pieces.frames], np.int64)
    order = np.random.default_rng(seed).permutation(len(sizes))
    inside = np.cumsum(sizes[order]) <= min(_APART, sizes.sum() // _SHARE)
    return pieces.some(sorted(order[inside].tolist())), pieces.some(sorted(order[~inside].tolist()))


def self_taught(
    model: PhoneModel, grams: Following, others: Pieces, apart: Pieces, settings: LearningSettings, report: Report
) -> PhoneModel | None:
    """The model after `settings.rehearings` rounds of hearing `others`; None where those apart, which the model has not
    learnt from, have not become likelier, or there are none."""
    few, more = (others.sample(size, settings.seed).frames for size in (_FRAMES, MORE))
    if not apart.frames or not any(len(one) >= STATES for one in few):
        return None
    told = Told(model.sounds, model.stays, model.space)
    search = PhoneSearch(grams, told.stays, LEARNING_BEAM)
    for number in range(settings.rehearings):
        label = f"hearing with {ORDER - 1} phones before each, {number + 1} of {settings.rehearings}"
        some = few if number < settings.rehearings - _LAST else more
        with report(label) as progress:
            told = reheard(told, search, some, settings.scale, progress)
    found = replace(model, sounds=told.sounds, stays=told.stays, space=told.space)
    return found if likely(found, search, apart.frames) > likely(model, search, apart.frames) else None


def likely(model: PhoneModel, search: PhoneSearch, recordings: Sequence[Frames]) -> float:
    """The log-likelihood of all frames as they are, by the likeliest phones, each frame as much as `model.scale` has
    it."""
    search = search.lasting(model.stays)
    stretched = 0.0 if model.space is None else float(np.linalg.slogdet(model.space.matrix)[1])
    return sum(search.likeliest(model.scores(one))[1] + model.scale * stretched * len(one) for one in recordings)
