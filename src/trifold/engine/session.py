"""Runs batches of units through a model's graph, on the thread that calls it; in two stages where units share work."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trifold.engine.graph import Graph, Named
from trifold.engine.planner import Shape, length, shape
from trifold.engine.states import states
from trifold.errors import EngineError, ModelDamaged
from trifold.task import Arrays, Prefix, Unit

__all__ = ["PREFIX", "Session"]

PREFIX = "prefix_"
"""Before the names of a first stage's outputs, where the second stage takes them of a unit's prefix."""

_MASK = "attention_mask"
_numbers = itertools.count()


class Session:
    """A model, ready to run. Safe to call from several threads at once: each call computes on its own thread.

    A model of two stages has a first graph that reads a unit's own arrays and its prefix's, each by itself, and a
    second one that takes what that made of both: each of its inputs is an output of the first, as it is for the
    unit's own part, and behind `PREFIX` for the prefix. What was made of prefixes is remembered (`states`).
    """

    def __init__(self, graph: Path, first: Path | None = None) -> None:
        """Load a graph, and that of the first stage if there is one. Raises ModelDamaged."""
        self._graph = Graph(graph)
        self._first = None if first is None else Graph(first)
        self._number = next(_numbers)
        if self._first is not None:
            made = {*self._first.outputs, *(PREFIX + name for name in self._first.outputs)}
            if missing := sorted(set(self._graph.inputs) - made):
                raise ModelDamaged(
                    f"{graph}: it wants {missing[0]!r}, which {first} does not make. Get the model again."
                )

    def run(self, units: Sequence[Unit]) -> list[Arrays]:
        """The outputs of each unit, each array cut to its unit's length on axis 0, or to that of unit and prefix.

        Where the graph takes an `attention_mask`, shorter units are padded with zeros at the end; else only units of
        the same shape are computed together. Raises EngineError when the computation fails.
        """
        if self._first is None and _MASK in self._graph.inputs:
            return self._together(units)
        alike: dict[Shape, list[int]] = {}
        for index, unit in enumerate(units):
            alike.setdefault(shape(unit), []).append(index)
        if len(alike) == 1:
            return self._together(units)
        found: dict[int, Arrays] = {}
        for indices in alike.values():
            found.update(zip(indices, self._together([units[i] for i in indices]), strict=True))
        return [found[index] for index in range(len(units))]

    def prepare(self, prefix: Prefix) -> Named:
        """What the first stage makes of a prefix: arrays of shape (1, length, ...); remembered."""
        first = self._first
        if first is None:
            raise EngineError("the model has one stage, and was given work of two.")
        feeds = {name: prefix.arrays[name][np.newaxis] for name in first.inputs}
        return states().get((self._number, prefix.key), lambda: first.run(feeds))

    def _together(self, units: Sequence[Unit]) -> list[Arrays]:
        named = self._graph.run(self._feeds(units))
        sizes = [sum(shape(unit)) for unit in units]
        return [{name: array[i, :n] for name, array in named.items()} for i, n in enumerate(sizes)]

    def _feeds(self, units: Sequence[Unit]) -> Named:
        """The inputs of the last stage."""
        first = self._first
        if first is None:
            return self._stacked(units, self._graph)
        prefixes = [unit.prefix for unit in units if unit.prefix is not None]
        if len(prefixes) < len(units):
            raise EngineError("the model has two stages, and was given a unit without a prefix.")
        distinct = {prefix.key: prefix for prefix in prefixes}
        made = {key: self.prepare(prefix) for key, prefix in distinct.items()}
        shared = [made[prefix.key] for prefix in prefixes]
        own = first.run(self._stacked(units, first))
        feeds = {}
        for name in self._graph.inputs:
            if name in own:
                feeds[name] = own[name]
            else:
                parts = [one[name.removeprefix(PREFIX)] for one in shared]
                feeds[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return feeds

    def _stacked(self, units: Sequence[Unit], graph: Graph) -> Named:
        longest = max(length(unit) for unit in units)
        return {name: _stack([unit.arrays[name] for unit in units], longest) for name in graph.inputs}

    def agrees_with(self, probe: Path) -> bool:
        """Whether the graph computes here what it computed where it was made, within the probe's tolerance.

        Raises ModelDamaged when the probe is not one of this graph.
        """
        outputs = self._graph.outputs
        try:
            recorded: Mapping[str, Any] = json.loads(probe.read_bytes())
            expected = {name: np.array(recorded["outputs"][name], np.float32) for name in outputs}
            tolerance = float(recorded["tolerance"])
            found = self.run([self._recorded(recorded)])[0]
            if not tolerance > 0 or any(found[name].shape != expected[name].shape for name in outputs):
                raise ValueError("its shapes or its tolerance do not fit")
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, EngineError) as error:
            raise ModelDamaged(f"{probe}: not a probe of its graph ({error}). Get the model again.") from None
        return all(np.allclose(found[name], expected[name], rtol=0, atol=tolerance) for name in expected)

    def _recorded(self, recorded: Mapping[str, Any]) -> Unit:
        """The unit of a probe."""
        names = self._graph.inputs if self._first is None else self._first.inputs
        arrays = {name: np.array(recorded["inputs"][name], np.int64) for name in names}
        if self._first is None:
            return Unit(arrays, 1)
        shared = {name: np.array(recorded["prefix"][name], np.int64) for name in names}
        return Unit(arrays, 1, Prefix(b"probe", shared))


def _stack(arrays: Sequence[np.ndarray[Any, Any]], longest: int) -> np.ndarray[Any, Any]:
    """One array of shape (units, longest, ...), zero where a unit is shorter."""
    if len(arrays) == 1:
        return arrays[0][np.newaxis]
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked
