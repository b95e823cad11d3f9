"""A small network of phones, trained on what their models heard: connectionist temporal classification.

It is told which phones a recording has, in their order, and not when (Graves, Fernández, Gomez & Schmidhuber 2006). It
sees 0.6 s around a frame where the models see one frame with its slopes, and errs elsewhere than they do; so
what both hear together is more often right than what the models hear alone. N frames, V phones, S = V * `STATES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trifold.errors import MissingExtra
from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.pretraining.layers import layers
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.sound.features import Frames

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Network", "trained"]

_WIDTH, _DILATIONS, _STRIDE = 256, (1, 2, 4, 8), 2
_PASSES, _STEPS, _BATCH = 4, 20, 12_000
"""Passes over all recordings, more and it says what it was told; steps of each at least, and frames of a step at
most."""
_RATE, _RISES, _LEAST = 2e-3, 0.1, 0.02
"""Of AdamW; the share of the steps in which it rises, and of it that is left at the end."""
_BETAS, _DECAY, _CLIP = (0.9, 0.98), 0.01, 1.0
_NOISE, _HIDDEN, _EVERY = 0.3, 30, 150
"""Standard deviations that are added to frames; frames that are hidden at most at a place, and frames for each such
place (SpecAugment's in time; Park et al. 2019)."""
_MIXED = 0.1
"""By how much of its length a recording may come too early or too late among those of its length."""
_COMMON = 0.9
"""How much of a phone's share of all frames is taken off it. In full the scores would be of frames given phones, as
Bourlard & Morgan (1994) have it, but for the blank, which most frames are."""
_RAREST = 1e-5


@dataclass(frozen=True, slots=True)
class Network:
    """learner: from frames (B, N, D), on the scale of `mean` and `spread`, to logits (B, N / `_STRIDE`, V + 1), the
    blank last; silence is blank too. common: log share of each in all frames, shape (V + 1,)."""

    learner: nn.Module
    mean: Frames
    spread: Frames
    common: Table

    def scores(self, frames: Frames) -> Table:
        """What speaks for each state in each frame, shape (N, S), as a logarithm, up to a constant of the frame.

        A phone's first state is the phone, those after it are the phone or the blank.
        """
        each = _shares(self.learner, (frames - self.mean) / self.spread) - _COMMON * self.common
        phones, blank = each[:, :-1], each[:, -1:]
        found = np.repeat(np.maximum(phones, blank)[:, :, None], STATES, 2)
        found[:, :, 0] = phones
        found[:, 0] = blank
        flat = found.reshape(len(each), -1) / _STRIDE
        return np.asarray(np.repeat(flat, _STRIDE, 0)[: len(frames)])


def trained(
    recordings: Sequence[Frames],
    phones: Sequence[Sequence[int]],
    symbols: int,
    seed: int,
    progress: Progress = no_progress,
) -> Network | None:
    """recordings: frames of each, shape (N, D). phones: what is heard in each, from 0, which is silence, to
    symbols - 1. Those that are too short for their phones are left out; None where no other is there.

    The same recordings, phones and seed give the same network on the same machine. Raises MissingExtra without torch.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("learning without transcripts", "asr") from error
    from trifold.training.arithmetic import settle_arithmetic

    settle_arithmetic()
    told = [[phone for phone in one if phone] for one in phones]
    # Between two that are the same a blank has to be.
    kept = [i for i, one in enumerate(told) if one and len(recordings[i]) >= 2 * _STRIDE * len(one)]
    if not kept:
        return None
    every = np.concatenate([recordings[i] for i in kept])
    mean, spread = every.mean(0), np.maximum(every.std(0), 1e-3)
    with torch.random.fork_rng(devices=[]):  # the first weights draw from torch's own generator, which is the caller's
        torch.manual_seed(seed)
        learner = torch.nn.Sequential(
            layers(every.shape[1], _WIDTH, _DILATIONS, _STRIDE), torch.nn.Linear(_WIDTH, symbols + 1)
        )
    optimiser = torch.optim.AdamW(learner.parameters(), _RATE, _BETAS, weight_decay=_DECAY)
    chance = np.random.default_rng(seed)
    sizes = [len(one) for one in recordings]
    batches = [one for _ in range(_PASSES) for one in _batches(sizes, kept, min(_BATCH, len(every) // _STEPS), chance)]
    for step, batch in enumerate(batches):
        for group in optimiser.param_groups:
            rises = (step + 1) / (_RISES * len(batches))
            group["lr"] = _RATE * min(1.0, rises) * max(_LEAST, 1 - step / len(batches))
        seen = [_disturbed((recordings[i] - mean) / spread, chance) for i in batch]
        loss = _loss(learner, seen, [told[i] for i in batch], symbols)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), _CLIP)
        optimiser.step()
        progress(step + 1, len(batches))
    shares, frames = np.zeros(symbols + 1), 0
    for i in kept:
        each = np.exp(_shares(learner, (recordings[i] - mean) / spread))
        shares, frames = shares + each.sum(0), frames + len(each)
    return Network(learner, mean, spread, np.log(shares / frames + _RAREST))


def _batches(sizes: Sequence[int], kept: Sequence[int], most: int, chance: np.random.Generator) -> Iterator[list[int]]:
    """Numbers of recordings, each once: those of like length together, of so many frames at most, batches in a random
    order."""
    order = sorted(kept, key=lambda i: sizes[i] * (1 + _MIXED * chance.random()))
    batches: list[list[int]] = [[]]
    for i in order:
        if batches[-1] and sum(sizes[j] for j in batches[-1]) + sizes[i] > most:
            batches.append([])
        batches[-1].append(i)
    for number in chance.permutation(len(batches)).tolist():
        yield batches[number]


def _disturbed(frames: Frames, chance: np.random.Generator) -> Frames:
    """With noise, and some hidden."""
    found = frames + _NOISE * chance.standard_normal(frames.shape, np.float32)
    for _ in range(max(1, round(len(found) / _EVERY))):
        size = int(chance.integers(_HIDDEN))
        first = int(chance.integers(max(1, len(found) - size)))
        found[first : first + size] = 0.0
    return np.asarray(found, np.float32)


def _loss(learner: nn.Module, frames: Sequence[Frames], phones: Sequence[Sequence[int]], blank: int) -> Tensor:
    """-log p(phones | frames) of a network's frame."""
    import torch

    batch = torch.zeros(len(frames), max(map(len, frames)), frames[0].shape[1])
    for row, one in zip(batch, frames, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    sizes = torch.tensor([math.ceil(len(one) / _STRIDE) for one in frames])
    each = learner(batch).log_softmax(2).transpose(0, 1)
    targets = torch.tensor([phone for one in phones for phone in one])
    lengths = torch.tensor([len(one) for one in phones])
    whole = torch.nn.functional.ctc_loss(each, targets, sizes, lengths, blank, reduction="sum", zero_infinity=True)
    return whole / sizes.sum()


def _shares(learner: nn.Module, frames: Frames) -> Table:
    """log p(phone or blank | frames), shape (N / `_STRIDE`, V + 1)."""
    import torch

    with torch.inference_mode():
        logits = learner(torch.from_numpy(np.asarray(frames, np.float32))[None])[0]
        return np.asarray(logits.double().log_softmax(1).numpy())
