"""The fastest this machine multiplies matrices, printed as JSON: billions of operations a second.

    .venv-onnxruntime/bin/python benchmarks/speed_peak.py onnxruntime     int8 and fp32: ONNX Runtime
    .venv-peer/bin/python benchmarks/speed_peak.py torch                  bf16: torch

Products of SIDE x SIDE matrices, the best of TRIES. ONNX Runtime: MatMulInteger (uint8 by int8) and MatMul, a product
on one thread for each core at a time. torch: matmul on all cores. A multiplication and its addition count as two.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SIDE, TRIES = 2048, 20
CORES = len(os.sched_getaffinity(0))


def best(product: Callable[[], Any], products: int) -> float:
    product()
    seconds = []
    for _ in range(TRIES):
        began = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - began)
    return products * 2 * SIDE**3 / min(seconds) / 1e9


def of_onnxruntime() -> dict[str, float]:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(0)
    kinds: dict[str, tuple[str, int, int, Any, Any]] = {
        "int8": ("MatMulInteger", TensorProto.UINT8, TensorProto.INT32, np.uint8, np.int8),
        "fp32": ("MatMul", TensorProto.FLOAT, TensorProto.FLOAT, np.float32, np.float32),
    }
    peaks = {}
    for name, (operator, into, out, left, right) in kinds.items():
        weights = numpy_helper.from_array(chance.integers(-60, 60, (SIDE, SIDE)).astype(right), "b")
        graph = helper.make_graph(
            [helper.make_node(operator, ["a", "b"], ["c"])],
            "product",
            [helper.make_tensor_value_info("a", into, [SIDE, SIDE])],
            [helper.make_tensor_value_info("c", out, [SIDE, SIDE])],
            [weights],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feeds = {"a": chance.integers(0, 60, (SIDE, SIDE)).astype(left)}
        with ThreadPoolExecutor(CORES) as pool:

            def product(pool: Any = pool, session: Any = session, feeds: Any = feeds) -> None:
                list(pool.map(lambda _: session.run(None, feeds), range(CORES)))

            peaks[name] = best(product, CORES)
    return peaks


def of_torch() -> dict[str, float]:
    import torch

    a, b = (torch.randn(SIDE, SIDE).to(torch.bfloat16) for _ in range(2))
    return {"bf16": best(lambda: a @ b, 1)}


if __name__ == "__main__":
    print(json.dumps({"onnxruntime": of_onnxruntime, "torch": of_torch}[sys.argv[1]]()))
