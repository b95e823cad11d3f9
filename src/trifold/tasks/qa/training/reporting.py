"""What a fine-tuned reader is worth, beside its base, on rows that neither was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from trifold.engine.loaded import Loaded, open_model
from trifold.models.registry import find
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.making.base import Base
from trifold.tasks.qa.measuring.evaluation import Evaluation, evaluate
from trifold.tasks.qa.measuring.report import Report, compare
from trifold.tasks.qa.reader import Reader
from trifold.tasks.qa.training.material import Material
from trifold.tasks.qa.training.watching import Watcher

__all__ = ["measure"]


def measure(
    base: Base, base_name: str, loaded: Loaded, material: Material, facts: Mapping[str, Any], watcher: Watcher
) -> tuple[list[dict[str, Any]], Report | None]:
    """The `metrics` of the manifest, and the report; None where the base is no reader, or nothing is held out."""
    examples: dict[str, Sequence[Example]] = {}
    if material.domain.held_out:
        examples["domain"] = material.domain.held_out
    if material.general:
        examples["general"] = material.general
    new = Reader(loaded)
    after = {name: _evaluated(new, name, rows, material, watcher) for name, rows in examples.items()}
    files = {"domain": facts["data"][0]["file"] + " (held out)", "general": "general questions of trifold"}
    if any(source["role"] == "report" for source in facts["data"]) and material.domain.held_out:
        files["domain"] = next((s["file"] for s in facts["data"][1:2] if s["role"] == "report"), files["domain"])
    metrics = [_metric(files[name], loaded.precision, evaluation) for name, evaluation in after.items()]
    if base.settings is None or not examples:
        return metrics, None
    old = Reader(open_model(find(base_name)))
    before = {name: _evaluated(old, name, rows, material, watcher) for name, rows in examples.items()}
    return metrics, compare(before, after, examples=examples, facts=facts)


def _evaluated(
    reader: Reader, section: str, rows: Sequence[Example], material: Material, watcher: Watcher
) -> Evaluation:
    several = section == "domain" and material.answers == "several"
    top_k = None
    if several and reader.task.settings.answers == "one":
        # A base that ranks gives as many answers as rows of the training data have.
        top_k = round(median(len(row.golds) for row in material.domain.train if row.golds))
    with watcher.stage(f"measure {reader.model} ({section})") as progress:
        return evaluate(reader, rows, several=several, top_k=top_k, progress=progress)


def _metric(data: str, precision: str | None, evaluation: Evaluation) -> dict[str, Any]:
    figures = evaluation.to_dict()
    del figures["model"], figures["questions_per_second"]
    return {"data": data, "always_answer": False, "precision": precision, **figures}
