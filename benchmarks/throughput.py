"""Questions per second: trifold against the transformers 4.57.6 pipeline, in turn, in one run.

    make bench
    python benchmarks/throughput.py --peer .venv-peer/bin/python [--questions 400] [--rounds 3]

Same weights, same distinct SQuAD 1.1 dev questions, a new process for every run, so that no cache is warm. The peer
runs in fp32 at the batch size that a first sweep finds best. Needs TRIFOLD_DATA.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from peers import SWEPT, WARM_UP, Measured, best_batch, peer, quality, run
from trifold.models.registry import find
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.evaluation import spread_over

HERE = Path(__file__).parent


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

    best = best_batch(options.peer, folder, warm_up, swept)

    runs: dict[str, list[Measured]] = {}
    for number in range(options.rounds):
        for name in ("peer fp32", "trifold int8", "trifold fp32"):
            if name == "peer fp32":
                measured = peer(options.peer, folder, best, warm_up, asked)
            else:
                measured = trifold(folder, name.split()[1], warm_up, asked)
            runs.setdefault(name, []).append(measured)
            print(f"round {number + 1}: {name:12} {len(asked) / measured['seconds']:6.1f} q/s", flush=True)
    report(runs, asked, best)


def report(runs: dict[str, list[Measured]], asked: Sequence[Example], batch: int) -> None:
    """Medians, spreads, ratios to the peer's median, and the quality of each."""
    print(f"\n{len(asked)} distinct questions a round, each process cold; peer at batch size {batch}\n")
    print(f"{'':14}{'q/s':>8}{'lowest':>9}{'highest':>9}{'ratio':>8}{'F1':>8}{'peak MB':>9}")
    base = statistics.median(len(asked) / one["seconds"] for one in runs["peer fp32"])
    for name, own in runs.items():
        speeds = [len(asked) / one["seconds"] for one in own]
        median = statistics.median(speeds)
        print(
            f"{name:14}{median:8.1f}{min(speeds):9.1f}{max(speeds):9.1f}{median / base:8.2f}"
            f"{quality(own[0]['answers'], asked):8.2f}{max(one['peak_mb'] for one in own):9.0f}"
        )


def trifold(folder: str, precision: str, warm_up: Sequence[Example], asked: Sequence[Example]) -> Measured:
    return run([sys.executable, str(HERE / "ask_trifold.py"), folder, precision], warm_up, asked)


if __name__ == "__main__":
    main()
