"""Makes a reader's model folder of a checkpoint that others trained."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from trifold.engine.session import Session
from trifold.errors import MissingExtra, ModelDamaged, TrifoldError
from trifold.models.adoption import read_config
from trifold.task import Checkpoint, Unit
from trifold.tasks.qa.making.card import card
from trifold.tasks.qa.making.checkpoints import card_facts, license_of, settings_of, tokenizer_limits
from trifold.tasks.qa.making.export import export_reader
from trifold.tasks.qa.making.libraries import libraries
from trifold.tasks.qa.making.weights import place, write_tokenizer, write_weights
from trifold.tasks.qa.settings import QaSettings
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.windows import window_unit

__all__ = ["adopt", "card_of", "read_settings"]

_GRAPHS = ("onnx/model.onnx", "model.onnx")
_TOLERANCE = 1e-3
_TEXT = "The quick brown fox jumps over the lazy dog, and 42 more words follow it. "


def adopt(checkpoint: Checkpoint, folder: Path) -> Mapping[str, Any]:
    """Write config, tokenizer, graph, weights if the graph needs them, and a card; returns the manifest's facts.

    Raises ModelDamaged for what cannot be used, MissingExtra where torch is needed and missing, ModelNotFound when
    files are needed and the hub cannot be reached.
    """
    place(checkpoint.path / "config.json", folder / "config.json", link=False)
    write_tokenizer(checkpoint, folder)
    settings = read_settings(checkpoint, folder)
    tokenizer = QaTokenizer.from_file(folder / "tokenizer.json")
    units = _units(tokenizer, settings.window.length)
    graph, how = _write_graph(checkpoint, folder, units)
    name, _, number = checkpoint.label.partition("@")
    licence = license_of(card_of(checkpoint))
    source = "a folder of this machine" if checkpoint.revision is None else f"Hugging Face hub, {checkpoint.revision}"
    facts: dict[str, Any] = {
        "task": "qa",
        "name": name,
        "version": number,
        "graphs": [graph],
        "description": f"The reader {checkpoint.name}, trained by others, taken over by trifold without training.",
        "license": licence,
        "base": {"name": checkpoint.name, "license": licence, "source": source, "revision": checkpoint.revision},
        "training": {"summary": "by the authors of the base; see its own card."},
        "calibration_data": None,
        "data": [],
        "metrics": [],
        "command": f"trifold models show {checkpoint.name}",
        "git_commit": None,
        "libraries": libraries(),
        "task_settings": settings.to_dict(),
    }
    (folder / "README.md").write_text(card(facts, _notes(settings, how)), encoding="utf-8")
    return facts


def read_settings(checkpoint: Checkpoint, folder: Path) -> QaSettings:
    """How a checkpoint that is a reader is used; folder: where its tokenizer was written. Raises ModelDamaged."""
    return settings_of(
        checkpoint.name,
        read_config(checkpoint),
        QaTokenizer.from_file(folder / "tokenizer.json"),
        tokenizer_limits(folder / "tokenizer_config.json"),
        card_of(checkpoint),
    )


def card_of(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The metadata of a checkpoint's model card; empty when it has none."""
    found = checkpoint.fetch("README.md")
    return card_facts(found[0]) if found else {}


def _write_graph(checkpoint: Checkpoint, folder: Path, units: list[Unit]) -> tuple[dict[str, Any], str]:
    """The graph's entry in the manifest and where it is from: the checkpoint's own if usable, else exported."""
    exportable = all(find_spec(package) for package in ("torch", "transformers", "onnx", "safetensors"))
    here = any((checkpoint.path / name).is_file() for name in _GRAPHS)
    weights_here = any(checkpoint.path.glob("*.safetensors")) or any(checkpoint.path.glob("pytorch_model*.bin"))
    if here or not (exportable and weights_here):  # else there is nothing to download
        for name in _GRAPHS:
            if _take_graph(checkpoint, folder, name, units):
                return {"file": "model.onnx", "precision": "fp32"}, "The graph is the one that its authors published."
    if not exportable:
        if not weights_here:
            checkpoint.fetch(*_GRAPHS, required=True)  # raises when the hub could not be asked
        raise MissingExtra(f"{checkpoint.name} has no ONNX file that can be used, and exporting one", "train")
    write_weights(checkpoint, folder)
    (graph,) = export_reader(folder, (), units[0], int8=False)
    return graph, "The graph was exported from the authors' weights on this machine."


def _take_graph(checkpoint: Checkpoint, folder: Path, name: str, units: list[Unit]) -> bool:
    """Use the checkpoint's own ONNX file, unless it computes something else than a reader does."""
    graphs = checkpoint.fetch(name)
    if not graphs:
        return False
    # What stands beside it are its weights, by the names that exporters give them.
    files = [*graphs, *checkpoint.fetch(f"{name}_data*"), *checkpoint.fetch(f"{name}.data*")]
    for file in files:
        place(file, folder / file.name, link=checkpoint.revision is not None)
    if _is_sound(folder / "model.onnx", units):
        return True
    for file in files:
        (folder / file.name).unlink()
    return False


def _is_sound(graph: Path, units: list[Unit]) -> bool:
    """Whether a graph gives start and end logits for windows of any length that do not depend on their neighbours."""
    try:
        session = Session(graph)
        together = session.run(units)
        for unit, found in zip(units, together, strict=True):
            (alone,) = session.run([unit])
            for output in ("start_logits", "end_logits"):
                expected = np.asarray(alone[output], np.float32)
                if expected.shape != (unit.cost,) or not np.isfinite(expected).all():
                    return False
                margin = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
                if not np.allclose(found[output], expected, rtol=0, atol=margin):
                    return False
    except (TrifoldError, KeyError, IndexError):  # unreadable, other inputs, other outputs
        return False
    return True


def _units(tokenizer: QaTokenizer, longest: int) -> list[Unit]:
    """A short window and one of full length."""
    question = tokenizer.question("What does the fox jump over?")[: longest // 2]
    room = longest - tokenizer.frame.size - len(question)
    passage = tokenizer.passage(_TEXT * (1 + room // 5)).ids[:room]
    if not len(passage):
        raise ModelDamaged("its tokenizer makes no tokens of an English text. Choose another model.")
    return [window_unit(tokenizer.frame, question, part) for part in (passage[: max(1, room // 4)], passage)]


def _notes(settings: QaSettings, how: str) -> list[str]:
    null = (
        "Its name or card says that it was trained on questions without an answer, so it may reply that a passage "
        "does not say."
        if settings.null
        else "Neither name nor card says that it was trained on questions without an answer, so it always answers."
    )
    return [
        "It is not calibrated: its scores order its answers, they are not the probability of being right.",
        null,
        "Its languages are those that its authors' card states; text in other scripts is "
        + ("warned of." if settings.scripts else "not warned of, because the card does not limit them."),
        how,
    ]
