"""Answers the questions of tour.json about the passages beside it, and shows each answer in its place.

    python examples/tour.py

Ends with 1 when an answer is not the expected one.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console

import trifold
from trifold.tasks.qa.render import print_reply

HERE = Path(__file__).parent


def main() -> int:
    console = Console(highlight=False)
    began = time.perf_counter()
    reader = trifold.load("default")
    loaded = time.perf_counter() - began
    console.print(f"[dim]{reader.model} ({reader.precision}) loaded in {loaded:.2f} s; no network is used.[/]\n")
    wrong = []
    for part in json.loads((HERE / "tour.json").read_text(encoding="utf-8")):
        console.rule(part["title"], align="left")
        passages = [(HERE / name).read_text(encoding="utf-8") for name in part["files"]]
        for entry in part["questions"]:
            reply = reader.ask(entry["question"], passages)
            print_reply(console, reply, passages)
            found = reply.answers[0].text if reply.answers else None
            if found not in (entry["expected"] or [None]):
                wrong.append(f"{entry['question']} Expected {entry['expected'] or 'no answer'}, found {found!r}.")
            console.print()
    for line in wrong:
        console.print(f"[red]Not as expected:[/] {line}")
    console.rule("Your turn", align="left")
    console.print(
        'trifold ask "Who wrote it?" --passage "The report was written by Ada Lovelace in 1843."\n'
        'trifold ask "your question" --passage-file your-file.txt\n'
        "trifold --help\n\n"
        "[dim]The command lives in the virtual environment: `. .venv/bin/activate` first, or write "
        ".venv/bin/trifold.[/]"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
