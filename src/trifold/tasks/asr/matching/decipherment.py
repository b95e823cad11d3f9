"""Decipherment: the text's phones as hidden states whose sounds are not known yet, found by expectation maximisation.

The phones' bigrams are the text's and stay as they are; only which phone sounds like which cluster is learnt (Knight,
Nair, Rathod & Yamada 2006). It is the floor under the other matchers, and their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Chain, Lengths, Table, best_paths, posteriors

__all__ = ["Deciphered", "decipher", "padded"]

_SMOOTHED = 1e-3


@dataclass(frozen=True, slots=True)
class Deciphered:
    """emissions: p(unit | phone), shape (phones, units). likelihood: log-likelihood of all units, nats."""

    emissions: Table
    likelihood: float
    chain: Chain

    def read(self, utterances: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        """The likeliest phone of each unit of each utterance."""
        units, lengths = padded(utterances)
        return best_paths(self.chain, np.log(self.emissions).T[units], lengths)


def padded(utterances: Sequence[np.ndarray[Any, Any]]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Lengths]:
    """Utterances of units, none of them empty, as one array of shape (B, T), 0 beyond the lengths, and the lengths."""
    lengths = np.array([len(units) for units in utterances], np.int64)
    table = np.zeros((len(utterances), int(lengths.max())), np.int64)
    for row, units in zip(table, utterances, strict=True):
        row[: len(units)] = units
    return table, lengths


def decipher(
    utterances: Sequence[np.ndarray[Any, Any]],
    chain: Chain,
    units: int,
    *,
    restarts: int = 6,
    iterations: int = 60,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Deciphered]:
    """Every restart's result, the likeliest first.

    utterances: numbers of clusters from 0 to units - 1, one for each segment. chain: of the phones of the text.
    """
    table, lengths = padded(utterances)
    inside = np.arange(table.shape[1]) < lengths[:, None]
    states = len(chain.initial)
    seen = np.bincount(table[inside], minlength=units) + 1.0
    found = []
    for restart in range(restarts):
        chance = np.random.default_rng((seed, restart))
        emissions = seen / seen.sum() * chance.gamma(1.0, size=(states, units)) + _SMOOTHED / units
        emissions /= emissions.sum(1, keepdims=True)
        likelihood = -np.inf
        for iteration in range(iterations):
            gamma, _, each = posteriors(chain, np.log(emissions).T[table], lengths)
            counts = np.zeros((units, states))
            np.add.at(counts, table[inside], gamma[inside])
            emissions = counts.T + _SMOOTHED
            emissions /= emissions.sum(1, keepdims=True)
            before, likelihood = likelihood, float(each.sum())
            progress(restart * iterations + iteration + 1, restarts * iterations)
            if likelihood - before < 1e-4 * abs(likelihood) / iterations:
                break
        found.append(Deciphered(emissions, likelihood, chain))
    return sorted(found, key=lambda one: -one.likelihood)
