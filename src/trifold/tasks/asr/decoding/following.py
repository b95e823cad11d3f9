"""An n-gram model in flat arrays: what follows each of many histories, looked up at once.

The probabilities are those of `text.ngrams.NGrams` (Witten & Bell 1991, interpolated). A state stands for the longest
end of a history that the text has; histories of one state have the same future.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np

from trifold.tasks.asr.decoding.lexicon import Numbers
from trifold.tasks.asr.text.ngrams import BOUNDARY, NGrams

__all__ = ["Following"]

Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Following:
    """S states, of which 0 is the empty history, and P pairs of a state and a symbol that the text has.

    start: the state before the first symbol. order: of the n-grams. symbols: how many there are, without `BOUNDARY`.
    shorter: the state of the history without its first symbol; left: the share of probability that the shorter
    history distributes; shapes (S,). keys: state * (symbols + 1) + symbol + 1, ascending; shares: what the counts
    give the pair; states: the one after it; shapes (P,).
    """

    start: int
    order: int
    symbols: int
    shorter: Numbers
    left: Reals
    keys: Numbers
    shares: Reals
    states: Numbers

    @classmethod
    def of(cls, model: NGrams) -> Following:
        histories = sorted(model.counts.keys() | {()}, key=lambda history: (len(history), history))
        number = {history: i for i, history in enumerate(histories)}
        width = model.symbols + 1
        shorter, left = np.zeros(len(histories), np.int64), np.ones(len(histories))
        keys: list[int] = []
        shares: list[float] = []
        states: list[int] = []
        for history, state in number.items():
            followed = model.counts.get(history)
            if followed is None:
                continue
            shorter[state] = number.get(history[1:], 0)
            whole = model.totals[history] + len(followed)
            left[state] = len(followed) / whole
            for symbol in sorted(followed):
                keys.append(state * width + symbol + 1)
                shares.append(followed[symbol] / whole)
                states.append(_longest((*history, symbol), model.order, number))
        start = _longest((BOUNDARY,) * (model.order - 1), model.order, number)
        return cls(
            start,
            model.order,
            model.symbols,
            shorter,
            left,
            np.array(keys, np.int64),
            np.array(shares, np.float64),
            np.array(states, np.int64),
        )

    def write(self, path: Path) -> None:
        """A file of arrays without pickles, about 10 bytes for a pair."""
        facts = np.array([self.start, self.order, self.symbols], np.int64)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                facts=facts,
                shorter=self.shorter.astype(np.int32),
                left=self.left.astype(np.float32),
                keys=self.keys,
                shares=self.shares.astype(np.float32),
                states=self.states.astype(np.int32),
            )

    @classmethod
    def read(cls, path: Path, symbols: int) -> Following:
        """What `write` wrote. Raises ValueError for anything else, and for other symbols, OSError."""
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                facts = file["facts"]
                whole = {name: file[name].astype(np.int64) for name in ("shorter", "keys", "states")}
                real = {name: file[name].astype(np.float64) for name in ("left", "shares")}
        except (KeyError, EOFError, BadZipFile, NotImplementedError, zlib.error) as error:
            raise ValueError(f"not n-grams ({error})") from None
        if facts.shape != (3,) or any(one.ndim != 1 for one in (*whole.values(), *real.values())):
            raise ValueError("not n-grams")
        found = cls(int(facts[0]), int(facts[1]), int(facts[2]), **whole, **real)
        if not found._fits(symbols):
            raise ValueError("its parts do not fit together")
        return found

    def _fits(self, symbols: int) -> bool:
        """Whether every number is one that `of` may give."""
        states, pairs = len(self.shorter), len(self.keys)
        if self.symbols != symbols or states < 1 or len(self.left) != states or not 1 <= self.order <= 32:
            return False
        if len(self.shares) != pairs or len(self.states) != pairs or not 0 <= self.start < states:
            return False
        inside = all(((one >= 0) & (one < states)).all() for one in (self.shorter, self.states))
        shares = all(((one >= 0) & (one <= 1)).all() for one in (self.left, self.shares))
        keys = bool((np.diff(self.keys) > 0).all()) and (not pairs or self.keys[0] >= 0)
        return inside and shares and keys and (not pairs or self.keys[-1] < states * (symbols + 1))

    def after(self, states: Numbers, symbols: Numbers) -> tuple[Reals, Numbers]:
        """-log p(symbol | state), nats, and the state after it, of each pair; all of the same shape (n,)."""
        probability, share = np.zeros(len(states)), np.ones(len(states))
        found = np.zeros(len(states), np.int64)
        open_ = np.ones(len(states), bool)  # no state after it has been found yet
        unread = np.ones(len(states), bool)  # the empty history is still to come
        at = states
        for _ in range(self.order if len(self.keys) else 0):
            wanted = at * (self.symbols + 1) + symbols + 1
            place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            hit = (self.keys[place] == wanted) & unread
            probability += np.where(hit, share * self.shares[place], 0.0)
            share = np.where(unread, share * self.left[at], share)
            found = np.where(hit & open_, self.states[place], found)
            open_ &= ~hit
            unread &= at != 0
            at = self.shorter[at]
        return -np.log(probability + share / (self.symbols + 1)), found


def _longest(history: tuple[int, ...], order: int, number: dict[tuple[int, ...], int]) -> int:
    """The state of the longest end of a history, of order - 1 symbols at most, that is known."""
    for size in range(min(order - 1, len(history)), 0, -1):
        if (state := number.get(history[-size:])) is not None:
            return state
    return 0
