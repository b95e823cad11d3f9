"""Models of phones, moved to what is heard in frames when many phones before each are taken into account.

Rounds of hearing and moving (Viterbi training, Juang & Rabiner 1990): the likeliest phones with long n-grams are far
more often right than the likeliest by bigrams or trigrams, and where a few are, the next round has more. In each round
one map of all frames moves first (`refining/maps`), then each distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.adapted import drawn
from trifold.tasks.asr.refining.maps import Evidence, Map, estimated, expected
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.refining.told import States, Told, divided, lasting, totals_of
from trifold.tasks.asr.sound.features import Frames

__all__ = ["Search", "heard", "moved", "reheard"]

_STRENGTH, _LASTING = 30.0, 10.0
"""Frames' worth of each distribution as it was, and of how long each state lasted."""
_PRIOR = 500.0
"""Frames' worth of what needs no map."""


class Search(Protocol):
    """What finds the likeliest phones of stretches of speech, as `decoding.phones` does."""

    def lasting(self, stays: Table) -> Search:
        """The same for states that last otherwise: p(the same state again), shape (S,)."""

    def states(self, scores: Table) -> States:
        """The state of each frame, shape (T,). scores: scaled log p(frame | state), shape (T, S)."""


def reheard(
    told: Told, search: Search, utterances: Sequence[Frames], scale: float, progress: Progress = no_progress
) -> Told:
    """After one round. utterances: frames of stretches of speech, at least one of them of `STATES` frames or more.

    scale: how much a frame's score counts beside how phones follow each other.
    """
    return moved(told, utterances, heard(told, search, utterances, scale, progress=progress))


def heard(
    told: Told,
    search: Search,
    utterances: Sequence[Frames],
    scale: float,
    beside: Callable[[Frames], Table] | None = None,
    progress: Progress = no_progress,
) -> list[States]:
    """The state of each frame of each utterance; none of those too short for one phone. beside: what else speaks for
    each state of frames, shape (N, S), as it counts beside how phones follow each other."""
    search = search.lasting(told.stays)
    paths = []
    for done, one in enumerate(utterances, 1):
        path = np.zeros(0, np.int64)
        if len(one) >= STATES:
            scores = scale * told.sounds.scores(told.seen(one))
            path = search.states(scores if beside is None else scores + beside(one))
        paths.append(path)
        progress(done, len(utterances))
    return paths


def moved(told: Told, utterances: Sequence[Frames], paths: Sequence[States]) -> Told:
    """The models after their map and then each distribution moved to what was `heard` in the utterances."""
    pairs = [(told.seen(one), path) for one, path in zip(utterances, paths, strict=True) if len(path)]
    frames, path = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    step = _step(frames, path, told.sounds)
    frames = step.apply(frames)
    totals = totals_of(frames, path, told.sounds, len(told.stays))
    sounds = drawn(told.sounds, totals, frames.var(0).astype(np.float64), _STRENGTH)
    stays = lasting([path for _, path in pairs], told.stays, _LASTING)
    return Told(sounds, stays, step if told.space is None else step.after(told.space))


def _step(frames: Frames, path: States, sounds: Mixtures) -> Map:
    """The map that brings frames, whose states are known, to how these sound."""
    states, components, width = sounds.means.shape
    count, first = np.zeros((states, components)), np.zeros((states, components, width))
    second = np.zeros((states, components, width, width))
    for state, own, shares in divided(frames, path, sounds, states):
        count[state] = shares.sum(0)
        first[state] = shares.T @ own
        for number, share in enumerate(shares.T):
            second[state, number] = (own * share[:, None]).T @ own
    flat = states * components
    evidence = Evidence.of(count.reshape(flat), first.reshape(flat, width), second.reshape(flat, width, width), sounds)
    return estimated(evidence + expected(sounds, count, _PRIOR), Map.none(width))
