"""What `default@1` is taught and what is kept from it: SQuAD 2.0 and Natural Questions, and what is made from them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.training.general import general_questions
from trifold.tasks.qa.training.splits import kept_for_choosing

SQUAD, NATURAL = "squad-train-v2.0.json.gz", "natural-questions-train.jsonl.gz"
NEIGHBOUR, STRANGER = 0.06, 0.04
"""Share of the answered questions that are also asked of another passage, of the same title and of any other."""
UNMARKED, MISTYPED = 0.15, 0.10
"""Share of the questions that are taught without their question mark, and with a slip of the keys."""
NATURAL_KEPT = 0.15


@dataclass(frozen=True, slots=True)
class Lessons:
    """taught: what is learnt from. squad, natural: questions that choose and calibrate, in their own form."""

    taught: tuple[Example, ...]
    squad: tuple[Example, ...]
    natural: tuple[Example, ...]


def lessons(data: Path, seed: int = 0) -> Lessons:
    """The questions of a folder's training files in their parts.

    Kept are one title in twenty of SQuAD, some passages of Natural Questions, and the passages by which fine-tuning
    later measures what a reader forgets.
    """
    chance = random.Random(seed)
    known = {e.passage for name in ("calibration", "report", "validation") for e in general_questions(name)}
    squad = [e for e in read_examples(data / SQUAD) if e.passage not in known]
    natural = [e for e in read_examples(data / NATURAL) if e.passage not in known]
    passages = sorted({e.passage for e in natural})
    kept = set(chance.sample(passages, round(NATURAL_KEPT * len(passages))))
    own = [e for e in squad if not kept_for_choosing(e.title)] + [e for e in natural if e.passage not in kept]
    taught = [retyped(e, chance) for e in [*own, *unanswered(own, chance)]]
    return Lessons(
        tuple(taught),
        tuple(e for e in squad if kept_for_choosing(e.title)),
        tuple(e for e in natural if e.passage in kept),
    )


def unanswered(examples: Sequence[Example], chance: random.Random) -> list[Example]:
    """Questions with a passage that does not have their answer: one beside theirs, or about something else."""
    beside: dict[str, list[str]] = defaultdict(list)
    for passage, title in {e.passage: e.title for e in examples}.items():
        beside[title].append(passage)
    everywhere = [passage for passages in beside.values() for passage in passages]
    found = []
    for example in examples:
        drawn = chance.random()
        if not example.golds or drawn >= NEIGHBOUR + STRANGER:
            continue
        other = chance.choice(beside[example.title] if drawn < NEIGHBOUR else everywhere)
        # A passage that has the words of the answer may well answer the question.
        if other != example.passage and not any(g.text.lower() in other.lower() for g in example.golds):
            found.append(replace(example, passage=other, golds=()))
    return found


def retyped(example: Example, chance: random.Random) -> Example:
    """The example with its question as people also type it, now and then."""
    question = example.question
    if chance.random() < UNMARKED:
        question = question.rstrip(" ?")
    if chance.random() < MISTYPED:
        question = mistyped(question, chance)
    return replace(example, question=question or example.question)


def mistyped(text: str, chance: random.Random) -> str:
    """The text with one letter inside a word of four or more left out, doubled, or changed with the next."""
    places = [i for i in range(1, len(text) - 2) if text[i - 1 : i + 3].isalpha() and text[i : i + 2].isascii()]
    if not places:
        return text
    i = chance.choice(places)
    a, b = text[i], text[i + 1]
    return text[:i] + chance.choice([b, a + a + b, b + a]) + text[i + 2 :]
