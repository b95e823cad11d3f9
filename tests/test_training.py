"""The training loop: what it learns, when it stops, and that a killed training ends as one that was never stopped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from trifold.errors import EngineError, UsageError  # noqa: E402
from trifold.training.batches import bucketed, padded_length  # noqa: E402
from trifold.training.checkpoints import Checkpoints  # noqa: E402
from trifold.training.loop import Epoch, Plan, train  # noqa: E402


class Line:
    """Learns y = 2x + 1; dies on demand, as a process that is killed between two steps."""

    def __init__(self, dies_at: int | None = None, curve: list[float] | None = None, broken: bool = False) -> None:
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 1)
        self.dies_at, self.curve, self.broken = dies_at, curve, broken
        self.steps = 0

    def trainable(self) -> Mapping[str, Any]:
        return dict(self.layer.named_parameters())

    def losses(self, epoch: int, step: int) -> Iterator[Any]:
        if self.steps == self.dies_at:
            raise KeyboardInterrupt
        self.steps += 1
        chance = torch.Generator().manual_seed(1000 * epoch + step)
        x = torch.randn(8, 3, generator=chance)
        loss = ((self.layer(x) - 2 * x.sum(1, keepdim=True) - 1) ** 2).mean()
        yield loss * math.nan if self.broken else loss / 2
        yield ((self.layer(x) - 2 * x.sum(1, keepdim=True) - 1) ** 2).mean() / 2

    watched = "merit"

    def validate(self) -> Mapping[str, float]:
        if self.curve is not None:
            return {"merit": self.curve.pop(0)}
        x = torch.eye(3)
        return {"merit": -float(((self.layer(x) - 3) ** 2).mean().detach())}


def weights(learner: Line) -> list[float]:
    return [float(v) for p in learner.layer.parameters() for v in p.detach().flatten()]


PLAN = Plan(steps=5, epochs=4, learning_rate=0.1, save_every=0.0)


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    learner = Line()
    seen: list[Epoch] = []
    history = train(learner, PLAN, Checkpoints(tmp_path / "c", {}), on_epoch=seen.append)
    assert [epoch.epoch for epoch in history] == [0, 1, 2, 3, 4]
    assert seen == list(history)
    merits = [epoch.figures["merit"] for epoch in history]
    assert merits[-1] > merits[0] / 3
    assert learner.validate()["merit"] == pytest.approx(max(merits))


@pytest.mark.parametrize("dies_at", [1, 5, 7, 19])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path, dies_at: int) -> None:
    whole = Line()
    curve = train(whole, PLAN, Checkpoints(tmp_path / "whole", {"a": 1}))
    with pytest.raises(KeyboardInterrupt):
        train(Line(dies_at), PLAN, Checkpoints(tmp_path / "killed", {"a": 1}))
    resumed = Line()
    seen: list[Epoch] = []
    again = train(resumed, PLAN, Checkpoints(tmp_path / "killed", {"a": 1}), resume=True, on_epoch=seen.append)
    assert weights(resumed) == weights(whole)
    assert list(again) == list(curve) == seen
    assert resumed.steps == 20 - dies_at


def test_without_resume_it_starts_afresh(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(7), PLAN, Checkpoints(tmp_path, {}))
    afresh = Line()
    train(afresh, PLAN, Checkpoints(tmp_path, {}))
    assert afresh.steps == 20


def test_resume_without_a_checkpoint_starts_afresh(tmp_path: Path) -> None:
    learner = Line()
    train(learner, PLAN, Checkpoints(tmp_path / "none", {}), resume=True)
    assert learner.steps == 20


def test_a_checkpoint_of_another_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(7), PLAN, Checkpoints(tmp_path, {"seed": 0, "data": "abc"}))
    with pytest.raises(UsageError, match=r"seed \(was 0, is 1\)"):
        train(Line(), PLAN, Checkpoints(tmp_path, {"seed": 1, "data": "abc"}), resume=True)


def test_it_stops_when_nothing_gets_better_and_goes_back_to_the_best(tmp_path: Path) -> None:
    learner = Line(curve=[1.0, 7.0, 6.0, 5.0, 9.0])
    history = train(learner, PLAN, Checkpoints(tmp_path, {}))
    assert [epoch.figures["merit"] for epoch in history] == [1.0, 7.0, 6.0, 5.0]
    after_one = Line(curve=[1.0, 7.0])
    train(after_one, Plan(steps=5, epochs=1, learning_rate=0.1), Checkpoints(tmp_path / "b", {}))
    assert weights(learner) != weights(Line())
    assert learner.steps == 15


def test_a_loss_that_is_no_number_ends_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="--learning-rate"):
        train(Line(broken=True), PLAN, Checkpoints(tmp_path, {}))


def test_a_full_disk_ends_with_a_remedy_and_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    real, calls = safetensors.torch.save_file, []

    def full(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(EngineError, match="Free some space"):
        train(Line(), PLAN, Checkpoints(tmp_path, {}))
    found = Checkpoints(tmp_path, {}).newest()
    assert found is not None
    assert found.state["step"] == 3


def test_the_learning_rate_rises_and_falls() -> None:
    plan = Plan(steps=10, epochs=10, learning_rate=1.0)
    rates = [plan.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in {9, 10}
    assert 0 < rates[-1] < 0.02


def test_a_short_decay_leaves_the_length_open() -> None:
    short, long = (Plan(steps=10, epochs=epochs, learning_rate=1.0, warmup=0.0, decay=0.25) for epochs in (4, 6.5))
    assert (short.total, long.total) == (40, 65)
    assert [short.rate(step) for step in range(1, 30)] == [long.rate(step) for step in range(1, 30)] == [1.0] * 29
    falling = [short.rate(step) for step in range(30, 40)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(0.1)


def test_a_part_of_an_epoch_is_trained_and_looked_at(tmp_path: Path) -> None:
    learner = Line()
    plan = Plan(steps=5, epochs=2.4, learning_rate=0.1, save_every=0.0)
    history = train(learner, plan, Checkpoints(tmp_path / "c", {}))
    assert [epoch.epoch for epoch in history] == [0, 1, 2, 3]
    found = Checkpoints(tmp_path / "c", {}).newest()
    assert found is not None
    assert found.state["step"] == plan.total == 12


def test_batches_hold_everything_once_and_like_lengths_together() -> None:
    lengths = [10 + (i * 37) % 300 for i in range(500)]
    batches = bucketed(lengths, 16, seed=3, epoch=1)
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    padded = sum(len(b) * max(lengths[i] for i in b) for b in batches)
    assert padded < 1.1 * sum(lengths)
    assert batches == bucketed(lengths, 16, seed=3, epoch=1)
    assert batches != bucketed(lengths, 16, seed=3, epoch=2)


def test_padding_goes_in_steps() -> None:
    assert [padded_length(n) for n in (1, 32, 33, 64)] == [32, 32, 64, 64]
