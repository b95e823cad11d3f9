"""Questions per second: trifold against the transformers 4.57.6 pipeline, in turn, in one run.

    make bench
    python benchmarks/throughput.py --peer .venv-peer/bin/python [--questions 400] [--rounds 3]

Same weights, same distinct SQuAD 1.1 dev questions, a new process for every run, so that no cache is warm. The peer
runs in fp32 at the batch size that a first sweep finds best. Needs TRIFOLD_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trifold.models.registry import find
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.evaluation import spread_over
from trifold.tasks.qa.measuring.metrics import best_over, f1

HERE = Path(__file__).parent
BATCHES = (1, 4, 8, 16, 32)
SWEPT = 120
WARM_UP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="Python with torch and transformers 4.57.6")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD 1.1 dev is asked).")
    data = read_examples(Path(os.environ["TRIFOLD_DATA"]) / "qa" / "squad-dev-v1.1.json.gz")
    chosen = spread_over(data, options.questions + SWEPT + WARM_UP)
    warm_up, swept, asked = chosen[:WARM_UP], chosen[WARM_UP : WARM_UP + SWEPT], chosen[WARM_UP + SWEPT :]
    folder = str(find(options.model).path)

    speed = {n: SWEPT / peer(options.peer, folder, n, warm_up, swept)["seconds"] for n in BATCHES}
    best = max(speed, key=lambda n: speed[n])
    print("peer by batch size:", ", ".join(f"{n}: {s:.1f} q/s" for n, s in speed.items()), flush=True)

    runs: dict[str, list[dict[str, Any]]] = {}
    for number in range(options.rounds):
        for name in ("peer fp32", "trifold int8", "trifold fp32"):
            if name == "peer fp32":
                run = peer(options.peer, folder, best, warm_up, asked)
            else:
                run = trifold(folder, name.split()[1], warm_up, asked)
            runs.setdefault(name, []).append(run)
            print(f"round {number + 1}: {name:12} {len(asked) / run['seconds']:6.1f} q/s", flush=True)
    report(runs, asked, best)


def report(runs: dict[str, list[dict[str, Any]]], asked: Sequence[Example], batch: int) -> None:
    """Medians, spreads, ratios to the peer's median, and the quality of each."""
    print(f"\n{len(asked)} distinct questions a round, each process cold; peer at batch size {batch}\n")
    print(f"{'':14}{'q/s':>8}{'lowest':>9}{'highest':>9}{'ratio':>8}{'F1':>8}{'peak MB':>9}")
    base = statistics.median(len(asked) / run["seconds"] for run in runs["peer fp32"])
    for name, own in runs.items():
        speeds = [len(asked) / run["seconds"] for run in own]
        quality = statistics.mean(
            best_over(f1, answer, [gold.text for gold in example.golds])
            for answer, example in zip(own[0]["answers"], asked, strict=True)
        )
        median = statistics.median(speeds)
        print(
            f"{name:14}{median:8.1f}{min(speeds):9.1f}{max(speeds):9.1f}{median / base:8.2f}{100 * quality:8.2f}"
            f"{max(run['peak_mb'] for run in own):9.0f}"
        )


def trifold(folder: str, precision: str, warm_up: Sequence[Example], asked: Sequence[Example]) -> dict[str, Any]:
    return run([sys.executable, str(HERE / "ask_trifold.py"), folder, precision], warm_up, asked)


def peer(python: Path, folder: str, batch: int, warm_up: Sequence[Example], asked: Sequence[Example]) -> dict[str, Any]:
    return run([str(python), str(HERE / "ask_peer.py"), folder, str(batch)], warm_up, asked)


def run(command: list[str], warm_up: Sequence[Example], asked: Sequence[Example]) -> dict[str, Any]:
    rows = {
        name: [{"question": e.question, "passage": e.passage} for e in examples]
        for name, examples in (("warm_up", warm_up), ("asked", asked))
    }
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
