"""Makes yes/no questions of SQuAD's: material for learning verdicts, for want of a labelled set.

    python recipes/yes_no.py OUT [--data FOLDER] [--train 300] [--dev 600]

Writes OUT/yes-no-train.jsonl and OUT/yes-no-dev.jsonl. A row asks a question of SQuAD's training set and proposes an
answer: `Who designed the tower? Is it John Smeaton?` The verdict is yes with the right answer, and no with the answer
to another question about the same passage that is as like it as there is: both numbers or both names, of like
length, and not the one within the other. Half of the rows are yes; each passage serves once, each title one file. The
right answer stands in `answers` as the evidence. Such rows measure whether a reader compares what the passage says with
what is proposed; people ask yes/no questions in more ways than this.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from pathlib import Path

from trifold.jsontext import to_json
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.metrics import normalise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(os.environ.get("TRIFOLD_DATA") or "../shared/data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=root / "qa")
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--dev", type=int, default=600)
    options = parser.parse_args()
    chance = random.Random(0)
    by_passage: dict[str, list[Example]] = {}
    for example in read_examples(options.data / "squad-train-v2.0.json.gz"):
        if example.golds:
            by_passage.setdefault(example.passage, []).append(example)
    titles = sorted({asked[0].title for asked in by_passage.values()})
    chance.shuffle(titles)
    for_dev = set(titles[: len(titles) // 4])
    passages = sorted(by_passage)
    chance.shuffle(passages)
    rows: dict[str, list[str]] = {"train": [], "dev": []}
    wanted = {"train": options.train, "dev": options.dev}
    for passage in passages:
        part = "dev" if by_passage[passage][0].title in for_dev else "train"
        if len(rows[part]) < wanted[part]:
            row = yes_or_no(by_passage[passage], "yes" if len(rows[part]) % 2 else "no", chance)
            rows[part] += [row] if row else []
    options.out.mkdir(parents=True, exist_ok=True)
    for part, lines in rows.items():
        chance.shuffle(lines)
        path = options.out / f"yes-no-{part}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{path}: {len(lines):,} rows")


def yes_or_no(asked: Sequence[Example], verdict: str, chance: random.Random) -> str | None:
    """One row about a passage, or None where no two answers are like enough."""
    example = chance.choice(asked)
    gold = example.golds[0]
    others = [other.golds[0].text for other in asked if unlike(other.golds[0].text, gold.text)]
    if not others:
        return None
    proposed = gold.text if verdict == "yes" else min(others, key=lambda text: abs(len(text) - len(gold.text)))
    return to_json(
        {
            "id": example.id,
            "title": example.title,
            "context": example.passage,
            "question": f"{example.question.strip()} Is it {proposed}?",
            "verdict": verdict,
            "answers": {"text": [gold.text], "answer_start": [gold.start]},
        }
    )


def unlike(proposed: str, right: str) -> bool:
    """Whether a proposal is wrong, and of the kind of the right answer."""
    a, b = normalise(proposed), normalise(right)
    if not a or not b or a in b or b in a or set(a.split()) & set(b.split()):
        return False
    return kind(proposed) == kind(right) and max(len(a), len(b)) <= 3 * min(len(a), len(b))


def kind(text: str) -> str:
    """Number, name, or another phrase."""
    if any(char.isdigit() for char in text):
        return "number"
    return (
        "name" if all(word[:1].isupper() for word in text.split() if len(word) > 3) and text[:1].isupper() else "phrase"
    )


if __name__ == "__main__":
    main()
