"""The cost of trifold's answers as work grows, and the time to its first answer."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import trifold
from peers import WARM_UP, run
from serving_watch import wait_until_calm
from speed_mixes import by_passage, in_turns
from trifold.task import Limits
from trifold.tasks.qa.data.examples import Example

__all__ = ["print_growth", "print_start"]

HERE = Path(__file__).parent
SIZES, WINDOWS = (100, 1_000, 10_000), (1, 2, 5, 10, 20, 50, 100, 200)
TIMES, CALM, WAITS = 7, 0.05, 60.0


def print_growth(folder: str, path: Path, *, long: bool) -> None:
    """Questions through `ask_many` in a new process each, then one question about ever longer passages."""
    groups = by_passage(path)
    asked = in_turns(groups)
    print(f"\n{'questions':>10}{'seconds':>10}{'q/s':>8}{'peak MB':>9}   distinct ones of SQuAD 2.0's training file")
    for size in (*SIZES, *((100_000,) if long else ())):
        wait_until_calm(CALM, WAITS)
        command = [sys.executable, str(HERE / "ask_trifold.py"), folder, "int8"]
        found = run(command, asked[-WARM_UP:], asked[:size])
        print(f"{size:10,}{found['seconds']:10.2f}{size / found['seconds']:8.1f}{found['peak_mb']:9.0f}", flush=True)
    print_windows(folder, [own[0] for own in groups])


def print_windows(folder: str, examples: Sequence[Example]) -> None:
    reader = trifold.load(folder)
    question = examples[0].question
    print(f"\n{'windows':>10}{'seconds':>10}{'ms each':>9}   one question, `Reader.ask`; median of three passages")
    last = 0
    for wanted in WINDOWS:
        seconds, counted = [], []
        for _ in range(3):
            passage, count, used = "", 0, 0
            while count < wanted:  # a few passages at a time, so that the count is soon about right
                step = max(1, (wanted - count) // 2)
                own = examples[last : last + step]
                last, used = last + step, used + step
                passage += "".join(e.passage + "\n\n" for e in own)
                request = reader.task.check({"question": question, "passage": passage}, Limits())
                count = len(reader.task.encode(request).units)
            began = time.perf_counter()
            reader.ask(question, passage)
            seconds.append(time.perf_counter() - began)
            counted.append(count)
        median, count = statistics.median(seconds), int(statistics.median(counted))
        print(f"{count:10,}{median:10.3f}{1000 * median / count:9.1f}", flush=True)


def print_start() -> None:
    """Seconds from the start of `trifold ask` to its end, the answer printed: the first time and the median."""
    wait_until_calm(CALM, WAITS)
    command = [sys.executable, "-m", "trifold", "ask", "Who wrote it?", "--passage", "It was written by Ada Lovelace."]
    seconds = []
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "TRIFOLD_HOME": home, "XDG_CACHE_HOME": home}
        for _ in range(TIMES):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            seconds.append(time.perf_counter() - began)
    print(
        f"\n`trifold ask`, one short passage, start to end of the process: median of {TIMES} "
        f"{statistics.median(seconds):.2f} s, lowest {min(seconds):.2f}, highest {max(seconds):.2f}, "
        f"first {seconds[0]:.2f}"
    )
