"""The same questions without a server: all at once through the engine, or one after another through a Reader.

    python benchmarks/serving_alone.py engine|ask bodies.jsonl --warm-up others.jsonl [--model default]

One cold process each; the result is one JSON object on standard output. latencies: milliseconds of each `Reader.ask`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import trifold
from load import latencies
from serving_watch import CORES, machine_seconds, stolen_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=["engine", "ask"])
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--warm-up", type=Path, required=True)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    reader = trifold.load(options.model)
    asked, warm_up = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (options.bodies, options.warm_up)
    )
    list(reader.ask_many(warm_up))
    machine, stolen = machine_seconds(), stolen_seconds()
    own, began = time.process_time(), time.perf_counter()
    result: dict[str, Any] = {}
    if options.how == "engine":
        replies = list(reader.ask_many(asked))
    else:
        replies, times = [], []
        for row in asked:
            sent = time.perf_counter()
            replies.append(reader.ask(row["question"], row["passage"]))
            times.append(1000 * (time.perf_counter() - sent))
        result["latency"] = latencies(times)
    seconds = time.perf_counter() - began
    own = time.process_time() - own
    shares = {
        "others": max(0.0, machine_seconds() - machine - own) / seconds / CORES,
        "stolen": (stolen_seconds() - stolen) / seconds / CORES,
    }
    texts = [one.answers[0].text if one.answers else "" for one in replies if isinstance(one, trifold.Reply)]
    json.dump({**result, **shares, "seconds": seconds, "cpu_seconds": own, "answers": texts}, sys.stdout)


if __name__ == "__main__":
    main()
