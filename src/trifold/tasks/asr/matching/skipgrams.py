"""Matching by skip-grams: phones are to stand at the same distances from each other in the audio as in the text.

Positional unigram and skip-gram matching (PUSM; Wang, Hasegawa-Johnson & Yoo 2023, "A theory of unsupervised speech
recognition"). The expected counts are those of the whole corpus in each step, not of a batch, whose sampling errors
are what the method suffers from. N segments of all utterances together, D features, V phones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.sound.features import Frames

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Linear", "SkipGrams", "match_skipgrams", "skipgrams_of", "text_skipgrams"]


@dataclass(frozen=True, slots=True)
class Linear:
    """What a segment's features say of each phone: logits = features @ weights + bias. loss: how far from the text."""

    weights: Frames
    bias: np.ndarray[Any, np.dtype[np.float32]]
    loss: float

    def logits(self, features: Frames) -> Frames:
        return features @ self.weights + self.bias


@dataclass(frozen=True, slots=True)
class SkipGrams:
    """Joint probabilities of two phones `k` apart, k from 1: shape (K, V, V), each summing to 1.

    positions: of each phone at the first and at the last places of a sentence, counted from its end: (2, P, V).
    """

    pairs: Any
    positions: Any


def text_skipgrams(sentences: Sequence[Sequence[int]], symbols: int, reach: int, places: int) -> SkipGrams:
    """The skip-grams of a text, numpy arrays; sentences of phones from 0 to symbols - 1."""
    pairs = np.zeros((reach, symbols, symbols), np.float64)
    positions = np.full((2, places, symbols), 1e-9)
    for sentence in sentences:
        phones = np.asarray(sentence, np.int64)
        for k in range(1, min(reach, len(phones) - 1) + 1):
            np.add.at(pairs[k - 1], (phones[:-k], phones[k:]), 1.0)
        for at in range(min(places, len(phones))):
            positions[0, at, phones[at]] += 1
            positions[1, at, phones[-1 - at]] += 1
    return SkipGrams(
        pairs / np.maximum(pairs.sum((1, 2), keepdims=True), 1e-9), positions / positions.sum(2, keepdims=True)
    )


def skipgrams_of(shares: Tensor, first: Tensor, last: Tensor, reach: int, places: int) -> SkipGrams:
    """The expected skip-grams of segments, torch tensors.

    shares: p(phone | segment), shape (N, V), utterances one after the other with at least `reach` and `places` rows of
    0 around each. first, last: rows of each utterance's first and last segment, shape (U,).
    """
    import torch

    pairs = torch.stack([shares[:-k].T @ shares[k:] for k in range(1, reach + 1)])
    pairs = pairs / pairs.sum((1, 2), keepdim=True).clamp(min=1e-9)
    # A place beyond an utterance's end is one of the rows of 0.
    starts = torch.stack([shares[first + at].sum(0) for at in range(places)])
    stops = torch.stack([shares[last - at].sum(0) for at in range(places)])
    positions = torch.stack([starts, stops])
    return SkipGrams(pairs, positions / positions.sum(2, keepdim=True).clamp(min=1e-9))


def distance(a: SkipGrams, b: SkipGrams, weight_of_places: float) -> Tensor:
    """Mean L1 distance of the pairs, from 0 to 2, and that of the places with its weight."""
    pairs: Tensor = (a.pairs - b.pairs).abs().sum((1, 2)).mean()
    places: Tensor = (a.positions - b.positions).abs().sum(2).mean()
    return pairs + weight_of_places * places


def match_skipgrams(
    utterances: Sequence[Frames],
    sentences: Sequence[Sequence[int]],
    symbols: int,
    *,
    reach: int = 6,
    places: int = 4,
    weight_of_places: float = 0.2,
    steps: int = 2000,
    rate: float = 0.02,
    restarts: int = 3,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Linear]:
    """The results of all restarts, nearest to the text first.

    utterances: of each the features of its segments, shape (segments, D), normalised. sentences: of phones. steps,
    rate: of Adam, the rate falling to a twentieth in a half cosine; every step sees the whole corpus.
    """
    import torch

    features, inside, first, last = _joined(utterances, max(reach, places))
    text = text_skipgrams(sentences, symbols, reach, places)
    wanted = SkipGrams(*(torch.from_numpy(part).float() for part in (text.pairs, text.positions)))
    found = []
    for restart in range(restarts):
        chance = torch.Generator().manual_seed(seed * 1000 + restart)
        weights = torch.randn(features.shape[1], symbols, generator=chance) / features.shape[1] ** 0.5
        bias = torch.zeros(symbols)
        for part in (weights, bias):
            part.requires_grad_(True)
        optimiser = torch.optim.Adam([weights, bias], lr=rate, betas=(0.9, 0.99))
        loss = torch.zeros(())
        for step, factor in enumerate(_cosine(steps)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            shares = torch.softmax(features @ weights + bias, 1) * inside
            loss = distance(skipgrams_of(shares, first, last, reach, places), wanted, weight_of_places)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            progress(restart * steps + step + 1, restarts * steps)
        found.append(Linear(weights.detach().numpy(), bias.detach().numpy(), float(loss.detach())))
    return sorted(found, key=lambda one: one.loss)


def _cosine(steps: int, least: float = 0.05) -> Iterator[float]:
    for step in range(steps):
        yield least + (1 - least) * 0.5 * (1 + np.cos(np.pi * step / steps))


def _joined(utterances: Sequence[Frames], gap: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All segments in one table with `gap` rows of 0 around each utterance, shape (N, D), which rows are segments,
    bool, shape (N, 1), and the first and last rows of each utterance, shape (U,)."""
    import torch

    empty = np.zeros((gap, utterances[0].shape[1]), np.float32)
    parts, first, last, at = [empty], [], [], gap
    for features in utterances:
        first.append(at)
        last.append(at + len(features) - 1)
        parts += [features, empty]
        at += len(features) + gap
    table = torch.from_numpy(np.concatenate(parts))
    inside = torch.zeros(len(table), 1, dtype=torch.bool)
    for a, b in zip(first, last, strict=True):
        inside[a : b + 1] = True
    return table, inside, torch.tensor(first), torch.tensor(last)
