"""Runs batches of units through one graph, on the thread that calls it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from trifold.engine.planner import length
from trifold.errors import EngineError, ModelDamaged
from trifold.task import Arrays, Unit

__all__ = ["Session"]

_ERROR_LEVEL = 3


class Session:
    """A graph, ready to run. Safe to call from several threads at once: each call computes on its own thread.

    One ONNX Runtime session without threads of its own serves all callers, so that N cores share one copy of the
    weights.
    """

    def __init__(self, graph: Path) -> None:
        """Load a graph. Raises ModelDamaged when ONNX Runtime cannot read it."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR_LEVEL
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            reason = str(error).splitlines()[0]
            raise ModelDamaged(f"{graph}: ONNX Runtime cannot read it ({reason}). Get the model again.") from None
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [entry.name for entry in self._session.get_outputs()]

    def run(self, units: Sequence[Unit]) -> list[Arrays]:
        """The outputs of each unit, each array cut to its unit's length on axis 0.

        Shorter units are padded with zeros at the end. Raises EngineError when the computation fails.
        """
        lengths = [length(unit) for unit in units]
        feeds = {name: _stack([unit.arrays[name] for unit in units], max(lengths)) for name in self._inputs}
        try:
            results = self._session.run(self._outputs, feeds)
        except Exception as error:  # as above
            raise EngineError(f"the model could not be computed: {str(error).splitlines()[0]}") from error
        named = dict(zip(self._outputs, results, strict=True))
        return [{name: array[i, :n] for name, array in named.items()} for i, n in enumerate(lengths)]

    def agrees_with(self, probe: Path) -> bool:
        """Whether the graph computes here what it computed where it was made, within the probe's tolerance.

        Raises ModelDamaged when the probe is not one of this graph.
        """
        try:
            recorded: Mapping[str, Any] = json.loads(probe.read_bytes())
            arrays = {name: np.array(recorded["inputs"][name], np.int64) for name in self._inputs}
            expected = {name: np.array(recorded["outputs"][name], np.float32) for name in self._outputs}
            tolerance = float(recorded["tolerance"])
            found = self.run([Unit(arrays, 1)])[0]
            if not tolerance > 0 or any(found[name].shape != expected[name].shape for name in self._outputs):
                raise ValueError("its shapes or its tolerance do not fit")
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, EngineError) as error:
            raise ModelDamaged(f"{probe}: not a probe of its graph ({error}). Get the model again.") from None
        return all(np.allclose(found[name], expected[name], rtol=0, atol=tolerance) for name in expected)


def _stack(arrays: Sequence[np.ndarray[Any, Any]], longest: int) -> np.ndarray[Any, Any]:
    """One array of shape (units, longest, ...), zero where a unit is shorter."""
    if len(arrays) == 1:
        return arrays[0][np.newaxis]
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked
