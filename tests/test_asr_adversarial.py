"""The losses of the adversarial matcher against plain loops over the formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from trifold.tasks.asr.matching.adversarial import (
    GanSettings,
    discriminator,
    diversity,
    generator,
    gradient_penalty,
    joined,
    smoothness,
    verdict_loss,
)

if TYPE_CHECKING:
    from torch import Tensor

LENGTHS = (5, 3, 1)


def inside_of(lengths: tuple[int, ...] = LENGTHS) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def runs_of(best: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for at, phone in enumerate(best):
        if runs and best[runs[-1][0]] == phone:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs


@pytest.mark.parametrize("seed", range(5))
def test_runs_become_one(seed: int) -> None:
    logits, inside = some(3, 5, 2, seed=seed), inside_of()
    mean, kept = joined(logits, inside)
    drawn, kept_too = joined(logits, inside, torch.Generator().manual_seed(seed))
    assert kept.equal(kept_too)
    for row, length in enumerate(LENGTHS):
        runs = runs_of(logits[row, :length].argmax(1).tolist())
        assert kept[row].sum() == len(runs)
        for at, run in enumerate(runs):
            assert torch.allclose(mean[row, at], logits[row, run].mean(0), atol=1e-6)
            assert any(drawn[row, at].equal(logits[row, member]) for member in run)


def test_every_member_of_a_run_is_drawn_as_often() -> None:
    logits = torch.tensor([[[float(i), 100.0] for i in range(4)]])
    chance = torch.Generator().manual_seed(0)
    drawn = [int(joined(logits, inside_of((4,)), chance)[0][0, 0, 0]) for _ in range(400)]
    assert all(60 < drawn.count(i) < 140 for i in range(4))


def test_the_smoothness_and_the_diversity_are_those_of_the_formulas() -> None:
    logits, inside = some(3, 5, 4), inside_of()
    squares = [
        float((logits[b, t + 1, v] - logits[b, t, v]) ** 2)
        for b, length in enumerate(LENGTHS)
        for t in range(length - 1)
        for v in range(4)
    ]
    assert float(smoothness(logits, inside)) == pytest.approx(sum(squares) / len(squares), rel=1e-5)
    shares = logits.softmax(2)
    rows = [shares[b, t] for b, length in enumerate(LENGTHS) for t in range(length)]
    mean = [float(sum(row[v] for row in rows)) / len(rows) for v in range(4)]
    entropy = -sum(p * math.log(p) for p in mean)
    assert float(diversity(shares, inside)) == pytest.approx((4 - math.exp(entropy)) / 4, abs=1e-4)
    only = torch.zeros(1, 5, 4)
    only[..., 2] = 1
    assert float(diversity(only, inside_of((5,)))) == pytest.approx(0.75, abs=1e-4)


def test_the_penalty_is_that_of_the_formula() -> None:
    settings = GanSettings(hidden=7, reach=2)
    torch.manual_seed(0)
    judge = discriminator(4, settings)
    real, made = some(3, 5, 4).softmax(2), some(3, 5, 4, seed=1).softmax(2)
    inside = inside_of((5, 5, 3))
    found = gradient_penalty(judge, real, made, inside, torch.Generator().manual_seed(3))
    share = torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(3))
    between = share * real + (1 - share) * made
    total, step = 0.0, 1e-3
    for b in range(3):
        for v in range(4):
            squares = 0.0
            for t in range(5):
                nudge = torch.zeros_like(between)
                nudge[b, t, v] = step
                with torch.no_grad():
                    slope = (judge(between + nudge, inside) - judge(between - nudge, inside)).sum() / (2 * step)
                squares += float(slope) ** 2
            total += (math.sqrt(squares) - 1) ** 2
    assert float(found.detach()) == pytest.approx(total, rel=1e-3)


def test_padding_changes_no_verdict_and_the_future_none_of_the_past() -> None:
    settings = GanSettings(hidden=7, reach=3)
    torch.manual_seed(0)
    judge = discriminator(4, settings)
    short = some(1, 3, 4).softmax(2)
    padded = torch.cat([short, some(1, 4, 4, seed=9)], 1)
    with torch.no_grad():
        alone = judge(short, inside_of((3,)))
        assert torch.allclose(alone, judge(padded, torch.arange(7)[None] < 3), atol=1e-6)


@pytest.mark.parametrize("normalise", [False, True])
def test_padding_changes_nothing_of_what_is_generated(normalise: bool) -> None:
    settings = GanSettings(normalise=normalise, auxiliary=0.5, dropout=0.0)
    torch.manual_seed(0)
    network = generator(6, 4, 9, settings)
    sounds = some(2, 5, 6)
    inside = inside_of((5, 3))
    sounds[1, 3:] = 0
    logits, clusters = network(sounds, inside)
    assert logits.shape == (2, 5, 4)
    assert clusters is not None
    assert clusters.shape == (2, 5, 9)
    network.eval()
    with torch.no_grad():
        alone = network(sounds[1:, :3], inside[1:, :3])[0]
        assert torch.allclose(alone, network(sounds, inside)[0][1:, :3], atol=1e-5)


def test_verdicts_cost_what_their_cross_entropy_is() -> None:
    scores = torch.tensor([0.0, 2.0])
    assert float(verdict_loss(scores, made=True)) == pytest.approx(math.log(2) + math.log1p(math.exp(-2)))
    assert float(verdict_loss(scores, made=False)) == pytest.approx(math.log(2) + math.log1p(math.exp(2)))
