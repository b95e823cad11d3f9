"""Rows for `trifold batch`: many distinct questions over many passages, made of the SQuAD training set.

    python benchmarks/batch_data.py OUT.jsonl [--rows 100000] [--passages 20000] [--shuffle]

The set has 18,857 paragraphs and 130,482 different questions, a third of them without an answer in their paragraph.
Where more passages are asked for, two neighbouring paragraphs of one article are joined into a further passage, which
takes over every second answerable question of both, with its answer moved along: each question is asked once only, and
none without an answer is ever asked of a text that might have it. Where fewer are asked for, paragraphs are taken
evenly over the set. Every passage keeps its first question; the others are dropped evenly.

Rows have `id`, `question`, `passage` and the right `answers`, in the order of SQuAD, so that questions of one passage
stand together; --shuffle mixes them. The same arguments give the same bytes. Any form that `trifold batch` writes is
told from the name of the file. Needs TRIFOLD_DATA.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifold.tables.forms import form_of
from trifold.tables.publishing import publishing
from trifold.tables.writing import Column, write_rows

COLUMNS = [Column("id", "text"), Column("question", "text"), Column("passage", "text"), Column("answers", "json")]
BETWEEN = "\n"
FEWEST = 4
"""Answerable questions that a paragraph has before it gives some of them away."""


@dataclass
class Passage:
    """A text and its questions; article: number of the article that it is from."""

    article: int
    text: str
    questions: list[dict[str, Any]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--passages", type=int, help="default: a fifth of the rows")
    parser.add_argument("--shuffle", action="store_true")
    options = parser.parse_args()
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (the SQuAD training set is read).")
    wanted = options.passages or max(1, options.rows // 5)
    passages = paragraphs(Path(os.environ["TRIFOLD_DATA"]) / "qa" / "squad-train-v2.0.json.gz")
    more = wanted - len(passages)
    passages = with_joined(passages, more) if more > 0 else evenly(passages, wanted)
    rows = thinned(passages, options.rows)
    if options.shuffle:
        random.Random(0).shuffle(rows)
    with publishing(options.out) as stream:
        write_rows(stream, form_of(options.out.name), lambda: iter(rows), COLUMNS)
    lengths = [len(row["passage"]) for row in rows]
    print(
        f"{len(rows):,} distinct questions over {len({row['passage'] for row in rows}):,} passages; "
        f"{sum(not row['answers']['text'] for row in rows):,} without an answer; a row's passage has "
        f"{statistics.median(lengths):,.0f} characters in the middle, {max(lengths):,} at most"
    )


def paragraphs(path: Path) -> list[Passage]:
    """The paragraphs of a file in SQuAD's format; a question that was asked before is left out."""
    asked: set[str] = set()
    found = []
    with gzip.open(path) as stream:
        data = json.load(stream)["data"]
    for number, article in enumerate(data):
        for paragraph in article["paragraphs"]:
            passage = Passage(number, paragraph["context"])
            for entry in paragraph["qas"]:
                if entry["question"] not in asked:
                    asked.add(entry["question"])
                    passage.questions.append(question(entry))
            if passage.questions:
                found.append(passage)
    return found


def question(entry: dict[str, Any]) -> dict[str, Any]:
    answers = entry["answers"]
    return {
        "id": entry["id"],
        "question": entry["question"],
        "answers": {"text": [a["text"] for a in answers], "answer_start": [a["answer_start"] for a in answers]},
    }


def with_joined(passages: Sequence[Passage], more: int) -> list[Passage]:
    """The passages and `more` that are two neighbours each, after these, evenly over the set."""
    pairs = list(neighbours(passages))
    if more > len(pairs):
        sys.exit(f"--passages: at most {len(passages) + len(pairs):,} can be made.")
    chosen = set(evenly(pairs, more))
    result: list[Passage] = []
    for i, passage in enumerate(passages):
        result.append(passage)
        if i - 1 in chosen:
            result.append(joined(passages[i - 1], passage))
    return result


def neighbours(passages: Sequence[Passage]) -> Iterator[int]:
    """Each i where passages i and i + 1 can be joined; no passage is in two pairs."""
    i = 0
    while i + 1 < len(passages):
        pair = passages[i : i + 2]
        if pair[0].article == pair[1].article and all(len(answerable(one)) >= FEWEST for one in pair):
            yield i
            i += 1
        i += 1


def answerable(passage: Passage) -> list[dict[str, Any]]:
    return [entry for entry in passage.questions if entry["answers"]["text"]]


def joined(first: Passage, second: Passage) -> Passage:
    """Both texts as one, with every second answerable question of either, which these no longer have."""
    result = Passage(first.article, first.text + BETWEEN + second.text)
    for passage, offset in ((first, 0), (second, len(first.text) + len(BETWEEN))):
        for entry in answerable(passage)[1::2]:
            passage.questions.remove(entry)
            starts = [start + offset for start in entry["answers"]["answer_start"]]
            result.questions.append({**entry, "answers": {**entry["answers"], "answer_start": starts}})
    return result


def thinned(passages: Sequence[Passage], count: int) -> list[dict[str, Any]]:
    """That many rows: the first question of each passage, and others evenly."""
    others = sum(len(passage.questions) - 1 for passage in passages)
    if not len(passages) <= count <= len(passages) + others:
        sys.exit(f"--rows: {len(passages):,} passages have {len(passages):,} to {len(passages) + others:,} questions.")
    kept = set(evenly(range(others), count - len(passages)))
    rows, number = [], 0
    for passage in passages:
        for place, entry in enumerate(passage.questions):
            if place == 0 or number in kept:
                rows.append({"id": entry["id"], "question": entry["question"], "passage": passage.text,
                             "answers": entry["answers"]})  # fmt: skip
            number += place > 0
    return rows


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    return [items[i * len(items) // count] for i in range(count)]


if __name__ == "__main__":
    main()
