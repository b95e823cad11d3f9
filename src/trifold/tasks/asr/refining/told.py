"""Phone models of utterances whose phones are known, though not when each is said: rounds of alignment (Viterbi 1967).

What is known may be what a synthesiser was asked to say, or, to measure what features and models are worth, references.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.maps import Map, through
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.sound.features import Frames

__all__ = ["STAYS", "States", "Told", "aligned", "chain_of", "divided", "lasting", "learn_told", "totals_of"]

States: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_AT_ONCE = 64
_FIRST_ROUNDS, _ROUNDS_OF_A_SIZE = 4, 2
_NEVER = -1e30
_STAYS_AT_FIRST, _LASTING = 0.6, 2.0
"""How long states last before any is heard, and how many frames' worth of it."""
STAYS = (0.05, 0.98)


@dataclass(frozen=True, slots=True)
class Told:
    """sounds: of each state. stays: p(the same state again), shape (S,). space: the map of frames in which they sound
    like that; None for frames as they are."""

    sounds: Mixtures
    stays: Table
    space: Map | None = None

    def seen(self, frames: Frames) -> Frames:
        """The frames as the distributions are of, shape (N, D)."""
        return through(self.space, frames)


def learn_told(
    utterances: Sequence[Frames],
    sequences: Sequence[Sequence[int]],
    symbols: int,
    components: int = 1,
    progress: Progress = no_progress,
) -> Told:
    """Sounds of `symbols` phones in mixtures of `components` (a power of two), from even cuts on.

    sequences: the phones of each utterance; utterances with fewer frames than their phones' states are left out.
    """
    kept = [i for i, (a, b) in enumerate(zip(utterances, sequences, strict=True)) if b and len(a) >= STATES * len(b)]
    frames = [utterances[i] for i in kept]
    chains = [chain_of(sequences[i]) for i in kept]
    together = np.concatenate(frames)
    paths = [chain[np.arange(len(one)) * len(chain) // len(one)] for one, chain in zip(frames, chains, strict=True)]
    mean, variance = together.mean(0), together.var(0)

    def learnt(sounds: Mixtures | None) -> Told:
        totals = totals_of(together, np.concatenate(paths), sounds, symbols * STATES)
        stays = lasting(paths, np.full(symbols * STATES, _STAYS_AT_FIRST), _LASTING)
        return Told(totals.mixtures(mean, variance), stays)

    model = learnt(None)
    sizes = [1] * _FIRST_ROUNDS
    while sizes[-1] < components:
        sizes += [2 * sizes[-1]] * _ROUNDS_OF_A_SIZE
    for number, size in enumerate(sizes):
        if size > model.sounds.means.shape[1]:
            model = Told(model.sounds.split(number), model.stays)
        paths = aligned(model, frames, chains)
        model = learnt(model.sounds)
        progress(number + 1, len(sizes))
    return model


def aligned(model: Told, utterances: Sequence[Frames], chains: Sequence[States]) -> list[States]:
    """The state of each frame, by the likeliest path through all states of the utterance's chain in their order."""
    stay, go = (np.log(one).astype(np.float32) for one in (model.stays, 1 - model.stays))
    found: list[States] = [np.zeros(0, np.int64)] * len(utterances)
    order = sorted(range(len(utterances)), key=lambda i: len(utterances[i]))
    for at in range(0, len(order), _AT_ONCE):
        indices = order[at : at + _AT_ONCE]
        longest, widest = (max(len(some[i]) for i in indices) for some in (utterances, chains))
        scores = np.full((longest, len(indices), widest), _NEVER, np.float32)
        stays, goes = np.full((2, len(indices), widest), _NEVER, np.float32)
        for row, i in enumerate(indices):
            size = len(chains[i])
            scores[: len(utterances[i]), row, :size] = model.sounds.scores(model.seen(utterances[i]))[:, chains[i]]
            stays[row, :size], goes[row, :size] = stay[chains[i]], go[chains[i]]
        came = _came(scores, stays, goes)
        for row, i in enumerate(indices):
            found[i] = chains[i][_path(came[: len(utterances[i]), row], len(chains[i]))]
    return found


def _came(scores: Frames, stays: Frames, goes: Frames) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each state was come to from the one before it: shape (T, B, N), as `scores`."""
    came = np.zeros(scores.shape, bool)
    reached = np.full(scores.shape[1:], _NEVER, np.float32)
    reached[:, 0] = scores[0, :, 0]
    moved = np.full_like(reached, _NEVER)
    for t in range(1, len(scores)):
        moved[:, 1:] = reached[:, :-1] + goes[:, :-1]
        stayed = reached + stays
        came[t] = moved > stayed
        reached = np.maximum(np.maximum(moved, stayed) + scores[t], _NEVER)
    return came


def _path(came: np.ndarray[Any, np.dtype[np.bool_]], states: int) -> States:
    path = np.zeros(len(came), np.int64)
    state = states - 1
    for t in range(len(came) - 1, -1, -1):
        path[t] = state
        state -= int(came[t, state])
    return path


def chain_of(phones: Sequence[int]) -> States:
    """The states of the phones, in their order."""
    return (np.asarray(phones, np.int64)[:, None] * STATES + np.arange(STATES)).reshape(-1)


def totals_of(frames: Frames, path: States, sounds: Mixtures | None, states: int) -> Totals:
    """What the frames of each state add up to, in each of its components as `sounds` has them; None for one each.

    path: the state of each frame, shape (N,).
    """
    totals = Totals.zero(states, 1 if sounds is None else sounds.means.shape[1], frames.shape[1])
    for state, own, shares in divided(frames, path, sounds, states):
        totals.count[state] = shares.sum(0)
        totals.first[state] = shares.T @ own
        totals.second[state] = shares.T @ own**2
    return totals


def divided(frames: Frames, path: States, sounds: Mixtures | None, states: int) -> Iterator[tuple[int, Frames, Table]]:
    """Each state with its frames, shape (n, D), and p(component | frame and state), (n, M)."""
    order = np.argsort(path, kind="stable")
    edges = np.searchsorted(path[order], np.arange(states + 1))
    for state, (first, last) in enumerate(itertools.pairwise(edges.tolist())):
        own = frames[order[first:last]]
        alone = np.ones((len(own), 1))
        yield state, own, alone if sounds is None else sounds.of(state).components(own, alone)[:, 0]


def lasting(paths: Sequence[States], before: Table, strength: float) -> Table:
    """p(the same state again) of each state, shape (S,), with so many frames' worth of what it was."""
    stayed, times = strength * before, np.full(len(before), strength)
    for path in paths:
        np.add.at(times, path, 1.0)
        np.add.at(stayed, path[1:][path[1:] == path[:-1]], 1.0)
    return np.asarray(np.clip(stayed / times, *STAYS))
