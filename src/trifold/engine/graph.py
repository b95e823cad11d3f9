"""One ONNX graph, ready to compute on the thread that calls it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

from trifold.engine.device import providers
from trifold.errors import EngineError, ModelDamaged

__all__ = ["Graph", "Named"]

Named: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""Arrays by name, axis 0 the batch."""

_ERROR_LEVEL = 3


class Graph:
    """A graph that several threads may run at once: each call computes on its own thread, or waits there for the GPU.

    One ONNX Runtime session without threads of its own serves all callers, so that N cores share one copy of the
    weights.
    """

    def __init__(self, path: Path) -> None:
        """Load a graph for the device that models compute on. Raises ModelDamaged when ONNX Runtime cannot read it."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR_LEVEL
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=providers())
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            reason = str(error).splitlines()[0]
            raise ModelDamaged(f"{path}: ONNX Runtime cannot read it ({reason}). Get the model again.") from None
        self.inputs = tuple(entry.name for entry in self._session.get_inputs())
        self.outputs = tuple(entry.name for entry in self._session.get_outputs())

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> Named:
        """All outputs. Raises EngineError when the computation fails."""
        try:
            results = self._session.run(self.outputs, dict(feeds))
        except Exception as error:  # as above
            raise EngineError(f"the model could not be computed: {str(error).splitlines()[0]}") from error
        return dict(zip(self.outputs, results, strict=True))
