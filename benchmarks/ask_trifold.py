"""trifold, cold; see worker.py."""

from __future__ import annotations

import sys

import trifold
from worker import Row, measure


def main(model: str, precision: str) -> None:
    reader = trifold.load(model, precision=precision)

    def ask(rows: list[Row]) -> list[str]:
        replies = reader.ask_many({**row, "always_answer": True} for row in rows)
        return [reply.answers[0].text for reply in replies if isinstance(reply, trifold.Reply)]

    measure(ask)


if __name__ == "__main__":
    main(*sys.argv[1:])
