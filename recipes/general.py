"""Draws the general questions that ship with trifold, against which fine-tuning guards what a reader could do before.

    python recipes/general.py [--data FOLDER] [--out FOLDER]

Four files of flat JSON lines, no passage in two of them: `replay` (mixed into training), `validation` (says what is
being forgotten), `calibration` (fits probabilities) and `report` (the general half of the before-and-after report).
They are drawn from the training sets of SQuAD 2.0 and Natural Questions, evenly over their titles; a title of SQuAD
serves one file.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from trifold.jsontext import to_json
from trifold.tasks.qa.data.examples import Example, read_examples

SQUAD, NATURAL = "squad-train-v2.0.json.gz", "natural-questions-train.jsonl.gz"
TITLES_OF = {"calibration": 40, "report": 60, "validation": 40}
"""Titles of SQuAD for each file; `replay` gets the rest."""
LONGEST = 1500
"""Characters of a passage at most, so that the files stay small."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(os.environ.get("TRIFOLD_DATA") or "../shared/data")
    here = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "qa")
    parser.add_argument("--out", type=Path, default=here / "src/trifold/tasks/qa/training/general")
    options = parser.parse_args()
    squad = [e for e in read_examples(options.data / SQUAD) if len(e.passage) <= LONGEST]
    one_each = {e.passage: e for e in read_examples(options.data / NATURAL) if len(e.passage) <= LONGEST}
    natural = list(one_each.values())
    chance = random.Random(0)
    titles = sorted({example.title for example in squad})
    chance.shuffle(titles)
    chance.shuffle(natural)
    parts: dict[str, list[Example]] = {}
    used = 0
    for name, count in TITLES_OF.items():
        parts[name] = [e for e in squad if e.title in titles[used : used + count]]
        used += count
    parts["replay"] = [e for e in squad if e.title in titles[used:]]
    answered, apart = natural[:240], natural[240:420]
    write(
        options.out / "calibration.jsonl.gz",
        [
            # No answered questions of SQuAD: the files were drawn when it was not known which of them the embedded
            # model had been taught. Models that exist were calibrated with these.
            *answered,
            *off_topic(apart),
            *(e for e in drawn(parts["calibration"], 2, 0, 1, chance) if not e.golds),
        ],
    )
    write(options.out / "validation.jsonl.gz", drawn(parts["validation"], 2, 3, 0, chance))
    write(options.out / "report.jsonl.gz", [*drawn(parts["report"], 3, 3, 1, chance), *natural[420:720]])
    kept = natural[720:1120]
    paired = [row for pair in zip(kept, off_topic(kept), strict=True) for row in pair]
    write(options.out / "replay.jsonl.gz", [*drawn(parts["replay"], 1, 3, 2, chance), *paired])


def drawn(
    examples: Sequence[Example], passages: int, answered: int, unanswered: int, chance: random.Random
) -> list[Example]:
    """Of each title some passages, of each passage some questions with and without an answer."""
    by_title: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for example in examples:
        by_title[example.title][example.passage].append(example)
    found: list[Example] = []
    for title in sorted(by_title):
        own = by_title[title]
        both = sorted(passage for passage, asked in own.items() if any(not example.golds for example in asked))
        fitting = both if len(both) >= passages else sorted(own)
        for passage in chance.sample(fitting, min(passages, len(fitting))):
            for count, kind in ((answered, True), (unanswered, False)):
                asked = [example for example in own[passage] if bool(example.golds) is kind]
                found += chance.sample(asked, min(count, len(asked)))
    return found


def off_topic(examples: Sequence[Example]) -> list[Example]:
    """Each passage with the question of another, which it does not answer; in the order of the passages."""
    far = len(examples) // 2
    pairs = zip(examples, [*examples[far:], *examples[:far]], strict=True)
    return [replace(other, passage=e.passage, golds=()) for e, other in pairs]


def write(path: Path, examples: Iterable[Example]) -> None:
    """Flat JSON lines, compressed, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for example in examples:
        golds = {"text": [g.text for g in example.golds], "answer_start": [g.start for g in example.golds]}
        lines.append(
            to_json(
                {
                    "id": example.id,
                    "title": example.title,
                    "context": example.passage,
                    "question": example.question,
                    "answers": golds,
                }
            )
        )
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0, compresslevel=9) as stream:
        stream.write(("\n".join(lines) + "\n").encode())
    path.write_bytes(content.getvalue())
    print(f"{path.name}: {len(lines):,} questions, {len(content.getvalue()) / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
