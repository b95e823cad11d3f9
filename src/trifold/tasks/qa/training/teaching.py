"""The training itself: labelled windows in, trained weights out, as far from the base as pays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.making.base import Base
from trifold.tasks.qa.making.checkpoints import card_facts, settings_of, tokenizer_limits
from trifold.tasks.qa.records import LONGEST_ANSWER
from trifold.tasks.qa.settings import Answers, QaSettings
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.training.features import LabelledWindow, balanced_windows, labelled_windows
from trifold.tasks.qa.training.interpolation import Point, move_to, walk_back
from trifold.tasks.qa.training.learner import DOMAIN, GENERAL, ReaderLearner
from trifold.tasks.qa.training.material import Material
from trifold.tasks.qa.training.network import Network, bf16_is_fast, device_of
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.training.watching import Watcher
from trifold.training.checkpoints import Checkpoints
from trifold.training.loop import Epoch, train

__all__ = ["Taught", "new_settings", "teach"]

_SHARES = (1.0, 0.85, 0.7, 0.55, 0.4)
_TOLERANCE = 0.03
"""How much of the general questions' expected F1 may be lost, from 0 to 1. Part of it is mere hesitation, which costs
no answers: with half of this, general F1 rose after a training that was walked back for its sake."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A trained network and how it came about.

    windows: what it was trained on. points: where on the way back to the base it was measured, see `interpolation`.
    """

    network: Network
    task: QaTask
    settings: TrainingSettings
    windows: Sequence[LabelledWindow]
    history: Sequence[Epoch]
    best_epoch: int
    points: Sequence[Point]

    @property
    def share(self) -> float:
        """How far from the base the weights are, of the way that training took them."""
        return self.points[-1].share if self.points else 1.0


def new_settings(base: Base, answers: Answers) -> tuple[QaTokenizer, QaSettings]:
    """How the new reader reads: as its base, without a calibration yet."""
    tokenizer = QaTokenizer.from_file(base.path / "tokenizer.json")
    if base.settings is None:
        config = json.loads((base.path / "config.json").read_bytes())
        limits, card = tokenizer_limits(base.path / "tokenizer_config.json"), card_facts(base.path / "README.md")
        settings = settings_of(base.name, config, tokenizer, limits, card)
    else:
        settings = base.settings
    return tokenizer, replace(settings, answers=answers, calibration=Calibration())


def teach(
    base: Base,
    task: QaTask,
    material: Material,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    watcher: Watcher,
    *,
    resume: bool,
) -> Taught:
    """Train from the base. Raises as `training.loop.train` does, InvalidInput for a row the model has no room for."""
    with watcher.stage("windows"):
        domain = balanced_windows(task, material.domain.train, silence=settings.silence, seed=settings.seed)
        replay = [w for example in material.replay for w in labelled_windows(task, example)]
        validation = [w for example in material.domain.validation for w in labelled_windows(task, example)]
        general = [w for example in material.kept for w in labelled_windows(task, example) if w.golds]
    settings, plan = settings.planned(len(domain))
    watcher.settle(settings, len(domain), len(replay))
    # With several answers or verdicts the null is one of the outcomes that every row teaches.
    null = task.settings.null or task.settings.answers != "one" or any(w.silent for w in [*domain, *replay])
    task = task.with_settings(replace(task.settings, null=null))
    device = device_of(settings.device)
    network = Network(
        base.path, device=device, bf16=bf16_is_fast(device), seed=settings.seed, apart=task.settings.apart
    )
    if settings.lora:
        network.train_low_rank(settings.lora)
    elif not settings.train_words:
        network.freeze_words()
    with watcher.stage("teacher") as progress:
        learner = ReaderLearner(
            network,
            settings,
            task.settings.answers,
            domain=domain,
            replay=replay,
            validation=validation,
            general=general,
            null=task.null,
            longest=LONGEST_ANSWER,
            distil=base.settings is not None,
            progress=progress,
        )
    weights = learner.trainable()
    begin = {name: weight.detach().clone() for name, weight in weights.items()}
    with watcher.stage("train") as progress:
        history = train(learner, plan, checkpoints, resume=resume, progress=progress, on_epoch=watcher.epoch)
    best = max(history, key=lambda epoch: epoch.figures[DOMAIN]).epoch
    points: Sequence[Point] = ()
    if general and base.settings is not None:
        tuned = {name: weight.detach().clone() for name, weight in weights.items()}

        def measured(share: float) -> Mapping[str, float]:
            move_to(share, weights, begin, tuned)
            return learner.validate()

        with watcher.stage("balance"):
            points = walk_back(measured, _SHARES, GENERAL, history[0].figures[GENERAL] - _TOLERANCE)
    network.merge()
    return Taught(network, task, settings, domain, history, best, points)
