"""The likeliest phones of a stretch of speech when many phones before each are taken into account: a beam search.

Hypotheses are moved through the frames side by side (token passing; Young, Russell & Thornton 1989), each with a state
of a phone and one of the n-grams. Exact search (`refining/paths`) has room for trigrams only.
V phones, S = V * `STATES` states, T frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trifold.tasks.asr.decoding.following import Following, Reals
from trifold.tasks.asr.decoding.lexicon import Numbers
from trifold.tasks.asr.matching.chains import Chain, best_paths
from trifold.tasks.asr.refining.phones import STATES, phone_chain
from trifold.tasks.asr.text.ngrams import BOUNDARY, NGrams

__all__ = ["BEAM", "LEARNING_BEAM", "ORDER", "BigramSearch", "PhoneSearch", "grams_of"]

ORDER = 6
BEAM, LEARNING_BEAM = 96, 48
"""Hypotheses that are kept in reading, and where models learn from what is read: there twice as many are as good, at
twice the time."""
_LEAVING = 4
"""Of so many hypotheses that are kept the next phone is tried of one."""
_ROWS = 100_000
"""States of the n-grams whose probabilities are kept ready, at most."""
_OPEN = -50.0
"""Logarithm, for a hypothesis that ends within a phone."""


def grams_of(sentences: Any, symbols: int) -> Following:
    """The text's n-grams of phones. Longer histories that it has once only are left out."""
    return Following.of(NGrams.fit(sentences, ORDER, symbols).without_rare())


class BigramSearch:
    """Exact, with one phone before each in mind: where no text is there to know more from."""

    def __init__(self, bigrams: Chain, stays: Reals) -> None:
        self._bigrams, self._chain = bigrams, phone_chain(stays, bigrams)

    def lasting(self, stays: Reals) -> BigramSearch:
        """The same for a voice whose states last otherwise."""
        return BigramSearch(self._bigrams, stays)

    def states(self, scores: np.ndarray[Any, Any]) -> Numbers:
        """The state of each frame, shape (T,)."""
        return best_paths(self._chain, scores[None], np.array([len(scores)], np.int64))[0]


class PhoneSearch:
    """A beam. stays: p(the same state again), shape (S,). beam: hypotheses that are kept."""

    def __init__(self, following: Following, stays: Reals, beam: int = BEAM) -> None:
        self._following, self._beam = following, beam
        self._stay, self._go = np.log(stays), np.log(1 - stays)
        self._known: dict[int, tuple[Reals, Numbers]] = {}

    def lasting(self, stays: Reals) -> PhoneSearch:
        """The same for a voice whose states last otherwise."""
        other = PhoneSearch(self._following, stays, self._beam)
        other._known = self._known
        return other

    def states(self, scores: np.ndarray[Any, Any]) -> Numbers:
        """The state of each frame, shape (T,)."""
        return self.likeliest(scores)[0]

    def likeliest(self, scores: np.ndarray[Any, Any]) -> tuple[Numbers, float]:
        """The state of each frame, shape (T,), and the log-likelihood of these states and the frames."""
        frames, states = scores.shape
        phones, leave = states // STATES, self._beam // _LEAVING
        begins = np.arange(phones) * STATES
        first, gram = self._row(self._following.start)
        state, score = begins, first[:phones] + scores[0, begins]
        passed: list[tuple[Numbers, Numbers]] = [(state, np.zeros(phones, np.int64))]
        for t in range(1, frames):
            last = state % STATES == STATES - 1
            inner, ends = np.flatnonzero(~last), np.flatnonzero(last)
            leaving = score[ends] + self._go[state[ends]]
            if len(ends) > leave:
                chosen = np.argpartition(-leaving, leave)[:leave]
                ends, leaving = ends[chosen], leaving[chosen]
            rows = [self._row(int(one)) for one in gram[ends]]
            entered = [whole[:phones] + cost for (whole, _), cost in zip(rows, leaving, strict=True)]
            everyone = np.arange(len(state))
            origin = np.concatenate([everyone, inner, np.repeat(ends, phones)])
            new = np.concatenate([state, state[inner] + 1, np.tile(begins, len(ends))])
            grams = np.concatenate([gram, gram[inner], *(after for _, after in rows)])
            total = np.concatenate([score + self._stay[state], score[inner] + self._go[state[inner]], *entered])
            total += scores[t, new]
            kept = _best(total, grams * states + new, self._beam)
            state, gram, score = new[kept], grams[kept], total[kept]
            passed.append((state, origin[kept]))
        ended = np.array([self._row(int(one))[0][phones] for one in gram])
        ended += np.where(state % STATES == STATES - 1, self._go[state], _OPEN)
        whole = score + ended
        best = int(whole.argmax())
        return _path(passed, best), float(whole[best])

    def _row(self, gram: int) -> tuple[Reals, Numbers]:
        """After a state of the n-grams: log p of each phone and, last, of the end, (V + 1,); states after, (V,)."""
        if (known := self._known.get(gram)) is None:
            symbols = np.append(np.arange(self._following.symbols), BOUNDARY)
            costs, after = self._following.after(np.full(len(symbols), gram, np.int64), symbols)
            if len(self._known) >= _ROWS:
                self._known.clear()
            known = self._known[gram] = (-costs, after[:-1])
        return known


def _best(total: Reals, key: Numbers, beam: int) -> Numbers:
    """Of hypotheses with the same future only the likeliest, of the rest so many as the beam holds."""
    most = min(2 * beam, len(total))
    chosen = np.arange(len(total)) if most == len(total) else np.argpartition(-total, most - 1)[:most]
    chosen = chosen[np.lexsort((-total[chosen], key[chosen]))]
    keys = key[chosen]
    alone = np.ones(len(keys), bool)
    alone[1:] = keys[1:] != keys[:-1]
    chosen = chosen[alone]
    return chosen if len(chosen) <= beam else chosen[np.argpartition(-total[chosen], beam - 1)[:beam]]


def _path(passed: list[tuple[Numbers, Numbers]], at: int) -> Numbers:
    """The state of each frame on the way to the last frame's hypothesis `at`."""
    path = np.zeros(len(passed), np.int64)
    for t in range(len(passed) - 1, -1, -1):
        state, origin = passed[t]
        path[t], at = state[at], int(origin[at])
    return path
