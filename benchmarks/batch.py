"""Questions per second of `trifold batch`: against its own engine and the transformers 4.57.6 pipeline, in one run.

    make bench
    python benchmarks/batch.py --peer .venv-peer/bin/python [--rows 2000] [--rounds 3] [--peer-rows 400]

The three take turns on the same distinct questions, each run in a process of its own:

engine  computes the windows of the rows, tokenised before the clock starts, in the batches that the job makes of them
batch   `trifold batch IN OUT --json` as a user runs it: the clock of its summary, which runs from the reading of the
        model to the finished output, and the clock of the process as a whole
peer    the pipeline in fp32, on --peer-rows of the rows, evenly over all; loaded and warmed up before the clock starts,
        at the batch size that a first sweep on other rows finds best

The rows are whole passages, drawn with a fixed seed from the set of batch_data.py (needs TRIFOLD_DATA) or from --data.
That set is made of SQuAD's training set, part of which the embedded model was trained on: F1 shows whether the answers
are as good as the peer's, from the same weights, not how good they are on other texts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from peers import SWEPT, WARM_UP, Measured, best_batch, peer, quality
from trifold.engine.device import CPU_BUDGET
from trifold.engine.executor import executor, threads
from trifold.engine.loaded import Loaded, open_model
from trifold.engine.planner import plan
from trifold.jobs.answering import CHUNK
from trifold.models.registry import find
from trifold.task import Limits, Unit
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.evaluation import spread_over

HERE = Path(__file__).parent
FULL, PASSAGES = 100_000, 20_000
WATCH_EVERY = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="Python with torch and transformers 4.57.6")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-rows", type=int, default=400)
    parser.add_argument("--data", type=Path, help="rows with question, passage and answers, instead of SQuAD's")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    if options.data is None and not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (the SQuAD training set is asked).")
    folder = str(find(options.model).path)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        others = SWEPT + WARM_UP
        drawn = whole_passages(read_examples(options.data or full_set(scratch, options.rows + others)))
        if len(drawn) < options.rows + others:
            sys.exit(f"--rows: at most {len(drawn) - others:,}; {others} others are for the sweep and the warm-up.")
        asked, rest = drawn[: options.rows], drawn[options.rows :]
        swept, warm_up = rest[:SWEPT], rest[SWEPT:others]
        shared = spread_over(asked, options.peer_rows)
        rows, answers = write_rows(scratch / "rows.jsonl", asked), scratch / "answers.jsonl"

        print(f"processor: {processor()}; {threads()} threads", flush=True)
        best = best_batch(options.peer, folder, warm_up, swept)
        runs: dict[str, list[Measured]] = {"engine": [], "batch": [], "peer": []}
        for number in range(options.rounds):
            for kind, own in runs.items():
                if kind == "engine":
                    measured = engine(rows, folder)
                elif kind == "batch":
                    measured = batch(rows, answers, folder)
                else:
                    measured = peer(options.peer, folder, best, warm_up, shared)
                own.append(measured)
                count = len(shared if kind == "peer" else asked)
                print(f"round {number + 1}: {kind:8}{count / measured['seconds']:8.1f} q/s", flush=True)
        forced = [e for e in shared if e.golds]
        made = batch(write_rows(scratch / "forced.jsonl", forced), answers, folder, "--set", "always_answer=true")

    report(runs, asked, shared, best)
    found = [answer for answer, e in zip(runs["peer"][0]["answers"], shared, strict=True) if e.golds]
    print(f"F1 on all {len(asked):,} rows, {sum(not e.golds for e in asked):,} of them without an answer: ", end="")
    print(f"batch {quality(runs['batch'][0]['answers'], asked):.2f}")
    print(f"F1 on the {len(forced):,} of the peer's rows that have an answer, where both must answer: ", end="")
    print(f"batch {quality(made['answers'], forced):.2f}, peer {quality(found, forced):.2f}")


def full_set(scratch: Path, at_least: int) -> Path:
    """The file that batch_data.py makes by default, or a larger one."""
    path = scratch / "full.jsonl"
    sizes = ["--rows", str(max(FULL, at_least)), "--passages", str(PASSAGES)]
    subprocess.run([sys.executable, str(HERE / "batch_data.py"), str(path), *sizes], check=True, capture_output=True)
    return path


def whole_passages(examples: Sequence[Example]) -> list[Example]:
    """All examples, those of one passage together, the passages mixed."""
    by_passage: dict[str, list[Example]] = {}
    for example in examples:
        by_passage.setdefault(example.passage, []).append(example)
    mixed = list(by_passage.values())
    random.Random(0).shuffle(mixed)
    return [example for group in mixed for example in group]


def write_rows(path: Path, examples: Sequence[Example]) -> Path:
    with path.open("w", encoding="utf-8") as stream:
        for e in examples:
            stream.write(json.dumps({"id": e.id, "question": e.question, "passage": e.passage}) + "\n")
    return path


def engine(rows: Path, folder: str) -> Measured:
    """One run of `compute` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(compute, rows, folder).result()


def compute(rows: Path, folder: str) -> Measured:
    """The seconds that the engine needs for all windows of the rows, on all cores."""
    loaded = open_model(find(folder))
    session = loaded.session
    assert session is not None
    batches = list(planned(loaded, [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]))

    def run(units: Sequence[Unit]) -> int:
        return len(session.run(units))

    list(executor().map(run, batches[: 2 * threads()]))
    began = time.perf_counter()
    windows = sum(executor().map(run, batches))
    return {"seconds": time.perf_counter() - began, "windows": windows, "batches": len(batches)}


def planned(loaded: Loaded, rows: Sequence[Mapping[str, str]]) -> Iterator[list[Unit]]:
    """The windows of the rows in the batches, and the order, in which the job computes them."""
    for first in range(0, len(rows), CHUNK):
        group: list[Unit] = []
        cost = 0
        for question, passage in dict.fromkeys((r["question"], r["passage"]) for r in rows[first : first + CHUNK]):
            request = loaded.task.check({"question": question, "passage": passage}, Limits())
            units = loaded.task.encode(request).units
            group.extend(units)
            cost += sum(unit.cost for unit in units) or 1
            if cost >= CPU_BUDGET.lookahead:
                yield from ([group[i] for i in one] for one in plan(group, CPU_BUDGET))
                group, cost = [], 0
        yield from ([group[i] for i in one] for one in plan(group, CPU_BUDGET))


def batch(rows: Path, answers: Path, model: str, *options: str) -> Measured:
    """One run of the command. seconds: of its summary; wall: from its start to its end, seen from outside."""
    command = [sys.executable, "-m", "trifold", "batch", str(rows), str(answers), "--json", "--model", model, *options]
    peak = 0.0
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while True:
            try:
                out, err = process.communicate(timeout=WATCH_EVERY)
                break
            except subprocess.TimeoutExpired:
                peak = peak_mb(process.pid) or peak
        wall = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{err}")
    with answers.open(encoding="utf-8") as stream:
        texts = [json.loads(line)["answer"] or "" for line in stream]
    return {"seconds": json.loads(out)["seconds"], "wall": wall, "peak_mb": peak, "answers": texts}


def peak_mb(process: int) -> float | None:
    """The most memory that a process has had so far; None where it has just ended."""
    found = re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[0]) / 1024 if found else None


def processor() -> str:
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return names[0] if names else platform.machine()


def report(runs: dict[str, list[Measured]], asked: Sequence[Example], shared: Sequence[Example], best: int) -> None:
    """Medians, spreads, and the ratios of the job to the two others."""
    one = runs["engine"][0]
    print(f"\nengine and batch: {described(asked)}, {one['windows']:,} windows in {one['batches']:,} batches")
    print(f"peer: {described(shared)} of these, at batch size {best}\n")
    print(f"{'':22}{'q/s':>8}{'lowest':>9}{'highest':>9}{'seconds':>9}{'peak MB':>9}")
    speeds = {
        "engine": row("engine", len(asked), runs["engine"], "seconds"),
        "batch": row("batch, its summary", len(asked), runs["batch"], "seconds"),
        "whole": row("batch, whole process", len(asked), runs["batch"], "wall"),
        "peer": row("peer fp32", len(shared), runs["peer"], "seconds"),
    }
    print(f"\n{'ratio':22}{'median':>8}{'lowest':>9}{'highest':>9}   (of the rounds)")
    for upper, lower in (("batch", "engine"), ("whole", "engine"), ("batch", "peer"), ("whole", "peer")):
        ratios = [a / b for a, b in zip(speeds[upper], speeds[lower], strict=True)]
        name = f"{'batch' if upper == 'batch' else 'whole process'} / {lower}"
        print(f"{name:22}{statistics.median(ratios):8.3f}{min(ratios):9.3f}{max(ratios):9.3f}")
    constant = statistics.median(run["wall"] - run["seconds"] for run in runs["batch"])
    print(f"\nof the whole process, before and after what its summary counts: {constant:.2f} s")


def described(examples: Sequence[Example]) -> str:
    passages = len({e.passage for e in examples})
    length = statistics.mean(len(e.passage) for e in examples)
    return f"{len(examples):,} rows over {passages:,} passages of {length:,.0f} characters"


def row(name: str, count: int, runs: Sequence[Measured], clock: str) -> list[float]:
    """Print a line of the table; the questions per second of each run."""
    seconds = [run[clock] for run in runs]
    speeds = [count / one for one in seconds]
    peak = f"{max(run['peak_mb'] for run in runs):.0f}" if "peak_mb" in runs[0] else "-"
    print(f"{name:22}{statistics.median(speeds):8.1f}{min(speeds):9.1f}{max(speeds):9.1f}", end="")
    print(f"{statistics.median(seconds):9.2f}{peak:>9}")
    return speeds


if __name__ == "__main__":
    main()
