"""What every measured process does: read questions, warm up on others, ask, report.

Uses nothing but the standard library, since each process runs in an environment of its own.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["Hits", "Row", "measure"]

Row = dict[str, str]
Hits = Mapping[str, tuple[int, int]]


def measure(
    ask: Callable[[list[Row]], list[str]],
    configure: Callable[[str], None] | None = None,
    hits: Callable[[], Hits] | None = None,
) -> None:
    """Answer each line `{"warm_up": rows, "asked": rows, "setting"?: text}` of standard input with a line of JSON.

    That has answers, seconds, the peak of memory so far, and what `hits` tells: hits and look-ups of each cache, from
    the start of the process. configure: called with the setting, before the warm-up.
    """
    out, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print must not mix with the reports
    for line in sys.stdin:
        task = json.loads(line)
        if configure is not None and "setting" in task:
            configure(task["setting"])
        if task["warm_up"]:
            ask(task["warm_up"])
        began = time.perf_counter()
        answers = ask(task["asked"])
        seconds = time.perf_counter() - began
        status = Path("/proc/self/status").read_text()  # not getrusage, which counts the starting process too
        peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
        report = {"answers": answers, "seconds": seconds, "peak_mb": peak, "hits": hits() if hits else {}}
        print(json.dumps(report), file=out, flush=True)
