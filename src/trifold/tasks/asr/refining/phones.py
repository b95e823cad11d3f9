"""Phones as chains of states that last, and their training on whole utterances without knowing what is said in them.

The states' order within a phone and the phones' bigrams are given; how states sound and how long they last is learnt
by expectation maximisation from rough labels, as the Kaldi rounds of wav2vec-U and Chen, Tsai, Lee & Lee (2019) do.
V phones, S = V * `STATES` states.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Chain, Lengths, Table, best_paths, posteriors
from trifold.tasks.asr.refining.maps import Map, through
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.paths import STATES, Spoken, Trigrams, best_phones
from trifold.tasks.asr.sound.features import Frames

__all__ = ["STATES", "PhoneModel", "Spoken", "first_model", "improved", "phone_chain", "spoken_of"]

_AT_ONCE = 64
_STAYS = 0.6


@dataclass(frozen=True, slots=True)
class PhoneModel:
    """sounds: of each state. stays: p(the same state again), shape (S,). bigrams: of the phones. trigrams: theirs too,
    where there is a text to know them from. space: the map of frames that the sounds are of, as of `told.Told`.

    scale: how much a frame's score counts beside the bigrams; neighbouring frames tell the same thing again.
    """

    sounds: Mixtures
    stays: Table
    bigrams: Chain
    scale: float = 0.3
    trigrams: Trigrams | None = None
    space: Map | None = None

    def scores(self, frames: Frames) -> Table:
        """Scaled log p(frame | state), shape (N, S)."""
        return self.scale * self.sounds.scores(through(self.space, frames))

    def chain(self) -> Chain:
        """The chain of all states."""
        return phone_chain(self.stays, self.bigrams)

    def read(self, utterances: Sequence[Frames], progress: Progress = no_progress) -> list[list[Spoken]]:
        """The likeliest phones of each utterance with their times."""
        found: list[list[Spoken]] = [[] for _ in utterances]
        if self.trigrams is not None:
            for i, one in enumerate(utterances):
                found[i] = best_phones(self.scores(one), self.stays, self.trigrams)
                progress(i + 1, len(utterances))
            return found
        chain = self.chain()
        for indices, lengths, scores in self._batches(utterances):
            for i, path in zip(indices, best_paths(chain, scores, lengths), strict=True):
                found[i] = spoken_of(path)
        return found

    def _batches(self, utterances: Sequence[Frames]) -> Iterator[tuple[list[int], Lengths, Table]]:
        """Utterances of like length together, with their scaled scores; those too short for one phone left out."""
        long = [i for i, sounds in enumerate(utterances) if len(sounds) >= STATES]
        order = sorted(long, key=lambda i: len(utterances[i]))
        for at in range(0, len(order), _AT_ONCE):
            indices = order[at : at + _AT_ONCE]
            lengths = np.array([len(utterances[i]) for i in indices], np.int64)
            scores = np.zeros((len(indices), int(lengths.max()), len(self.stays)))
            for row, i in zip(scores, indices, strict=True):
                row[: len(utterances[i])] = self.scores(utterances[i])
            yield indices, lengths, scores


def phone_chain(stays: Table, bigrams: Chain) -> Chain:
    """The chain of all states of all phones. stays: p(the same state again), shape (S,)."""
    phones = len(bigrams.initial)
    states = phones * STATES
    begins, ends = np.arange(phones) * STATES, np.arange(phones) * STATES + STATES - 1
    initial, following, finals = np.zeros(states), np.diag(stays), np.zeros(states)
    initial[begins] = bigrams.initial
    inner = np.setdiff1d(np.arange(states), ends)
    following[inner, inner + 1] = 1 - stays[inner]
    leaves = 1 - stays[ends]
    following[np.ix_(ends, begins)] += leaves[:, None] * bigrams.following
    finals[ends] = leaves * bigrams.ends
    return Chain(initial, following, finals)


def spoken_of(path: np.ndarray[Any, np.dtype[np.int64]]) -> list[Spoken]:
    """Phones of a path of states: a new one begins wherever the first state is entered from another."""
    phone, place = path // STATES, path % STATES
    begins = np.ones(len(path), bool)
    begins[1:] = (phone[1:] != phone[:-1]) | ((place[1:] == 0) & (place[:-1] != 0))
    edges = [*np.flatnonzero(begins).tolist(), len(path)]
    return [Spoken(int(phone[a]), a, b) for a, b in itertools.pairwise(edges)]


def first_model(
    utterances: Sequence[Frames], labels: Sequence[Sequence[Spoken]], bigrams: Chain, scale: float = 0.3
) -> PhoneModel:
    """A model of rough labels: each phone's frames divided evenly among its states."""
    states = len(bigrams.initial) * STATES
    frames, shares = [], []
    for sounds, phones in zip(utterances, labels, strict=True):
        share = np.zeros((len(sounds), states))
        for one in phones:
            size = one.last - one.first
            at = np.arange(one.first, one.last)
            share[at, one.phone * STATES + (np.arange(size) * STATES) // max(size, 1)] = 1.0
        frames.append(sounds)
        shares.append(share)
    mixtures = Mixtures.single(np.concatenate(frames), np.concatenate(shares))
    return PhoneModel(mixtures, np.full(states, _STAYS), bigrams, scale)


def improved(
    model: PhoneModel, utterances: Sequence[Frames], rounds: int, progress: Progress = no_progress
) -> tuple[PhoneModel, list[float]]:
    """The model after so many rounds of expectation maximisation, and a frame's log-likelihood before each."""
    seen = [through(model.space, one) for one in utterances]
    frames = np.concatenate(seen)
    mean, variance = frames.mean(0), frames.var(0)
    likelihoods = []
    for number in range(rounds):
        chain = model.chain()
        totals = Totals.zero(*model.sounds.means.shape)
        moved = np.zeros_like(chain.following)
        stayed_in = np.zeros(len(model.stays))
        total = 0.0
        for indices, lengths, scores in model._batches(utterances):
            gamma, moves, likelihood = posteriors(chain, scores, lengths)
            moved += moves
            total += float(likelihood.sum())
            for row, i in zip(gamma, indices, strict=True):
                shares = row[: len(utterances[i])]
                stayed_in += shares.sum(0)
                totals.add(seen[i], model.sounds.components(seen[i], shares))
        likelihoods.append(total / len(frames))
        stays = (np.diag(moved) + 1.0) / (stayed_in + 2.0)
        model = replace(model, sounds=totals.mixtures(mean, variance), stays=np.clip(stays, 0.05, 0.98))
        progress(number + 1, rounds)
    return model, likelihoods
