"""Matching by skip-grams: phones are to stand at the same distances from each other in the audio as in the text.

Positional unigram and skip-gram matching (PUSM; Wang, Hasegawa-Johnson & Yoo 2023, "A theory of unsupervised speech
recognition"), over units that were found before. Then all that is needed of the recordings is how often which unit
stands how far before which: a step costs the same for an hour and for a hundred, sees everything at once, and many
starts are computed together. U units, V phones, K distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.task import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Matched", "SkipGrams", "distance", "match_skipgrams", "skipgrams_of"]

_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class SkipGrams:
    """Joint probabilities of two symbols `k` apart, k from 1: shape (K, S, S), each summing to 1.

    positions: of each symbol at the first and at the last places of a sequence, counted from its end: (2, P, S).
    """

    pairs: Any
    positions: Any


@dataclass(frozen=True, slots=True)
class Matched:
    """shares: p(phone | unit), shape (U, V). loss: how far from the text, from 0 to 2 or a little more."""

    shares: np.ndarray[Any, np.dtype[np.float32]]
    loss: float


def skipgrams_of(sequences: Sequence[Sequence[int]], symbols: int, reach: int, places: int) -> SkipGrams:
    """Of sequences of symbols from 0 to symbols - 1, float32 arrays."""
    pairs = np.zeros((reach, symbols, symbols))
    positions = np.full((2, places, symbols), _NOTHING)
    for sequence in sequences:
        one = np.asarray(sequence, np.int64)
        for k in range(1, min(reach, len(one) - 1) + 1):
            np.add.at(pairs[k - 1], (one[:-k], one[k:]), 1.0)
        for at in range(min(places, len(one))):
            positions[0, at, one[at]] += 1
            positions[1, at, one[-1 - at]] += 1
    pairs /= np.maximum(pairs.sum((1, 2), keepdims=True), _NOTHING)
    return SkipGrams(pairs.astype(np.float32), (positions / positions.sum(2, keepdims=True)).astype(np.float32))


def distance(sounds: SkipGrams, text: SkipGrams, shares: Tensor, weight_of_places: float) -> Tensor:
    """Mean L1 distance of the pairs and, with its weight, of the places, if units are phones by `shares` (R, U, V).

    Tensors; one number for each of the R: shape (R,).
    """
    found = shares.new_zeros(len(shares))
    turned = shares.transpose(1, 2)
    for units, phones in zip(sounds.pairs, text.pairs, strict=True):
        found = found + (turned @ (units @ shares) - phones).abs().sum((1, 2)) / len(text.pairs)
    placed = sounds.positions @ shares[:, None]
    return found + weight_of_places * (placed - text.positions).abs().sum(3).mean((1, 2))


def match_skipgrams(
    units: Sequence[Sequence[int]],
    sentences: Sequence[Sequence[int]],
    symbols: tuple[int, int],
    *,
    reach: int = 6,
    places: int = 4,
    weight_of_places: float = 0.2,
    steps: int = 300,
    rate: float = 0.2,
    starts: int = 16,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Matched]:
    """The results of all starts, nearest to the text first.

    units: of each utterance. sentences: of phones. symbols: how many units and how many phones there are. steps, rate:
    of Adam, the rate falling to a twentieth in a half cosine.
    """
    import torch

    there = _tensors(skipgrams_of(units, symbols[0], reach, places))
    wanted = _tensors(skipgrams_of(sentences, symbols[1], reach, places))
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(starts, *symbols, generator=chance).requires_grad_(True)
    optimiser = torch.optim.Adam([logits], lr=rate, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        loss = distance(there, wanted, torch.softmax(logits, 2), weight_of_places).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        progress(step + 1, steps)
    with torch.no_grad():
        shares = torch.softmax(logits, 2)
        losses = distance(there, wanted, shares, weight_of_places)
    found = [Matched(one.numpy(), float(loss)) for one, loss in zip(shares, losses, strict=True)]
    return sorted(found, key=lambda one: one.loss)


def _tensors(found: SkipGrams) -> SkipGrams:
    import torch

    return SkipGrams(torch.from_numpy(found.pairs), torch.from_numpy(found.positions))
