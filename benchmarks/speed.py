"""Questions a second of trifold and of its peers, in turn, on the same weights and questions.

    make bench
    python benchmarks/speed.py [--mix short,squad,long,five,shared] [--questions 200] [--rounds 3] [--quick]
    python benchmarks/speed.py --also "2 apart"=FOLDER     other models of trifold beside it
    python benchmarks/speed.py --growth [--long]      the cost as work grows
    python benchmarks/speed.py --start                from the start of the process to the first answer

The candidates, each in an environment of its own (the Makefile makes them): trifold in int8, as shipped, and in fp32;
the transformers 4.57.6 pipeline in fp32 and bf16; and a plain fp32 export of the same weights by plain ONNX Runtime and
by OpenVINO in fp32 and bf16 (plain.py is the loop around it). Each peer runs at the setting that a sweep on other rows
finds fastest for the mix. A round is a new process for each candidate, loaded and warmed up on other rows, so that no
cache holds anything of the rows timed; within it the mixes are asked one after the other, and each by all candidates in
turn. Where the rest of the machine, or the host of a virtual one, takes more than --calm of the cores, the run is made
again in a new process, and the less disturbed one counts.

All must answer every question. F1 is that of the rows timed: it shows that the answers are as good, not how good they
are, and no setting is chosen by it. Needs TRIFOLD_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from batch import processor
from peers import Measured
from speed_growth import print_growth, print_start
from speed_mixes import MIXES, Mix, mixes
from speed_report import print_mix, print_peaks
from speed_workers import Candidate, Worker, calmest, candidates, disturbance, exported, peaks
from trifold.models.registry import find
from trifold.tasks.qa.data.examples import Example

HERE = Path(__file__).parent
ROOT = HERE.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", default=",".join(MIXES), help="which mixes, such as squad,long")
    parser.add_argument("--only", default="", help="candidates whose names have one of these words, such as trifold")
    parser.add_argument("--questions", type=int, default=200, help="of each mix; long has one for every 25 of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=9, help="after which no new round begins")
    parser.add_argument("--calm", type=float, default=0.05, help="share of all cores that others may take meanwhile")
    parser.add_argument("--quick", action="store_true", help="one small round, to see that everything runs")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--long", action="store_true", help="with --growth: 100,000 questions too")
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--model", default="default")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=MODEL", help="another model, in int8")
    for name in ("peer", "onnxruntime", "openvino"):
        parser.add_argument(f"--{name}", type=Path, default=ROOT / f".venv-{name}" / "bin" / "python", help="a Python")
    options = parser.parse_args()
    names = options.mix.split(",")
    if not set(names) <= set(MIXES):
        parser.error(f"--mix: expected some of {', '.join(MIXES)}, found {options.mix!r}")
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD is asked).")
    data = Path(os.environ["TRIFOLD_DATA"]) / "qa"
    print(f"{processor()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before", flush=True)
    folder = str(find(options.model).path)
    if options.growth:
        print_growth(folder, data / "squad-train-v2.0.json.gz", long=options.long)
    if options.start:
        print_start()
    if options.growth or options.start:
        return
    # absolute(), not resolve(): the link is what makes it an environment
    pythons = {name: getattr(options, name).absolute() for name in ("peer", "onnxruntime", "openvino")}
    if missing := [str(path) for path in pythons.values() if not path.exists()]:
        sys.exit(f"{', '.join(missing)}: not there. `make bench` makes these environments.")
    asked = mixes(data / "squad-dev-v1.1.json.gz", names, 10 if options.quick else options.questions)
    rounds, calm = (1, 1.0) if options.quick else (options.rounds, options.calm)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        before = peaks(pythons)
        also = {name: str(find(model).path) for name, model in (one.split("=", 1) for one in options.also)}
        every = candidates(folder, exported(pythons["peer"], folder, Path(scratch)), pythons, also)
        words = [*options.only.split(","), *(f"{name} " for name in also)]
        chosen = [one for i, one in enumerate(every) if i == 0 or any(word in one.name for word in words)]
        settings = {} if options.quick else swept(chosen, asked, calm)
        runs = measured(chosen, asked, settings, rounds, calm, began + 60 * options.minutes)
        after = peaks(pythons)
    peak = {name: max(value, after[name]) for name, value in before.items()}
    print_peaks(peak)
    for name, mix in asked.items():
        print_mix(name, MIXES[name], folder, mix[2], chosen, runs[name], peak)


def swept(chosen: Sequence[Candidate], asked: dict[str, Mix], calm: float) -> dict[tuple[str, str], str]:
    """For each mix and each candidate with settings, the fastest one on the mix's rows for that."""
    best: dict[tuple[str, str], str] = {}
    for one in chosen:
        if not one.settings:
            continue
        worker = Worker(one)
        for mix, (warm_up, rows, _) in asked.items():
            speed = {name: fastest(worker, warm_up, rows, name, calm) for name in one.settings}
            best[mix, one.name] = max(speed, key=lambda name: speed[name])
            found = ", ".join(f"{name}: {value:.1f}" for name, value in speed.items())
            print(f"sweep {mix:7}{one.name:19}{found}", flush=True)
        worker.stop()
    return best


def fastest(worker: Worker, warm_up: list[Example], rows: list[Example], setting: str, calm: float) -> float:
    """Questions a second at a setting: the first run on a calm machine, else the best of three."""
    speeds: list[float] = []
    for _ in range(3):
        found = worker.run(warm_up, rows, setting)
        speeds.append(len(rows) / found["seconds"])
        if disturbance(found) <= calm:
            break
    return max(speeds)


def measured(
    chosen: Sequence[Candidate],
    asked: dict[str, Mix],
    settings: dict[tuple[str, str], str],
    rounds: int,
    calm: float,
    end: float,
) -> dict[str, dict[str, list[Measured]]]:
    """For each mix and candidate its runs, one a round; no second round begins after `end`, of the monotonic clock."""
    runs: dict[str, dict[str, list[Measured]]] = {mix: {one.name: [] for one in chosen} for mix in asked}
    for number in range(rounds):
        if number and time.monotonic() > end:
            print(f"{number} of {rounds} rounds: the time is over", flush=True)
            break
        workers = {one.name: Worker(one) for one in chosen}
        for mix, (warm_up, _, rows) in asked.items():
            for one in chosen:
                setting = settings.get((mix, one.name), one.settings[0] if one.settings else None)
                found = calmest(one, workers[one.name], (warm_up, rows), setting, calm)
                runs[mix][one.name].append(found)
                print(
                    f"round {number + 1}: {mix:7}{one.name:19}{len(rows) / found['seconds']:8.2f} q/s"
                    f"   others {found['others']:.1%}, stolen {found['stolen']:.1%}",
                    flush=True,
                )
        for worker in workers.values():
            worker.stop()
    return runs


if __name__ == "__main__":
    main()
