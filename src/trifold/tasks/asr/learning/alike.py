"""Voices made alike before phones are learnt from them together: one map of the frames of each.

Speaker-adaptive training (Anastasakos et al. 1996) with constrained maps (Gales 1998), one normal distribution a state:
the distributions of all mapped frames are found, then the likeliest map of each voice to them, and so on. As what the
voices say is known, frames are aligned once, and then sums over the frames of each state are enough. The distributions
are diagonal, so what the maps have in common turns the features until they are nearly so (semi-tied covariances;
Gales 1999): recordings are mapped there too. V voices, N frames, S states, D features.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.maps import Evidence, Map, estimated, expected
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.refining.told import States, aligned, chain_of, learn_told
from trifold.tasks.asr.sound.features import Frames

__all__ = ["made_alike"]

_ROUNDS = 4
_PRIOR = 500.0
"""Frames' worth of a voice that needs no map."""


def made_alike(
    utterances: Sequence[Frames],
    sequences: Sequence[Sequence[int]],
    voices: Sequence[int],
    symbols: int,
    progress: Progress = no_progress,
) -> list[Frames]:
    """The utterances' frames, shape (N, D) each, those of each voice through its map.

    sequences: the phones of each utterance, which has a frame for each of their states at least. voices: whose each
    is, from 0 on. progress: of the models that frames are aligned by.
    """
    model = learn_told(utterances, sequences, symbols, progress=progress)
    paths = aligned(model, utterances, [chain_of(one) for one in sequences])
    sums = [_Sums.of(utterances, paths, [one == voice for one in voices], symbols) for voice in range(max(voices) + 1)]
    maps = [Map.none(utterances[0].shape[1])] * len(sums)
    for _ in range(_ROUNDS):
        sounds = _sounds(sums, maps)
        maps = [_map(one, sounds, now) for one, now in zip(sums, maps, strict=True)]
    return [maps[voice].apply(one) for one, voice in zip(utterances, voices, strict=True)]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Over a voice's frames of each state: how many, shape (S,); their sum, (S, D); of their products, (S, D, D)."""

    count: Table
    first: Table
    second: Table

    @classmethod
    def of(cls, utterances: Sequence[Frames], paths: Sequence[States], own: Sequence[bool], symbols: int) -> _Sums:
        """own: which utterances are the voice's."""
        states, width = symbols * STATES, utterances[0].shape[1]
        found = cls(np.zeros(states), np.zeros((states, width)), np.zeros((states, width, width)))
        if not any(own):
            return found
        frames = np.concatenate(list(itertools.compress(utterances, own))).astype(np.float64)
        path = np.concatenate(list(itertools.compress(paths, own)))
        order = np.argsort(path, kind="stable")
        edges = np.searchsorted(path[order], np.arange(states + 1))
        for state, (begin, end) in enumerate(itertools.pairwise(edges.tolist())):
            some = frames[order[begin:end]]
            found.count[state] = len(some)
            found.first[state] = some.sum(0)
            found.second[state] = some.T @ some
        return found


def _sounds(sums: Sequence[_Sums], maps: Sequence[Map]) -> Mixtures:
    """One distribution a state of all voices' mapped frames."""
    states, width = sums[0].first.shape
    totals = Totals.zero(states, 1, width)
    for one, by in zip(sums, maps, strict=True):
        turned = one.first @ by.matrix.T
        squares = ((by.matrix @ one.second) * by.matrix).sum(2)
        totals.count[:, 0] += one.count
        totals.first[:, 0] += turned + one.count[:, None] * by.offset
        totals.second[:, 0] += squares + 2 * by.offset * turned + one.count[:, None] * by.offset**2
    count = totals.count.sum()
    mean = totals.first.sum((0, 1)) / count
    return totals.mixtures(mean, totals.second.sum((0, 1)) / count - mean**2)


def _map(own: _Sums, sounds: Mixtures, start: Map) -> Map:
    """The likeliest map of a voice's frames to the distributions."""
    if not own.count.any():
        return start
    evidence = Evidence.of(own.count, own.first, own.second, sounds)
    return estimated(evidence + expected(sounds, own.count[:, None], _PRIOR), start)
