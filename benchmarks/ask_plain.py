"""A plain graph by plain ONNX Runtime or OpenVINO, each in an environment of its own; see worker.py and plain.py.

A setting is `streams N` (one window batch of N for each core at a time, each on one thread), `together N` (one batch at
a time on all cores; ONNX Runtime only) or `streams N by M` (lengths rounded up to multiples of M).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from plain import Feeds, Logits, Reading
from worker import measure

CORES = len(os.sched_getaffinity(0))
OUTPUTS = ["start_logits", "end_logits"]


def main(runtime: str, precision: str, folder: str, graph: str) -> None:
    engine: OnnxRuntime | OpenVino = (OnnxRuntime if runtime == "onnxruntime" else OpenVino)(graph, precision)
    reading = Reading(folder, engine.compute)

    def configure(setting: str) -> None:
        how, batch, *rounded = setting.split()
        engine.together = how == "together"
        reading.batch, reading.multiple = int(batch), int(rounded[1]) if rounded else 1

    measure(reading.ask, configure)


class OnnxRuntime:
    together = False

    def __init__(self, graph: str, precision: str) -> None:
        import onnxruntime

        def session(threads: int) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

        assert precision == "fp32"
        self._alone, self._all = session(1), session(CORES)
        self._pool = ThreadPoolExecutor(CORES)

    def compute(self, batches: Sequence[Feeds]) -> list[Logits]:
        if self.together:
            return [tuple(self._all.run(OUTPUTS, feeds)) for feeds in batches]
        return list(self._pool.map(lambda feeds: tuple(self._alone.run(OUTPUTS, feeds)), batches))


class OpenVino:
    together = False

    def __init__(self, graph: str, precision: str) -> None:
        import openvino

        self._async_queue = openvino.AsyncInferQueue
        hint = {"fp32": "f32", "bf16": "bf16"}[precision]
        self._compiled = openvino.Core().compile_model(
            graph,
            "CPU",
            {"NUM_STREAMS": CORES, "INFERENCE_NUM_THREADS": CORES, "INFERENCE_PRECISION_HINT": hint},
        )
        print("precision:", self._compiled.get_property("INFERENCE_PRECISION_HINT"), file=sys.stderr)

    def compute(self, batches: Sequence[Feeds]) -> list[Logits]:
        results: list[Logits | None] = [None] * len(batches)

        def keep(request: Any, index: int) -> None:
            results[index] = tuple(request.get_tensor(name).data.copy() for name in OUTPUTS)

        queue = self._async_queue(self._compiled, CORES)
        queue.set_callback(keep)
        for index, feeds in enumerate(batches):
            queue.start_async(feeds, index)
        queue.wait_all()
        return [one for one in results if one is not None]


if __name__ == "__main__":
    main(*sys.argv[1:])
