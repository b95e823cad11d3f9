"""From trained weights to a version of the registry: graphs, settings, what a reader of the manifest wants to know."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trifold.engine.session import Session
from trifold.task import Unit
from trifold.tasks.qa.making.export import export_reader
from trifold.tasks.qa.settings import QaSettings
from trifold.tasks.qa.task import QaTask

__all__ = ["asking", "copy_tokenizer", "probe_unit", "write_graphs"]

_TEXT = "The quick brown fox jumps over the lazy dog, and 42 more words follow it."
_ASKING = 48
"""With so many, all of 600 questions of SQuAD's training file kept their best span, and with 16, 99.4 % of them."""
_COMPARED = 100
_AGREEING = 0.85
"""Share of windows whose best start and best end int8 must leave where fp32 has them, to be worth its speed."""


def copy_tokenizer(source: Path, folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def asking(settings: QaSettings) -> int | None:
    """How many tokens ask in the last layer of the fast form: those of one answer, or all where all may be answers."""
    return _ASKING if settings.answers == "one" else None


def probe_unit(task: QaTask) -> Unit:
    """A window whose contents may be published, so short that all of its tokens ask; see `export_reader`."""
    return task.lay_out("What does the fox jump over?", _TEXT)[1][0]


def write_graphs(folder: Path, task: QaTask, windows: Sequence[Unit]) -> list[dict[str, Any]]:
    """Export a checkpoint to fp32 and, where it answers nearly the same, to int8; the `graphs` of the manifest."""
    graphs = export_reader(folder, windows, probe_unit(task), apart=task.settings.apart, asking=asking(task.settings))
    fast, exact = (Session(folder / g["file"], folder / g["first"] if "first" in g else None) for g in graphs)
    if np.mean([_tops(exact, unit) == _tops(fast, unit) for unit in windows[:_COMPARED]]) >= _AGREEING:
        return graphs
    for file in ("model.int8.onnx", "first.int8.onnx", "probe.json"):
        (folder / file).unlink(missing_ok=True)
    return [graph for graph in graphs if graph["precision"] != "int8"]


def _tops(session: Session, unit: Unit) -> tuple[int, int]:
    (output,) = session.run([unit])
    return int(output["start_logits"].argmax()), int(output["end_logits"].argmax())
