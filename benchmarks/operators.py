"""Where the time of one window goes, by ONNX Runtime's own profile: milliseconds and share of each operator.

    python benchmarks/operators.py [--model default] [--precision int8] [--tokens 180] [--runs 60]

One window of random words at a time, on one thread; the median of each node's runs, added up by operator.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime

from trifold.models.registry import find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--tokens", type=int, default=180)
    parser.add_argument("--runs", type=int, default=60)
    options = parser.parse_args()
    folder = find(options.model)
    (graph,) = (g for g in folder.graphs if g.precision == options.precision)
    if graph.first is not None:
        parser.error(f"{folder.version} has two stages, and this profiles one.")
    ids = np.random.default_rng(0).integers(1000, 20_000, (1, options.tokens))
    arrays = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": (np.arange(options.tokens) > 12).astype(np.int64)[np.newaxis],
    }
    with tempfile.TemporaryDirectory() as scratch:
        profile = profiled(folder.path / graph.file, arrays, options.runs, Path(scratch))
    nodes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for event in profile:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"]][event["name"]].append(event["dur"] / 1000)
    spent = {name: sum(statistics.median(runs) for runs in own.values()) for name, own in nodes.items()}
    print(f"{folder.version} {options.precision}, {options.tokens} tokens: {sum(spent.values()):.2f} ms in operators")
    for name, ms in sorted(spent.items(), key=lambda pair: -pair[1]):
        print(f"{name:28}{len(nodes[name]):4} nodes{ms:8.2f} ms{ms / sum(spent.values()):8.1%}")


def profiled(path: Path, arrays: dict[str, np.ndarray], runs: int, scratch: Path) -> list[dict]:  # type: ignore[type-arg]
    """The events of ONNX Runtime's profile."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    settings.enable_profiling = True
    settings.profile_file_prefix = str(scratch / "profile")
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    feeds = {entry.name: arrays[entry.name] for entry in session.get_inputs()}
    for _ in range(runs):
        session.run(None, feeds)
    events: list[dict] = json.loads(Path(session.end_profiling()).read_bytes())  # type: ignore[type-arg]
    return events


if __name__ == "__main__":
    main()
