"""Which runtime and which arithmetic: windows per second of the candidates, on the same windows, in turn.

    python benchmarks/engines.py [--windows 200] [--rounds 3]

Each form computes the same windows of SQuAD 1.1 dev on all cores, longest first. Beside the shipped graphs at several
batch sizes: a dynamic per-tensor int8 graph, for reference (its answers depend on neighbours, so it is not
admissible), and OpenVINO where it is installed (`pip install openvino`). Needs TRIFOLD_DATA and the extra `train`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from trifold.engine.executor import threads
from trifold.engine.loaded import open_model
from trifold.engine.planner import Budget, plan
from trifold.engine.session import Session
from trifold.models.registry import find
from trifold.task import Arrays, Limits, Unit
from trifold.tasks.qa.data.examples import read_examples
from trifold.tasks.qa.measuring.evaluation import spread_over

Run = Callable[[Sequence[Unit]], Sequence[Arrays]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD 1.1 dev is read).")
    units = list(windows(options.windows))
    folder = find("default").path
    with tempfile.TemporaryDirectory() as scratch, forms(folder, Path(scratch)) as candidates:
        exact = [candidates["ONNX Runtime fp32"][0]([unit])[0] for unit in units]
        speeds: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(options.rounds):
            for name, (run, budget) in candidates.items():
                speeds[name].append(measure(run, units, budget))
        print(f"{len(units)} windows of {np.mean([u.cost for u in units]):.0f} tokens, {threads()} threads")
        print(f"{'':42}{'windows/s':>10}{'lowest':>8}{'highest':>9}{'same top':>10}{'moves':>8}")
        for name, (run, _) in candidates.items():
            own = speeds[name]
            found = [run([unit])[0] for unit in units]
            print(
                f"{name:42}{statistics.median(own):10.1f}{min(own):8.1f}{max(own):9.1f}"
                f"{agreement(found, exact):10.3f}{neighbours(run, units, found):8.3f}"
            )
    print("same top: windows whose best start and end are those of fp32")
    print("moves: how far a logit moves when a window is computed in a batch of eight instead of alone")


def windows(count: int) -> Iterator[Unit]:
    """The first window of evenly spaced questions."""
    task = open_model(find("default")).task
    data = read_examples(Path(os.environ["TRIFOLD_DATA"]) / "qa" / "squad-dev-v1.1.json.gz")
    for example in spread_over(data, count):
        request = task.check({"question": example.question, "passage": example.passage}, Limits())
        yield task.encode(request).units[0]


@contextmanager
def forms(folder: Path, scratch: Path) -> Iterator[dict[str, tuple[Run, Budget]]]:
    single, medium, large = Budget(1, 0, 0), Budget(1024, 16, 0), Budget(4096, 32, 0)
    fast, exact = Session(folder / "model.int8.onnx").run, Session(folder / "model.fp32.onnx").run
    yield {
        "ONNX Runtime fp32": (exact, single),
        "ONNX Runtime fp32, batches of 1,024 tokens": (exact, medium),
        "ONNX Runtime fp32, batches of 4,096 tokens": (exact, large),
        "int8, a scale a row (shipped)": (fast, single),
        "int8 shipped, batches of 1,024 tokens": (fast, medium),
        "int8 shipped, batches of 4,096 tokens": (fast, large),
        "int8, dynamic per tensor": (dynamic(folder, scratch), single),
        **openvino(folder, single),
    }


def dynamic(folder: Path, scratch: Path) -> Run:
    """ONNX Runtime's own dynamic quantisation of the fp32 graph."""
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    inline, path = scratch / "inline.onnx", scratch / "dynamic.onnx"
    onnx.save(onnx.load(folder / "model.fp32.onnx"), inline)
    options = onnxruntime.SessionOptions()  # folds Cast and Transpose, which the quantiser cannot look through
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(scratch / "folded.onnx")
    onnxruntime.InferenceSession(str(inline), options, providers=["CPUExecutionProvider"])
    quantize_dynamic(
        scratch / "folded.onnx",
        path,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        reduce_range=True,
        per_channel=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # of the fused operators
    )
    return Session(path).run


def openvino(folder: Path, budget: Budget) -> dict[str, tuple[Run, Budget]]:
    """OpenVINO on the fp32 weights, one stream for each core; nothing where it is not installed."""
    try:
        import openvino as ov
    except ImportError:
        return {}
    try:
        compiled = ov.Core().compile_model(
            folder / "model.fp32.onnx", "CPU", {"NUM_STREAMS": threads(), "INFERENCE_NUM_THREADS": threads()}
        )
    except Exception as error:
        print(f"OpenVINO cannot compile the fp32 graph: {str(error).splitlines()[0]}")
        return {}

    def run(units: Sequence[Unit]) -> list[Arrays]:
        outputs: list[Arrays] = []
        for unit in units:
            request = compiled.create_infer_request()
            result = request.infer({name: array[np.newaxis] for name, array in unit.arrays.items()})
            outputs.append({port.get_any_name(): value[0].copy() for port, value in result.items()})
        return outputs

    return {"OpenVINO fp32": (run, budget)}


def measure(run: Run, units: Sequence[Unit], budget: Budget) -> float:
    """Windows per second on all cores."""
    batches = [[units[i] for i in batch] for batch in plan(units, budget)]
    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(run, batches[:4]))
        began = time.perf_counter()
        list(pool.map(run, batches))
        return len(units) / (time.perf_counter() - began)


def agreement(found: Sequence[Arrays], exact: Sequence[Arrays]) -> float:
    names: Any = ("start_logits", "end_logits")
    return float(
        np.mean([all(a[n].argmax() == b[n].argmax() for n in names) for a, b in zip(found, exact, strict=True)])
    )


def neighbours(run: Run, units: Sequence[Unit], alone: Sequence[Arrays]) -> float:
    """The largest difference of a logit between a window computed alone and in a padded batch of eight."""
    worst = 0.0
    for first in range(0, min(len(units), 64), 8):
        together = run(units[first : first + 8])
        for a, b in zip(alone[first : first + 8], together, strict=True):
            worst = max(worst, *(float(np.abs(a[name] - b[name]).max()) for name in a))
    return worst


if __name__ == "__main__":
    main()
