"""A reader that learns a domain and is held to what it could do before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.qa.settings import Answers
from trifold.tasks.qa.training.features import LabelledWindow
from trifold.tasks.qa.training.losses import (
    Labels,
    answer_loss,
    distillation_loss,
    expected_f1,
    segment_loss,
    verdict_loss,
    verdict_probability,
)
from trifold.tasks.qa.training.network import Network
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.verdicts import VERDICTS
from trifold.training.batches import bucketed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["DOMAIN", "GENERAL", "ReaderLearner"]

DOMAIN, GENERAL = "domain_f1", "general_f1"

_EVALUATED_AT_ONCE = 32
_REPLAY_SEED = 1_000_003
_SILENCE = 0.1
"""Weight of learning silence on the replay. A base that never learnt it has far to go, and would forget on the way."""


_MEANINGS: Mapping[Answers, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "one": (answer_loss, expected_f1),
    "several": (segment_loss, expected_f1),
    "yes-no": (verdict_loss, verdict_probability),
}
"""What training makes small and what is looked at after each epoch, by what the rows' answers mean."""


class ReaderLearner:
    """Implements `training.loop.Learner`.

    domain: windows to learn. replay: general windows, on which the reader is to keep answering as the base does.
    validation, general: windows that are only measured. null: index of the null token. longest: tokens of an answer.
    distil: hold the reader to the base's answers on the replay; else, from a base that cannot answer yet, teach the
    replay's own.
    """

    watched = DOMAIN

    def __init__(
        self,
        network: Network,
        settings: TrainingSettings,
        answers: Answers,
        *,
        domain: Sequence[LabelledWindow],
        replay: Sequence[LabelledWindow],
        validation: Sequence[LabelledWindow],
        general: Sequence[LabelledWindow],
        null: int,
        longest: int,
        distil: bool = True,
        progress: Progress = no_progress,
    ) -> None:
        self.network, self._settings = network, settings
        self._loss, self._merit = _MEANINGS[answers]
        self._domain, self._replay = domain, replay
        self._lengths, self._replay_lengths = (tuple(w.unit.cost for w in part) for part in (domain, replay))
        self._validation, self._general = validation, general
        self._null, self._longest = null, longest
        network.model.eval()  # no dropout: on a CPU its random numbers are a large part of a step
        self._teacher = self._teach(replay, progress) if distil and settings.replay else []

    def trainable(self) -> Mapping[str, torch.nn.Parameter]:
        return self.network.trainable()

    def losses(self, epoch: int, step: int) -> Iterator[Tensor]:
        settings = self._settings
        batch = _batches(self._lengths, settings.batch, settings.seed, epoch)[step]
        size = -(-len(batch) // settings.accumulate)
        for first in range(0, len(batch), size):
            part = [self._domain[i] for i in batch[first : first + size]]
            yield self._labelled_loss(part, self._loss).sum() / len(batch)
        count = round(settings.batch * settings.replay)
        if not self._replay or not count:
            return
        # The replay goes round at its own pace: as many windows a step as the settings say.
        steps = settings.steps(len(self._domain))
        around, at = divmod(epoch * steps + step, -(-len(self._replay) // count))
        replayed = _batches(self._replay_lengths, count, settings.seed + _REPLAY_SEED, around)[at]
        size = -(-len(replayed) // settings.accumulate)
        for first in range(0, len(replayed), size):
            chosen = replayed[first : first + size]
            loss = self._replay_loss(chosen) if self._teacher else self._labelled_loss(self._pick(chosen), answer_loss)
            yield settings.keep * loss.sum() / len(replayed)

    def validate(self) -> Mapping[str, float]:
        """The mean expected F1, 0 to 1, of the domain's validation rows, which decides, and of the general ones."""
        figures = {self.watched: self._right(self._validation, self._merit)}
        if self._general:
            figures[GENERAL] = self._right(self._general, expected_f1)
        return figures

    def _teach(self, windows: Sequence[LabelledWindow], progress: Progress) -> list[tuple[Tensor, Tensor]]:
        """The base's own logits, before anything is learnt."""
        import torch

        order = sorted(range(len(windows)), key=lambda i: windows[i].unit.cost)
        found: dict[int, tuple[Tensor, Tensor]] = {}
        with torch.no_grad():
            for first in range(0, len(order), _EVALUATED_AT_ONCE):
                indices = order[first : first + _EVALUATED_AT_ONCE]
                start, end = self.network.logits([windows[i].unit for i in indices])
                for row, i in enumerate(indices):
                    cost = windows[i].unit.cost
                    found[i] = (start[row, :cost].clone(), end[row, :cost].clone())
                progress(len(found), len(windows))
        return [found[i] for i in range(len(windows))]

    def _labelled_loss(self, windows: Sequence[LabelledWindow], loss: Callable[..., Tensor]) -> Tensor:
        start, end = self.network.logits([window.unit for window in windows])
        labels = _labels(windows, start.shape[1], self.network.device)
        return loss(start, end, labels, self._null, self._longest)

    def _pick(self, indices: Sequence[int]) -> list[LabelledWindow]:
        return [self._replay[i] for i in indices]

    def _replay_loss(self, indices: Sequence[int]) -> Tensor:
        """How far the reader has moved from the base; where there is no answer, how far it is from saying so.

        A base may never have learnt to be silent, and what it would say there is not worth keeping.
        """
        import torch

        windows = self._pick(indices)
        start, end = self.network.logits([window.unit for window in windows])
        teacher_start, teacher_end = torch.zeros_like(start), torch.zeros_like(end)
        mask = torch.zeros(start.shape, dtype=torch.bool, device=start.device)
        for row, i in enumerate(indices):
            cost = self._replay[i].unit.cost
            teacher_start[row, :cost], teacher_end[row, :cost] = self._teacher[i]
            mask[row, :cost] = True
        moved = distillation_loss(start, end, teacher_start, teacher_end, mask)
        labels = _labels(windows, start.shape[1], self.network.device)
        silent = answer_loss(start, end, labels, self._null, self._longest)
        known = torch.tensor([not window.silent for window in windows], device=start.device)
        return torch.where(known, moved, _SILENCE * silent)

    def _right(self, windows: Sequence[LabelledWindow], merit: Callable[..., Tensor]) -> float:
        import torch

        ordered = sorted(windows, key=lambda window: window.unit.cost)
        right = 0.0
        with torch.no_grad():
            for first in range(0, len(ordered), _EVALUATED_AT_ONCE):
                part = ordered[first : first + _EVALUATED_AT_ONCE]
                right += float(self._labelled_loss(part, merit).sum())
        return right / max(len(windows), 1)


@lru_cache(maxsize=4)
def _batches(lengths: tuple[int, ...], size: int, seed: int, epoch: int) -> list[list[int]]:
    return bucketed(lengths, size, seed=seed, epoch=epoch)


def _labels(windows: Sequence[LabelledWindow], length: int, device: str) -> Labels:
    """The labels of a batch, padded to `length`."""
    import torch

    most = max(1, max(len(window.golds) for window in windows))
    flags = np.zeros((3, len(windows), length), bool)
    places = np.zeros((2, len(windows), most), np.int64)
    given = np.zeros((len(windows), most), bool)
    for row, window in enumerate(windows):
        for flag, values in zip(flags, (window.may_start, window.may_end, window.echo), strict=True):
            flag[row, : window.unit.cost] = values
        for at, (first, last) in enumerate(window.golds):
            places[:, row, at], given[row, at] = (first, last), True
    verdicts = np.array([-1 if w.verdict is None else int(w.verdict == VERDICTS[0]) for w in windows])
    arrays = (flags[0], flags[1], places[0], places[1], given, flags[2], verdicts)
    return Labels(*(torch.from_numpy(array).to(device) for array in arrays))
