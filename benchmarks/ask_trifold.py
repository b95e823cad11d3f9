"""One cold run of trifold: reads questions as JSON from standard input, writes answers and seconds as JSON."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import trifold


def main(model: str, precision: str) -> None:
    rows = json.load(sys.stdin)
    warm_up, asked = rows["warm_up"], [{**row, "always_answer": True} for row in rows["asked"]]
    reader = trifold.load(model, precision=precision)
    for _ in reader.ask_many(warm_up):
        pass
    began = time.perf_counter()
    answers = [reply.answers[0].text for reply in reader.ask_many(asked) if isinstance(reply, trifold.Reply)]
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()  # not getrusage, which counts the starting process too
    peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024  # type: ignore[union-attr]
    json.dump({"answers": answers, "seconds": seconds, "peak_mb": peak}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
