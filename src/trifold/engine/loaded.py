"""A model version that is ready to answer: its task and the session that computes it."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from typing import Any

from trifold.engine.device import device
from trifold.engine.session import Session
from trifold.errors import InvalidInput, ModelDamaged
from trifold.models.folder import Graph, ModelFolder
from trifold.plugins import plugin_for
from trifold.task import Task

__all__ = ["Loaded", "open_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One model version, immutable; exchanged as a whole.

    session is None for a task that computes nothing (its requests encode to no units). digest: SHA-256 over the model's
    files and its precision, in hexadecimal: where it is equal, so are the replies. folder: where it was loaded from.
    """

    version: str
    task: Task[Any, Any]
    session: Session | None
    precision: str | None
    digest: str
    folder: ModelFolder | None = None


def open_model(folder: ModelFolder, precision: str | None = None) -> Loaded:
    """Load a model.

    precision: one of the folder's graphs by its precision; by default the first one whose arithmetic is right on
    this processor, and on a GPU the exact one, since int8 is written for processors.

    Raises ModelDamaged when a file is missing or altered, InvalidInput for a precision that the model lacks.
    """
    folder.verify()
    plugin = plugin_for(folder.task)
    task = plugin.open(folder.path, folder.version, folder.task_settings)
    if not folder.graphs:
        return Loaded(folder.version, task, None, None, _digest(folder, None), folder)
    session, chosen = _open_graph(folder, precision)
    return Loaded(folder.version, task, session, chosen.precision, _digest(folder, chosen.precision), folder)


def _digest(folder: ModelFolder, precision: str | None) -> str:
    facts = (folder.version, folder.task, folder.task_settings, folder.manifest["files"], precision)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _open_graph(folder: ModelFolder, precision: str | None) -> tuple[Session, Graph]:
    if precision is not None:
        for graph in folder.graphs:
            if graph.precision == precision:
                return _session(folder, graph), graph
        known = ", ".join(graph.precision for graph in folder.graphs)
        raise InvalidInput(f"{folder.version} has no {precision!r} graph (it has: {known}).", field="precision")
    graphs = folder.graphs
    if device() == "cuda":
        graphs = tuple(sorted(graphs, key=lambda graph: graph.precision == "int8"))
    for graph in graphs:
        session = _session(folder, graph)
        if graph.probe is None or session.agrees_with(folder.path / graph.probe):
            return session, graph
        warnings.warn(
            f"{folder.version}: its {graph.precision} graph computes other values on this processor than where it "
            "was made; the next, slower one is used.",
            RuntimeWarning,
            stacklevel=2,
        )
    raise ModelDamaged(
        f"{folder.version}: no graph computes on this processor what it computed where it was made. "
        "Export the model again on this machine."
    )


def _session(folder: ModelFolder, graph: Graph) -> Session:
    return Session(folder.path / graph.file, None if graph.first is None else folder.path / graph.first)
