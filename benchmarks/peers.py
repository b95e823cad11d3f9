"""Cold runs in processes of their own: the transformers pipeline at its best batch size, and how good answers are."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.measuring.metrics import best_over, f1

__all__ = ["SWEPT", "WARM_UP", "Measured", "best_batch", "peer", "quality", "run"]

HERE = Path(__file__).parent
BATCHES = (1, 4, 8, 16, 32)
SWEPT = 120
WARM_UP = 8

Measured = dict[str, Any]
"""What a run came to: `seconds`, `peak_mb`, mostly `answers`."""


def best_batch(python: Path, folder: str, warm_up: Sequence[Example], swept: Sequence[Example]) -> int:
    """The batch size at which the peer is fastest."""
    speed = {n: len(swept) / peer(python, folder, n, warm_up, swept)["seconds"] for n in BATCHES}
    print("peer by batch size:", ", ".join(f"{n}: {s:.1f} q/s" for n, s in speed.items()), flush=True)
    return max(speed, key=lambda n: speed[n])


def peer(python: Path, folder: str, batch: int, warm_up: Sequence[Example], asked: Sequence[Example]) -> Measured:
    """One run of the pipeline, fp32; it always answers."""
    return run([str(python), str(HERE / "ask_peer.py"), folder, str(batch)], warm_up, asked)


def run(command: Sequence[str], warm_up: Sequence[Example], asked: Sequence[Example]) -> Measured:
    """What a process that calls `worker.measure` reports."""
    rows = {
        name: [{"question": e.question, "passage": e.passage} for e in examples]
        for name, examples in (("warm_up", warm_up), ("asked", asked))
    }
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    result: Measured = json.loads(done.stdout.splitlines()[-1])
    return result


def quality(answers: Sequence[str], asked: Sequence[Example]) -> float:
    """Mean F1 in percent."""
    pairs = zip(answers, asked, strict=True)
    return 100 * statistics.mean(best_over(f1, answer, [gold.text for gold in e.golds]) for answer, e in pairs)
