"""Decipherment with what the two phones before make likely, of segments that may be halves of phones, or two in one.

Hidden states are pairs of phones (the last one and the one now); a segment may go on with the same phone, and a phone
may have no segment. What follows what is the text's and stays as it is; learnt by expectation maximisation are which
units a phone sounds like and how often its segments are divided. With bigrams the same leads away from the text
(measured: docs/decisions.md). U units, V phones; B utterances, T segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.text.ngrams import BOUNDARY, NGrams

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Following", "Read", "following_of", "reread"]

_SKIPPED = 0.03
"""Share of phones without a segment."""
_DIVIDED = 0.05
_LEAST, _MOST = 0.005, 0.5
_SMOOTHED = 1e-3
_AT_ONCE = 128
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Following:
    """Tensors. first: p(phone at the beginning), (V,). after: p(next | last, now), (V + 1, V, V), where the last row
    of the first axis is the beginning. ends: p(end | last, now), (V + 1, V)."""

    first: Tensor
    after: Tensor
    ends: Tensor


@dataclass(frozen=True, slots=True)
class Read:
    """shares: p(phone | all of the utterance) of each segment, (T, V) for each utterance. likelihood: of a segment."""

    shares: list[np.ndarray[Any, np.dtype[np.float32]]]
    likelihood: float


def following_of(sentences: Sequence[Sequence[int]], phones: int, skipped: float = _SKIPPED) -> Following:
    """Of trigrams of the text, of whose phones a share is skipped now and then."""
    import torch

    model = NGrams.fit(sentences, 3, phones)
    before = [*range(phones), BOUNDARY]
    everything = range(phones)
    first = np.array([model.probability((BOUNDARY, BOUNDARY), w) for w in everything])
    after = np.array([[[model.probability((a, b), w) for w in everything] for b in everything] for a in before])
    ends = np.array([[model.probability((a, b), BOUNDARY) for b in everything] for a in before])
    one = [torch.from_numpy(part).float() for part in (first, after, ends)]
    over = torch.einsum("ijl,jlk->ijk", one[1], one[1][:phones])
    return Following(
        (1 - skipped) * one[0] + skipped * one[0] @ one[1][phones],
        (1 - skipped) * one[1] + skipped * over,
        one[2],
    )


def reread(
    units: Sequence[np.ndarray[Any, np.dtype[np.int64]]],
    shares: np.ndarray[Any, np.dtype[np.float32]],
    following: Following,
    *,
    rounds: int = 8,
    progress: Progress = no_progress,
) -> Read:
    """What the utterances say, after `rounds` of expectation maximisation from p(phone | unit), shape (U, V)."""
    import torch

    seen = torch.from_numpy(np.bincount(np.concatenate(units), minlength=len(shares)).astype(np.float32)) + 1
    sounds = _distributions((torch.from_numpy(shares) * seen[:, None]).T / seen.sum() + 1e-4 / len(shares))
    divided = torch.full((shares.shape[1],), _DIVIDED)
    found: list[np.ndarray[Any, np.dtype[np.float32]]] = [np.zeros((0, shares.shape[1]), np.float32)] * len(units)
    total = 0.0
    for number in range(rounds + 1):
        counts, moved, total = torch.zeros(shares.shape), torch.zeros(shares.shape[1]), 0.0
        for indices, table, lengths in _batches(units):
            scores = sounds.log().T[table].requires_grad_(True)
            stays = divided.clone().requires_grad_(True)
            likelihood = _likelihood(scores, lengths, following, stays).sum()
            # The gradient by a score is the posterior of its state.
            gamma, slope = torch.autograd.grad(likelihood, (scores, stays))
            gamma = gamma * (torch.arange(table.shape[1]) < lengths[:, None])[:, :, None]
            counts.index_add_(0, table.reshape(-1), gamma.reshape(-1, gamma.shape[2]))
            moved += slope
            total += float(likelihood.detach())
            if number == rounds:
                for row, index in enumerate(indices):
                    found[index] = gamma[row, : int(lengths[row])].numpy().copy()
        if number < rounds:
            spoken = counts.sum(0)
            # d/ds of n log s + m log (1 - s), with n + m the times that the phone was there.
            stayed = (divided * (1 - divided) * (moved + spoken / (1 - divided))).clamp(min=0)
            divided = ((stayed + 2) / (spoken + 2 / _DIVIDED)).clamp(_LEAST, _MOST)
            sounds = _distributions(counts.T + _SMOOTHED)
        progress(number + 1, rounds + 1)
    return Read(found, total / max(sum(map(len, units)), 1))


def _likelihood(scores: Tensor, lengths: Tensor, following: Following, stays: Tensor) -> Tensor:
    """Log-likelihood of each utterance, shape (B,). scores: log p(unit | phone), shape (B, T, V)."""
    import torch

    batch, longest, phones = scores.shape
    highest = scores.detach().amax(2)
    heard = torch.exp(scores - highest[:, :, None])
    after = (following.after * (1 - stays)[:, None]).permute(1, 0, 2).contiguous()
    nothing = scores.new_zeros(batch, 1, phones)
    reached = torch.cat([scores.new_zeros(batch, phones, phones), (following.first * heard[:, 0])[:, None]], 1)
    likelihood, found = scores.new_zeros(batch), scores.new_zeros(batch)
    for t in range(longest):
        if t:
            moved = torch.bmm(reached.permute(2, 0, 1), after).permute(1, 0, 2)
            reached = (torch.cat([moved, nothing], 1) + reached * stays) * heard[:, t, None]
        scale = reached.sum((1, 2)) + _TINY
        reached = reached / scale[:, None, None]
        likelihood = likelihood + scale.log() + highest[:, t]
        ending = lengths == t + 1
        if bool(ending.any()):
            ended = (reached * following.ends).sum((1, 2)) + _TINY
            found = torch.where(ending, likelihood + ended.log(), found)
    return found


def _batches(units: Sequence[np.ndarray[Any, Any]]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Utterances of like length together: their indices, units (B, T) and lengths (B,)."""
    import torch

    order = sorted((i for i in range(len(units)) if len(units[i])), key=lambda i: len(units[i]))
    for at in range(0, len(order), _AT_ONCE):
        indices = order[at : at + _AT_ONCE]
        lengths = torch.tensor([len(units[i]) for i in indices])
        table = torch.zeros(len(indices), int(lengths.max()), dtype=torch.long)
        for row, i in zip(table, indices, strict=True):
            row[: len(units[i])] = torch.from_numpy(units[i])
        yield indices, table, lengths


def _distributions(counts: Tensor) -> Tensor:
    return counts / counts.sum(1, keepdim=True)
