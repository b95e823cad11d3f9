"""trifold, cold; see worker.py."""

from __future__ import annotations

import sys

import trifold
from trifold.engine.states import states
from worker import Hits, Row, measure


def main(model: str, precision: str) -> None:
    reader = trifold.load(model, precision=precision)

    def ask(rows: list[Row]) -> list[str]:
        replies = reader.ask_many({**row, "always_answer": True} for row in rows)
        return [reply.answers[0].text for reply in replies if isinstance(reply, trifold.Reply)]

    def hits() -> Hits:
        kept = states()
        return {"states of passages": (kept.hits, kept.hits + kept.misses)} if kept.misses else {}

    measure(ask, hits=hits)


if __name__ == "__main__":
    main(*sys.argv[1:])
