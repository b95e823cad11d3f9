"""The questions that servers are asked: distinct, over as many passages as there are."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from trifold.tasks.qa.data.examples import Example, read_examples

__all__ = ["Row", "distinct", "long_documents", "write_bodies"]

Row = dict[str, str]

SEED = 0


def distinct(path: Path) -> list[Row]:
    """Every question once: first one about each passage, then a second one about each, and so on, passages mixed."""
    by_passage: dict[str, dict[str, Example]] = {}
    for example in read_examples(path):
        by_passage.setdefault(example.passage, {}).setdefault(example.question, example)
    mixed = [list(own.values()) for own in by_passage.values()]
    random.Random(SEED).shuffle(mixed)
    most = max(len(own) for own in mixed)
    return [
        {"question": own[turn].question, "passage": own[turn].passage}
        for turn in range(most)
        for own in mixed
        if turn < len(own)
    ]


def long_documents(rows: Sequence[Row], count: int, size: int) -> list[Row]:
    """Questions about long passages, each of other short ones in another order. size: bytes of UTF-8, at most."""
    passages = list(dict.fromkeys(row["passage"] for row in rows))
    chance = random.Random(SEED)
    made = []
    for number in range(count):
        chance.shuffle(passages)
        parts, length = [], 0
        for passage in passages:
            length += len(passage.encode()) + 2
            if length > size:
                break
            parts.append(passage)
        made.append({"question": rows[number]["question"], "passage": "\n\n".join(parts)})
    return made


def write_bodies(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
