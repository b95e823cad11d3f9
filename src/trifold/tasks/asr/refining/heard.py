"""What is said in each frame when the two phones before are taken into account: posteriors of states with trigrams.

Hidden states are a phone's state together with the phone before it. Computed batch by batch in torch. V phones,
S = V * `STATES`; B utterances, T frames.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.matching.trigrams import Following
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.refining.told import STAYS, Told
from trifold.tasks.asr.sound.features import Frames

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Heard", "Relearnt", "hear", "relearnt"]

_WORKERS = min(4, os.cpu_count() or 1)
_MEMORY = 6e8
_BYTES = 4
"""Of memory for a batch, and for each of its frames and states with the phone before it."""
_MOST_AT_ONCE = 32
_TINY = 1e-30
_LEAST, _UNLIKELIEST = 1e-12, -15.0
"""Of a state's share so far, and of a frame's scaled score beside the best one's. Products of less would be numbers
that processors compute with far more slowly (denormal ones): synthetic voices are as sure as that."""
_STAYS_AT_FIRST = 0.6


@dataclass(frozen=True, slots=True)
class Heard:
    """indices: of utterances. shares: p(state | all of the utterance), shape (T, S) each. stayed: how often each state
    was followed by itself, shape (S,). likelihood: log, of all of them together."""

    indices: list[int]
    shares: list[Frames]
    stayed: Table
    likelihood: float


@dataclass(frozen=True, slots=True)
class Relearnt:
    """told: models of the phones after a round. heard: how often each phone was heard in it, shape (V,)."""

    told: Told
    heard: Table


def hear(told: Told, following: Following, utterances: Sequence[Frames], scale: float) -> Iterator[Heard]:
    """Batches of utterances of like length; those too short for one phone are left out.

    scale: how much a frame's score counts beside the trigrams.
    """
    import torch

    # Batches side by side: of steps as small as these, threads within one wait for each other most of the time.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(_WORKERS) as pool:
            waiting: deque[Future[Heard]] = deque()
            for indices in _batches(utterances, len(told.stays) // STATES):
                waiting.append(pool.submit(_heard, told, following, utterances, indices, scale))
                if len(waiting) > _WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(threads)


def _heard(told: Told, following: Following, utterances: Sequence[Frames], indices: list[int], scale: float) -> Heard:
    import torch

    with torch.inference_mode():
        lengths = [len(utterances[i]) for i in indices]
        scores = torch.zeros(max(lengths), len(indices), len(told.stays))
        for row, i in enumerate(indices):
            own = scale * told.sounds.scores(told.seen(utterances[i]))
            scores[: len(own), row] = torch.from_numpy(own.astype(np.float32))
        gamma, stayed, likelihood = _posteriors(scores, torch.tensor(lengths), told.stays, following)
        shares = [gamma[:length, row].numpy() for row, length in enumerate(lengths)]
        return Heard(indices, shares, stayed, likelihood)


def relearnt(
    told: Told,
    following: Following,
    utterances: Sequence[Frames],
    scale: float,
    estimate: Callable[[Mixtures, Totals], Mixtures],
    progress: Progress = no_progress,
) -> Relearnt:
    """After one round of expectation maximisation. estimate: new distributions from those before and what
    frames add up to in them.
    """
    totals = Totals.zero(*told.sounds.means.shape)
    stayed, times = np.zeros_like(told.stays), np.zeros_like(told.stays)
    done = 0
    for heard in hear(told, following, utterances, scale):
        for i, shares in zip(heard.indices, heard.shares, strict=True):
            frames = told.seen(utterances[i])
            totals.add(frames, told.sounds.components(frames, shares))
            times += shares.sum(0)
        stayed += heard.stayed
        done += len(heard.indices)
        progress(done, len(utterances))
    progress(len(utterances), len(utterances))
    stays = np.clip((stayed + 2 * _STAYS_AT_FIRST) / (times + 2), *STAYS)
    # Each time that a phone is heard, its first state is left once.
    return Relearnt(replace(told, sounds=estimate(told.sounds, totals), stays=stays), (times - stayed)[::STATES])


def _batches(utterances: Sequence[Frames], phones: int) -> Iterator[list[int]]:
    """Of like length, and so many at once as fit into memory."""
    room = int(_MEMORY / (_BYTES * STATES * phones**2))
    long = [i for i in range(len(utterances)) if len(utterances[i]) >= STATES]
    batch: list[int] = []
    for i in sorted(long, key=lambda i: len(utterances[i])):
        if batch and (len(batch) == _MOST_AT_ONCE or (len(batch) + 1) * len(utterances[i]) > room):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _posteriors(scores: Tensor, lengths: Tensor, stays: Table, following: Following) -> tuple[Tensor, Table, float]:
    """p(state | all of the utterance), shape (T, B, S), how often each state stayed, (S,), and the log-likelihood.

    scores: scaled log p(frame | state), (T, B, S). Forward and backward as in Rabiner (1989), scaled as there; axes of
    what is reached: utterance, state of the phone, the phone before (the last one is the beginning), the phone.
    """
    import torch

    longest, batch, states = scores.shape
    phones = states // STATES
    stay = torch.from_numpy(stays.astype(np.float32)).reshape(phones, STATES).T[:, None].contiguous()
    leave = 1 - stay
    highest = scores.amax(2)
    heard = torch.exp((scores - highest[:, :, None]).clamp_(min=_UNLIKELIEST))
    heard = heard.reshape(longest, batch, phones, STATES).permute(0, 1, 3, 2)[:, :, :, None].contiguous()
    ahead = following.after.permute(1, 0, 2).contiguous()  # now, last, next
    back = ahead.permute(0, 2, 1).contiguous()
    reached = scores.new_zeros(longest, batch, STATES, phones + 1, phones)
    scales = scores.new_ones(longest, batch)
    reached[0, :, 0, -1] = following.first * heard[0, :, 0, 0]
    for t in range(longest):
        now = reached[t]
        if t:
            before = reached[t - 1]
            torch.mul(before, stay, out=now)
            now[:, 1:] += before[:, :-1] * leave[:-1]
            now[:, 0, :-1] += torch.bmm((before[:, -1] * leave[-1]).permute(2, 0, 1), ahead).permute(1, 0, 2)
            now *= heard[t]
        scales[t] = now.sum((1, 2, 3)) + _TINY
        now *= (1 / scales[t])[:, None, None, None]
        now += _LEAST
    rows = torch.arange(batch)
    ending = leave[-1] * following.ends
    ended = (reached[lengths - 1, rows, -1] * ending).sum((1, 2)) + _TINY
    inside = torch.arange(longest)[:, None] < lengths
    likelihood = float((((scales.log() + highest) * inside).sum(0) + ended.log()).sum())
    gamma = scores.new_zeros(longest, batch, STATES, phones)
    stayed = scores.new_zeros(STATES, phones)
    # after_it[t] is p(what follows t | state at t) over p(what follows t | all until t).
    after_it = scores.new_zeros(batch, STATES, phones + 1, phones)
    for t in range(longest - 1, -1, -1):
        if t + 1 < longest:
            weight = inside[t + 1] / scales[t + 1]
            coming = after_it.mul_(heard[t + 1]).mul_(weight[:, None, None, None])
            after_it = coming * stay
            stayed += (reached[t] * after_it).sum((0, 2))
            after_it[:, :-1] += coming[:, 1:] * leave[:-1]
            entered = torch.bmm(coming[:, 0, :-1].permute(1, 0, 2), back)  # now, utterance, last
            after_it[:, -1] += entered.permute(1, 2, 0) * leave[-1]
        for row in torch.nonzero(lengths == t + 1).flatten().tolist():
            after_it[row] = 0
            after_it[row, -1] = ending / ended[row]
        gamma[t] = (reached[t] * after_it).sum(2)
    return (
        gamma.permute(0, 1, 3, 2).reshape(longest, batch, states),
        np.asarray(stayed.T.reshape(-1).numpy(), np.float64),
        likelihood,
    )
