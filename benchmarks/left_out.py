"""What the last layers can leave out: answers kept and time, for each number of tokens that ask, and for early exits.

    python benchmarks/left_out.py [--questions 400] [--rounds 5]

Graphs of the shipped weights in fp32 on one thread, in turn, on first windows of SQuAD's training titles that are held
out for choosing. *Asking*: how many tokens ask in the last layer; the candidates are those that the head finds likely
by the states before it. *Exit*: the head reads the states after so many layers. Needs TRIFOLD_DATA and the extra
`train`.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from transformers import AutoModelForQuestionAnswering

from trifold.engine.loaded import open_model
from trifold.engine.session import Session
from trifold.models.registry import find
from trifold.task import Limits, Unit
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.making.bert_graphs import whole_graph
from trifold.tasks.qa.measuring.evaluation import spread_over
from trifold.tasks.qa.measuring.metrics import best_over, f1
from trifold.tasks.qa.training.splits import kept_for_choosing

ASKING = (8, 16, 32, 48, 64)
Span = tuple[int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD's training file is read).")
    torch.set_num_threads(1)
    folder = find("default")
    task = open_model(folder).task
    every = read_examples(Path(os.environ["TRIFOLD_DATA"]) / "qa" / "squad-train-v2.0.json.gz")
    examples = list(spread_over([e for e in every if e.golds and kept_for_choosing(e.title)], options.questions))
    asked = [task.encode(task.check({"question": e.question, "passage": e.passage}, Limits())) for e in examples]
    reader = AutoModelForQuestionAnswering.from_pretrained(
        folder.path, dtype=torch.float32, attn_implementation="eager", use_safetensors=True, local_files_only=True
    ).eval()
    with tempfile.TemporaryDirectory() as scratch:
        sessions = {name: session(graph, Path(scratch) / f"{n}.onnx") for n, (name, graph) in enumerate(forms(reader))}
    units = [encoded.units[0] for encoded in asked]
    spans = {name: [best(one, e.memo) for one, e in zip(units, asked, strict=True)] for name, best in best_of(sessions)}
    seconds = timed(sessions, units[:: max(1, len(units) // 60)], options.rounds)
    print(f"{len(units)} windows of {np.mean([unit.cost for unit in units]):.0f} tokens")
    print(f"{'':22}{'ms a window':>12}{'of all':>8}{'same span':>11}{'F1':>8}")
    for name, own in spans.items():
        same = np.mean([a == b for a, b in zip(own, spans["all layers, all ask"], strict=True)])
        quality = np.mean([quoted(s, e.memo, x) for s, e, x in zip(own, asked, examples, strict=True)])
        share = seconds[name] / seconds["all layers, all ask"]
        print(f"{name:22}{1000 * seconds[name]:12.2f}{share:8.3f}{same:11.2%}{100 * quality:8.2f}")


def forms(reader: Any) -> list[tuple[str, onnx.ModelProto]]:
    made = [("all layers, all ask", whole_graph(reader, None))]
    made += [(f"asking {count}", whole_graph(reader, count)) for count in ASKING]
    layers = reader.base_model.encoder.layer
    for count in (len(layers) - 1, len(layers) - 2):
        shorter = copy.deepcopy(reader)
        shorter.base_model.encoder.layer = torch.nn.ModuleList(list(shorter.base_model.encoder.layer)[:count])
        made.append((f"exit after {count}", whole_graph(shorter, None)))
    return made


def session(graph: onnx.ModelProto, path: Path) -> Session:
    onnx.save(graph, path)
    return Session(path)


def best_of(sessions: dict[str, Session]) -> list[tuple[str, Any]]:
    def by(session: Session) -> Any:
        def best(unit: Unit, memo: Any) -> Span:
            """The likeliest span of a window, as tokens of its passage."""
            (found,) = session.run([unit])
            window, passage = memo.windows[0], memo.passages[0]
            own = slice(window.offset, window.offset + window.size)
            start = np.where(passage.may_start[: window.size], found["start_logits"][own], -1e9)
            end = np.where(passage.may_end[: window.size], found["end_logits"][own], -1e9)
            allowed = np.triu(np.ones((window.size, window.size), bool)) & np.tri(window.size, k=29, dtype=bool)
            first, last = divmod(int(np.where(allowed, start[:, None] + end[None], -np.inf).argmax()), window.size)
            return first, last

        return best

    return [(name, by(session)) for name, session in sessions.items()]


def timed(sessions: dict[str, Session], units: Sequence[Unit], rounds: int) -> dict[str, float]:
    """Seconds a window, the median of the rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, one in sessions.items():
            began = time.perf_counter()
            for unit in units:
                one.run([unit])
            seconds[name].append((time.perf_counter() - began) / len(units))
    return {name: statistics.median(own) for name, own in seconds.items()}


def quoted(span: Span, memo: Any, example: Example) -> float:
    passage = memo.passages[0]
    text = example.passage[passage.starts[span[0]] : passage.ends[span[1]]]
    return best_over(f1, text, [gold.text for gold in example.golds])


if __name__ == "__main__":
    main()
