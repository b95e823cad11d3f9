"""How sure a word is: the share of all that was heard in an utterance in which it stands at its place.

Word posteriors of a lattice (Wessel, Schlüter, Macherey & Ney 2001): every word that ended anywhere in the search is an
arc between two moments, and the probabilities of all ways through the arcs are summed forward and backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from trifold.tasks.asr.decoding.following import Reals
from trifold.tasks.asr.decoding.lexicon import Numbers

__all__ = ["Arcs", "shares"]

_SCALE = 0.85
"""Costs count so much. Where posteriors are as good as they say, 1 makes the confidence the share of right words (on
invented sentences); recognisers are surer than they should be, so somewhat less."""


@dataclass(frozen=True, slots=True)
class Arcs:
    """A words that ended during a search, all shapes (A,).

    word: its number. first, last: its first segment and the one after its last. origin: the arc of the word before, -1
    for none. left, right: the states of the language model before and after it. cost: of the word alone, nats.
    """

    word: Numbers
    first: Numbers
    last: Numbers
    origin: Numbers
    left: Numbers
    right: Numbers
    cost: Reals

    @classmethod
    def all(cls, parts: Sequence[Arcs]) -> Arcs:
        """Those of every step of a search; at least one step."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))


def shares(arcs: Arcs, nothing: Reals, start: int, states: Numbers, ends: Reals) -> Reals:
    """The probability of each arc given the whole utterance, shape (A,).

    nothing: what each segment costs that belongs to no word, shape (N,). start: the state before the first word.
    states, ends: all states of the arcs and `start`, ascending, and what the end of the utterance costs after each.
    """
    count, width = len(nothing), len(states)
    left, right = np.searchsorted(states, arcs.left), np.searchsorted(states, arcs.right)
    weight = -_SCALE * arcs.cost
    forward, backward = np.full((count + 1, width), -np.inf), np.full((count + 1, width), -np.inf)
    forward[0, np.searchsorted(states, start)] = 0.0
    backward[count] = -_SCALE * ends
    by_last, by_first = np.argsort(arcs.last, kind="stable"), np.argsort(arcs.first, kind="stable")
    last_from = np.searchsorted(arcs.last[by_last], np.arange(count + 2))
    first_from = np.searchsorted(arcs.first[by_first], np.arange(count + 2))
    for at in range(1, count + 1):
        forward[at] = forward[at - 1] - _SCALE * nothing[at - 1]
        some = by_last[last_from[at] : last_from[at + 1]]
        np.logaddexp.at(forward[at], right[some], forward[arcs.first[some], left[some]] + weight[some])
    for at in range(count - 1, -1, -1):
        backward[at] = backward[at + 1] - _SCALE * nothing[at]
        some = by_first[first_from[at] : first_from[at + 1]]
        np.logaddexp.at(backward[at], left[some], backward[arcs.last[some], right[some]] + weight[some])
    whole = np.logaddexp.reduce(forward[count] + backward[count])
    through = forward[arcs.first, left] + weight + backward[arcs.last, right]
    found: Reals = np.exp(np.minimum(through - whole, 0.0))
    return found
