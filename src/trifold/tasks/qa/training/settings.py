"""How a reader is fine-tuned: one validated record, whose gaps are filled in by the size of the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from trifold.errors import InvalidInput
from trifold.tasks.qa.settings import Answers
from trifold.training.loop import Plan

__all__ = ["Device", "TrainingSettings"]

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What may be chosen about a training; None is chosen by `filled` from the number of windows.

    answers: what the rows' answers mean; None for as the base has it. epochs: passes over the data at most.
    learning_rate: the highest. batch: windows of the domain in a step. accumulate: parts that a batch is computed in,
    to save memory. replay: windows of general data for each window of the domain. keep: how much the base's own
    answers on general data weigh (see `losses.distillation_loss`). silence: windows without an answer for each one
    with an answer, of passages that have one. lora: rank of the low-rank matrices that are trained instead of the
    weights; 0 for the weights. train_words: whether the word table is trained. validation, held_out: shares of the
    data that choose and that are reported. patience: epochs without improvement before the end. seed: of everything
    random.
    """

    answers: Answers | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int = 16
    accumulate: int = 1
    replay: float = 1.0
    keep: float = 2.0
    silence: float = 1.0
    lora: int = 0
    train_words: bool = False
    validation: float = 0.1
    held_out: float = 0.15
    patience: int = 2
    seed: int = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Raises InvalidInput for what cannot be."""
        _between("epochs", self.epochs, 1, 1000)
        _between("learning_rate", self.learning_rate, 1e-8, 1.0)
        _between("batch", self.batch, 1, 4096)
        _between("accumulate", self.accumulate, 1, self.batch)
        _between("replay", self.replay, 0, 100)
        _between("keep", self.keep, 0, 1000)
        _between("silence", self.silence, 0, 1000)
        _between("lora", self.lora, 0, 1024)
        _between("validation", self.validation, 0.01, 0.5)
        _between("held_out", self.held_out, 0, 0.5)
        _between("patience", self.patience, 1, 1000)
        _between("seed", self.seed, 0, 2**31 - 1)
        if self.device not in get_args(Device):
            raise InvalidInput(f"device: expected one of {', '.join(get_args(Device))}, found {self.device!r}.")

    def planned(self, windows: int) -> tuple[TrainingSettings, Plan]:
        """The same with nothing left open, and the plan, for so many windows of the domain.

        Little data is gone over more often: about 1,250 windows in all, in 2 to 8 epochs.
        """
        epochs = self.epochs or min(8, max(2, round(1250 / max(windows, 1))))
        rate = self.learning_rate or (5e-4 if self.lora else 1e-4)
        plan = Plan(self.steps(windows), epochs, rate, patience=self.patience)
        return replace(self, epochs=epochs, learning_rate=rate), plan

    def steps(self, windows: int) -> int:
        """Steps of an epoch over so many windows of the domain."""
        return -(-windows // self.batch)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _between(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidInput(f"{name}: expected a number from {low:g} to {high:g}, found {value:g}.", field=name)
