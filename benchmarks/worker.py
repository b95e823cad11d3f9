"""What every measured process does: read questions, warm up on others, ask, report.

Uses nothing but the standard library, since each process runs in an environment of its own.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Row", "measure"]

Row = dict[str, str]


def measure(ask: Callable[[list[Row]], list[str]]) -> None:
    """Read `{"warm_up": rows, "asked": rows}` from standard input; write answers, seconds and peak memory as JSON."""
    rows = json.load(sys.stdin)
    ask(rows["warm_up"])
    began = time.perf_counter()
    answers = ask(rows["asked"])
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()  # not getrusage, which counts the starting process too
    peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    json.dump({"answers": answers, "seconds": seconds, "peak_mb": peak}, sys.stdout)
