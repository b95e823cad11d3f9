"""Fine-tuning from a base to a new version: data, training, graphs, calibration, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trifold.engine.loaded import Loaded, open_model
from trifold.errors import MissingExtra
from trifold.jsontext import to_json
from trifold.models.folder import ModelFolder, hash_file, read_folder, write_manifest
from trifold.models.registry import home
from trifold.models.versions import adding
from trifold.tasks.qa.making.base import Base, base_of
from trifold.tasks.qa.making.card import card
from trifold.tasks.qa.making.libraries import libraries
from trifold.tasks.qa.measuring.report import Report
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.training.fitting import fit_calibration
from trifold.tasks.qa.training.material import Material, gather
from trifold.tasks.qa.training.publish import copy_tokenizer, write_graphs
from trifold.tasks.qa.training.reporting import measure
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.training.teaching import Taught, new_settings, teach
from trifold.tasks.qa.training.watching import Watcher
from trifold.training.checkpoints import Checkpoints

__all__ = ["Finetuned", "Order", "finetune"]

_QUANTISED_ON = 300
_NEEDED = 1_000_000_000
"""Bytes of disk that must be free before hours of work begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be made of what.

    data: labelled rows. base: as `making.base.base_of` takes it. name: of the new model. evaluation: rows to report
    on instead of a part of `data`. replay: general rows; None for those that come with trifold. general: whether
    general questions are used at all. command: how it was asked for, for the manifest.
    """

    data: Path
    name: str
    base: str = "default"
    evaluation: Path | None = None
    replay: Path | None = None
    general: bool = True
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    command: str = ""


@dataclass(frozen=True, slots=True)
class Finetuned:
    """The new version, and the report; None where the base could not be measured because it was no reader."""

    folder: ModelFolder
    report: Report | None


def finetune(order: Order, watcher: Watcher, *, resume: bool = False) -> Finetuned:
    """Train, export, calibrate, measure and add a version to the registry.

    resume: go on from the newest checkpoint of the same order, where there is one. Nothing is in the registry before
    everything is done.

    Raises DataError for unfitting rows, InvalidInput for settings and names that cannot be, ModelNotFound and
    WrongTask for the base, UsageError for a checkpoint of another order, EngineError when training goes astray or the
    disk is full, MissingExtra.
    """
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtra("fine-tuning", "train") from error
    began = time.monotonic()
    base = base_of(order.base)
    kind = base.settings.answers if base.settings else "one"
    with watcher.stage("read"):
        material = gather(
            order.data,
            evaluation=order.evaluation,
            replay=order.replay,
            general=order.general,
            answers=kind,
            settings=order.settings,
        )
    for warning in material.warnings:
        watcher.warn(warning)
    with adding(order.name, needed=_NEEDED) as draft:
        checkpoints = Checkpoints(home() / "training" / order.name, _job(order, base, material))
        task = QaTask(draft.full_name, *new_settings(base, material.answers))
        taught = teach(base, task, material, order.settings, checkpoints, watcher, resume=resume)
        draft.path.mkdir(exist_ok=True)
        taught.network.save(draft.path)
        copy_tokenizer(base.path, draft.path)
        with watcher.stage("export"):
            windows = [window.unit for window in taught.windows[:_QUANTISED_ON]]
            graphs = write_graphs(draft.path, taught.task, windows)
        names = {"task": "qa", "name": draft.name, "version": draft.version, "graphs": graphs}
        loaded = open_model(write_manifest(draft.path, {**names, "task_settings": taught.task.settings.to_dict()}))
        task = _calibrated(loaded, taught.task, material, watcher)
        loaded = replace(loaded, task=task)
        facts = {
            **names,
            **_provenance(order, base, material, taught, round(time.monotonic() - began, 1)),
            "task_settings": task.settings.to_dict(),
        }
        measured, report = measure(base, order.base, loaded, material, _told(facts, material, taught), watcher)
        facts["metrics"] = measured
        if report is not None:
            (draft.path / "report.json").write_text(to_json(report.to_dict()) + "\n", encoding="utf-8")
            (draft.path / "report.html").write_text(report.to_html(), encoding="utf-8")
        (draft.path / "README.md").write_text(card(facts, _notes(material)), encoding="utf-8")
        write_manifest(draft.path, facts)
    checkpoints.drop()
    return Finetuned(read_folder(draft.target), report)


def _job(order: Order, base: Base, material: Material) -> dict[str, Any]:
    """Everything that decides what the trained weights are."""
    import torch

    return {
        "base": hash_file(base.path / "model.safetensors"),
        "settings": order.settings.to_dict(),
        "answers": material.answers,
        "data": [[source.role, source.sha256] for source in material.sources],
        "libraries": libraries(),
        "threads": torch.get_num_threads(),
    }


def _calibrated(loaded: Loaded, task: QaTask, material: Material, watcher: Watcher) -> QaTask:
    with watcher.stage("calibrate") as progress:
        calibration = fit_calibration(loaded, material.domain.validation, material.calibration, progress)
    return task.with_calibration(calibration)


def _provenance(order: Order, base: Base, material: Material, taught: Taught, seconds: float) -> dict[str, Any]:
    settings = taught.settings
    rows = len(material.domain.train)
    return {
        "description": f"A reader fine-tuned from {base.name} on {rows:,} rows of {order.data.name}.",
        "license": base.license,
        "base": {
            "name": base.name if base.version is None else f"{base.name}@{base.version}",
            "license": base.license,
            "source": f"given as {order.base!r}",
        },
        "training": {
            "summary": f"{rows:,} rows of {order.data.name}, {taught.best_epoch} of at most {settings.epochs} epochs, "
            f"learning rate {settings.learning_rate:g}, batches of {settings.batch} windows"
            + (f" with {settings.replay:g} general ones for each" if material.replay else "")
            + f"; {taught.share:.0%} of the way from the base to the trained weights.",
            "arguments": settings.to_dict(),
            "seed": settings.seed,
            "seconds": seconds,
            "history": _history(taught),
            "share": taught.share,
            "points": [{"share": point.share, **point.figures} for point in taught.points],
        },
        "calibration_data": {
            "summary": f"{len(material.domain.validation):,} rows of {order.data.name} that were not trained on"
            + (f", with {len(material.calibration):,} general questions" if material.calibration else "")
            + "; none of them is reported on.",
        },
        "data": [source.to_dict() for source in material.sources],
        "libraries": libraries(),
        "git_commit": None,
        "command": order.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _history(taught: Taught) -> list[dict[str, Any]]:
    return [{"epoch": epoch.epoch, "train_loss": epoch.train_loss, **epoch.figures} for epoch in taught.history]


def _told(facts: Mapping[str, Any], material: Material, taught: Taught) -> dict[str, Any]:
    """What the report says of the training."""
    return {
        "title": f"{facts['name']}@{facts['version']} and its base",
        "model": f"{facts['name']}@{facts['version']}",
        "base": facts["base"]["name"],
        "created": facts["created"],
        "command": facts["command"],
        "seconds": facts["training"]["seconds"],
        "arguments": taught.settings.to_dict(),
        "data": facts["data"],
        "warnings": list(material.warnings),
        "history": facts["training"]["history"],
    }


def _notes(material: Material) -> list[str]:
    parts = material.domain
    notes = [
        f"Trained on {len(parts.train):,} rows; {len(parts.validation):,} others chose the epoch and fitted the "
        f"probabilities, and {len(parts.held_out):,} were only measured.",
        "A score is the probability of a right answer among questions like those of the training data. On other texts "
        "it may be too high.",
    ]
    if material.answers == "several":
        notes.append("It gives every answer of a passage, each with the probability of being one.")
    if material.answers == "yes-no":
        notes.append("It answers with yes or no (`verdict`), and quotes what the verdict rests on.")
    return notes + list(material.warnings)
