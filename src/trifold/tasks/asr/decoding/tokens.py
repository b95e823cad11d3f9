"""Hypotheses of a search as parallel arrays: where each stands, what it cost, and how it came there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from trifold.tasks.asr.decoding.following import Reals
from trifold.tasks.asr.decoding.lexicon import Numbers

__all__ = ["Tokens", "best", "joined"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """n tokens, all shapes (n,).

    node: of the lexicon's tree, 0 between words. state: of the language model. cost: of everything so far, nats.
    word: the last word that has ended, by its number among all that ended in the search, -1 for none. first, last: the
    first segment that was taken for a phone of the present word, -1 for none yet, and the one after the last such
    segment. before: the cost with which the present word began.
    """

    node: Numbers
    state: Numbers
    cost: Reals
    word: Numbers
    first: Numbers
    last: Numbers
    before: Reals

    @classmethod
    def begin(cls, state: int) -> Tokens:
        """The one token before the first segment."""
        zero, none = np.zeros(1, np.int64), np.full(1, -1, np.int64)
        return cls(zero, np.full(1, state, np.int64), np.zeros(1), none, none, zero, np.zeros(1))

    def __len__(self) -> int:
        return len(self.cost)

    def take(self, which: Numbers) -> Tokens:
        return Tokens(*(getattr(self, one.name)[which] for one in fields(self)))

    def moved(self, which: Numbers, node: Numbers, added: Reals | float) -> Tokens:
        """Tokens of which each goes on from one of these to a node further down its tree, at a cost."""
        old, cost = self.node[which], self.cost[which]
        return Tokens(
            node,
            self.state[which],
            cost + added,
            self.word[which],
            np.where(old == 0, -1, self.first[which]),
            self.last[which],
            np.where(old == 0, cost, self.before[which]),
        )


def joined(parts: Sequence[Tokens]) -> Tokens:
    return Tokens(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Tokens)))


def best(tokens: Tokens, outlook: Reals, beam: int) -> Tokens:
    """Of tokens with the same future only the cheapest, of the rest so many as the beam holds.

    outlook: what each node's words cost at least, added for the comparison. The cheapest token between words stays
    always, so that a search has an end.
    """
    rank = tokens.cost + outlook[tokens.node]
    most = min(4 * beam, len(tokens))
    chosen = np.arange(len(tokens)) if most == len(tokens) else np.argpartition(rank, most)[:most]
    key = tokens.node[chosen] * (int(tokens.state.max(initial=0)) + 1) + tokens.state[chosen]
    order = np.lexsort((rank[chosen], key))
    chosen, key = chosen[order], key[order]
    chosen = chosen[np.flatnonzero(np.diff(key, prepend=-1))]
    if len(chosen) > beam:
        chosen = chosen[np.argpartition(rank[chosen], beam)[:beam]]
    between = np.flatnonzero(tokens.node == 0)
    if len(between):
        cheapest = between[tokens.cost[between].argmin()]
        if not (tokens.node[chosen] == 0).any():
            chosen = np.append(chosen, cheapest)
    return tokens.take(chosen)
