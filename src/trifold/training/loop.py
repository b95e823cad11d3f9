"""The training loop: steps, the learning rate's way up and down, validation, early stopping, checkpoints.

Nothing random is kept between steps: what a step needs is drawn from the seed and the step's number. So a training
that was killed and resumed computes what an uninterrupted one does, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trifold.errors import EngineError
from trifold.task import Progress, no_progress
from trifold.training.checkpoints import Checkpoint, Checkpoints
from trifold.training.memory import keep_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Epoch", "Learner", "Plan", "train"]

_CLIP = 1.0


class Learner(Protocol):
    """What learns: its weights, what a step makes small, and how well it does."""

    watched: str

    def trainable(self) -> Mapping[str, torch.nn.Parameter]:
        """The weights that change, by name."""

    def losses(self, epoch: int, step: int) -> Iterator[Tensor]:
        """The parts of one step's loss, each a scalar with its gradient; they add up (gradient accumulation)."""

    def validate(self) -> Mapping[str, float]:
        """Figures for the learning curve; the one called `watched` decides what epoch is kept: the highest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn.

    steps: in each epoch. epochs: the last may be a part of one. warmup: share of all steps in which the learning rate
    rises. decay: share of all steps at the end in which it falls to 0 in a line; None for all after the rise. A short
    decay leaves the length of a training open (Hägele et al. 2024). patience: epochs without improvement before
    training ends. save_every: seconds between checkpoints.
    """

    steps: int
    epochs: float
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.1
    decay: float | None = None
    patience: int = 2
    save_every: float = 30.0

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return round(self.steps * self.epochs)

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        total = self.total
        rising = max(1, math.ceil(self.warmup * total))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        falling = total - rising if self.decay is None else math.ceil(self.decay * total)
        return self.learning_rate * min(1.0, (total - step) / max(1, falling))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of the learning curve; `figures` are those of `Learner.validate`, epoch 0 the state before."""

    epoch: int
    train_loss: float | None
    figures: Mapping[str, float]


@dataclass(slots=True)
class _State:
    """Where a training stands. best_epoch: the epoch whose weights are kept."""

    step: int
    history: list[Epoch]
    best_epoch: int
    losses: list[float]


def train(
    learner: Learner,
    plan: Plan,
    checkpoints: Checkpoints,
    *,
    resume: bool = False,
    progress: Progress = no_progress,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Sequence[Epoch]:
    """Train, and leave the weights of the best epoch in the learner.

    Returns the learning curve. Raises UsageError for a checkpoint of another job, EngineError when the loss is no
    number any more or a checkpoint cannot be written.
    """
    import torch

    keep_memory()
    weights = learner.trainable()
    optimiser = torch.optim.AdamW(weights.values(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
    found = checkpoints.newest() if resume else None
    if found is None:
        checkpoints.begin()
        state = _State(0, [Epoch(0, None, learner.validate())], 0, [])
        best = {name: weight.detach().cpu().clone() for name, weight in weights.items()}
    else:
        state = _restored(found, weights, optimiser)
        best = {name: found.tensors[f"best.{name}"].clone() for name in weights}
    for entry in state.history:
        on_epoch(entry)
    saved = time.monotonic()
    total = plan.total
    while state.step < total and not _stale(state, plan):
        epoch, index = divmod(state.step, plan.steps)
        state.losses.append(_step(learner, optimiser, list(weights.values()), plan, state.step, epoch, index))
        state.step += 1
        progress(state.step, total)
        ends = index + 1 == plan.steps or state.step == total
        if ends:
            entry = Epoch(epoch + 1, sum(state.losses) / len(state.losses), learner.validate())
            state.losses.clear()
            state.history.append(entry)
            on_epoch(entry)
            if entry.figures[learner.watched] > state.history[state.best_epoch].figures[learner.watched]:
                state.best_epoch = entry.epoch
                best = {name: weight.detach().cpu().clone() for name, weight in weights.items()}
        if time.monotonic() - saved >= plan.save_every or ends:
            checkpoints.save(_checkpoint(state, weights, optimiser, best))
            saved = time.monotonic()
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(best[name])
    return state.history


def _step(
    learner: Learner,
    optimiser: torch.optim.Optimizer,
    weights: Sequence[torch.nn.Parameter],
    plan: Plan,
    step: int,
    epoch: int,
    index: int,
) -> float:
    import torch

    for group in optimiser.param_groups:
        group["lr"] = plan.rate(step)
    total = 0.0
    for loss in learner.losses(epoch, index):
        loss.backward()
        total += float(loss.detach())
    if not math.isfinite(total):
        raise EngineError(
            f"the loss of step {step + 1} is {total}: the training went astray. Try a lower --learning-rate."
        )
    torch.nn.utils.clip_grad_norm_(weights, _CLIP)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return total


def _stale(state: _State, plan: Plan) -> bool:
    return len(state.history) - 1 - state.best_epoch >= plan.patience and state.step % plan.steps == 0


def _checkpoint(
    state: _State,
    weights: Mapping[str, torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    best: Mapping[str, Tensor],
) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        moments = optimiser.state[weight]
        tensors[f"weight.{name}"] = weight.detach().cpu().contiguous()
        tensors[f"mean.{name}"] = moments["exp_avg"].cpu().contiguous()
        tensors[f"square.{name}"] = moments["exp_avg_sq"].cpu().contiguous()
        tensors[f"best.{name}"] = best[name].contiguous()
    return Checkpoint(asdict(state), tensors)


def _restored(found: Checkpoint, weights: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer) -> _State:
    """Put a checkpoint's weights and moments back in their places."""
    import torch

    facts: Mapping[str, Any] = found.state
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(found.tensors[f"weight.{name}"])
            optimiser.state[weight] = {
                "step": torch.tensor(float(facts["step"])),
                "exp_avg": found.tensors[f"mean.{name}"].to(weight.device).clone(),
                "exp_avg_sq": found.tensors[f"square.{name}"].to(weight.device).clone(),
            }
    history = [Epoch(e["epoch"], e["train_loss"], e["figures"]) for e in facts["history"]]
    return _State(facts["step"], history, facts["best_epoch"], list(facts["losses"]))
