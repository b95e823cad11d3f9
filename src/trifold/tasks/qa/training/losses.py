"""What training makes small: minus the log-likelihood of the right answers under the very model that replies.

All functions take logits of shape (batch, length), float32, and return one value for each window, shape (batch,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Labels",
    "answer_loss",
    "distillation_loss",
    "expected_f1",
    "segment_loss",
    "verdict_loss",
    "verdict_probability",
]

_NEVER = -1e4


@dataclass(frozen=True, slots=True)
class Labels:
    """may_start, may_end: bool, shape (batch, length). starts, ends: token of each gold answer, shape (batch, golds).

    given: which of those entries are golds, the rest being padding. echo: bool, shape (batch, length), tokens that
    stand in the question; verdict: of yes/no questions 1 for yes, 0 for no, else -1, shape (batch,). A window without
    gold and verdict does not say.
    """

    may_start: Tensor
    may_end: Tensor
    starts: Tensor
    ends: Tensor
    given: Tensor
    echo: Tensor
    verdict: Tensor


def candidate_odds(start: Tensor, end: Tensor, labels: Labels, null: int, longest: int) -> Tensor:
    """u of every candidate: (s + e) - (s_null + e_null), shape (batch, length, longest); never where there is none.

    Entry (t, j) is the candidate from token t to t + j.
    """
    import torch

    base = start[:, null] + end[:, null]
    first = torch.where(labels.may_start, start, _NEVER) - base[:, None]
    last = torch.nn.functional.pad(torch.where(labels.may_end, end, _NEVER), (0, longest - 1), value=_NEVER)
    # Slices rather than `unfold`, whose gradient is slow on a CPU.
    return first[:, :, None] + torch.stack([last[:, j : j + end.shape[1]] for j in range(longest)], 2)


def answer_loss(start: Tensor, end: Tensor, labels: Labels, null: int, longest: int) -> Tensor:
    """-log of the summed probability of all gold answers, p = exp(u) / (1 + sum exp(u)) as in `spans`.

    Several golds are alternatives: the model may spread its weight over them as it likes (Clark & Gardner 2018).
    """
    import torch

    odds = candidate_odds(start, end, labels, null, longest).flatten(1)
    total = torch.logsumexp(torch.nn.functional.pad(odds, (1, 0)), 1)  # the null's own u is 0
    own = gold_odds(start, end, labels, null)
    answered = labels.given.any(1)
    # A gold longer than the longest candidate is no part of the total yet.
    long = labels.given & (labels.ends - labels.starts >= longest)
    total = torch.logsumexp(torch.cat([total[:, None], torch.where(long, own, _NEVER)], 1), 1)
    right = torch.logsumexp(torch.where(labels.given, own, _NEVER), 1)
    return total - torch.where(answered, right, torch.zeros_like(right))


def segment_loss(start: Tensor, end: Tensor, labels: Labels, null: int, longest: int) -> Tensor:
    """-log probability of exactly the gold answers among all sets of answers; see `segments`."""
    import torch

    odds = candidate_odds(start, end, labels, null, longest)
    batch, length, _ = odds.shape
    # ending[t]: candidates whose last token is t, by their number of tokens.
    padded = torch.nn.functional.pad(odds, (0, 0, longest - 1, 0), value=_NEVER)
    ending = torch.stack([padded[:, longest - 1 - j : longest - 1 - j + length, j] for j in range(longest)], 2)
    sets = [torch.full((batch,), _NEVER, device=odds.device)] * (longest - 1) + [torch.zeros(batch, device=odds.device)]
    for t in range(length):
        reach = torch.stack(sets[-1 : -longest - 1 : -1], 1) + ending[:, t]
        sets.append(torch.logsumexp(torch.cat([reach, sets[-1][:, None]], 1), 1))
    own = torch.where(labels.given, gold_odds(start, end, labels, null), 0.0).sum(1)
    return sets[-1] - own


def expected_f1(start: Tensor, end: Tensor, labels: Labels, null: int, longest: int) -> Tensor:
    """The F1 that an answer drawn by its probability would have, counted in tokens; where silence is right, its own.

    Between 0 and 1, so that a few rows that are answered wrongly with certainty do not outweigh all others, as they
    do in a mean of logarithms. Where there is an answer, the candidates are compared without the null, whose
    threshold is fitted later.
    """
    import torch

    odds = candidate_odds(start, end, labels, null, longest)
    answered = labels.given.any(1)
    silence = torch.where(answered, _NEVER, 0.0)  # the null's own u is 0
    p = torch.softmax(torch.cat([silence[:, None], odds.flatten(1)], 1), 1)
    first = torch.arange(odds.shape[1], device=odds.device)[:, None, None]
    last = first + torch.arange(longest, device=odds.device)[None, :, None]
    a, b = labels.starts[:, None, None, :], labels.ends[:, None, None, :]
    shared = (torch.minimum(last, b) - torch.maximum(first, a) + 1).clamp(min=0)
    f1 = 2 * shared / ((last - first + 1) + (b - a + 1))
    best = torch.where(labels.given[:, None, None, :], f1, 0.0).amax(3)
    return torch.where(answered, (p[:, 1:] * best.flatten(1)).sum(1), p[:, 0])


def gold_odds(start: Tensor, end: Tensor, labels: Labels, null: int) -> Tensor:
    """u of each gold answer, shape (batch, golds)."""
    base = start[:, null] + end[:, null]
    return start.gather(1, labels.starts) + end.gather(1, labels.ends) - base[:, None]


def verdict_loss(start: Tensor, end: Tensor, labels: Labels, null: int, longest: int) -> Tensor:
    """-log of the summed probability of the candidates that speak for the right verdict; see `verdicts`."""
    import torch

    odds = candidate_odds(start, end, labels, null, longest).flatten(1)
    total = torch.logsumexp(torch.nn.functional.pad(odds, (1, 0)), 1)  # the null's own u is 0
    right = torch.logsumexp(torch.where(_speaking(labels, longest), odds, _NEVER), 1)
    return total - torch.where(labels.verdict >= 0, right, torch.zeros_like(right))


def verdict_probability(start: Tensor, end: Tensor, labels: Labels, null: int, longest: int) -> Tensor:
    """The probability of the right verdict against the other one; where there is none, that of silence."""
    import torch

    odds = candidate_odds(start, end, labels, null, longest).flatten(1)
    every = torch.logsumexp(odds, 1)
    right = torch.logsumexp(torch.where(_speaking(labels, longest), odds, _NEVER), 1)
    return torch.where(labels.verdict >= 0, (right - every).exp(), torch.sigmoid(-every))


def _speaking(labels: Labels, longest: int) -> Tensor:
    """The candidates that speak for a window's right verdict, shape (batch, length * longest)."""
    import torch

    length = labels.echo.shape[1]
    ahead = torch.nn.functional.pad(labels.echo, (0, longest - 1))
    repeated = torch.stack([ahead[:, j : j + length] for j in range(longest)], 2).cumprod(2).bool()
    return (repeated == (labels.verdict == 1)[:, None, None]).flatten(1)


def distillation_loss(start: Tensor, end: Tensor, teacher_start: Tensor, teacher_end: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher || student) of the start and of the end position.

    Distillation (Hinton et al. 2015) of the base itself, so that it forgets less (Li & Hoiem 2016). mask: bool, the
    positions compared.
    """
    import torch

    total = torch.zeros(len(start), device=start.device)
    for student, teacher in ((start, teacher_start), (end, teacher_end)):
        log_q = torch.log_softmax(torch.where(mask, student, _NEVER), 1)
        log_p = torch.log_softmax(torch.where(mask, teacher, _NEVER), 1)
        total = total + (log_p.exp() * (log_p - log_q)).sum(1)
    return total
