"""The questions that speed.py asks: four mixes of SQuAD 1.1 dev, and other rows to sweep settings on."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.metrics import normalise

__all__ = ["MIXES", "Mix", "by_passage", "in_turns", "mixes"]

MIXES = {
    "short": "the sentences around an answer, about 60 tokens with the question",
    "squad": "SQuAD 1.1 dev, distinct passages first",
    "long": "documents of 4,000 words, joined from passages of one title, a question each",
    "five": "5 questions about one passage",
    "shared": "20 questions about one passage",
}
SHARED, FEW, WORDS, SHORTEST, DOCUMENTS = 20, 5, 4000, 140, 25
"""Questions of a passage in `shared` and in `five`, words of a document, characters of a short passage, questions for
each document of `long`."""
WARM_UP, SWEPT = 8, 24


Mix = tuple[list[Example], list[Example], list[Example]]
"""Rows to warm up on, to sweep settings on, and to time."""


def mixes(path: Path, names: Sequence[str], questions: int) -> dict[str, Mix]:
    """The mixes of these names, of about so many questions each; always the same ones."""
    passages = by_passage(path)
    made: dict[str, Mix] = {}
    wanted = max(1, questions // SHARED)
    groups = [own for own in passages if len(own) >= SHARED][: wanted + 1]
    taken = {own[0].passage for own in groups}
    rest = [own for own in passages if own[0].passage not in taken]
    others, half = rest[: WARM_UP + SWEPT], (len(rest) + WARM_UP + SWEPT) // 2
    warm_up, swept = firsts(others)[:WARM_UP], firsts(others)[WARM_UP:]
    pools = {"squad": rest[len(others) : half], "short": rest[half:]}
    few = [own for own in passages if FEW <= len(own) < SHARED]
    for name in names:
        if name == "shared":
            asked = [example for own in groups[:wanted] for example in own[:SHARED]]
            made[name] = warm_up, groups[-1][: SWEPT // 4], asked
        elif name == "five":
            asked = [example for own in few[: max(1, questions // FEW)] for example in own[:FEW]]
            made[name] = warm_up, few[-1][:FEW], asked
        elif name == "long":
            documents = long_documents(passages, 1 + max(1, questions // DOCUMENTS))
            made[name] = warm_up, documents[:1], documents[1:]
        elif name == "squad":
            made[name] = warm_up, swept, in_turns(pools[name])[:questions]
        else:
            short = [shortened(example) for example in in_turns(pools[name])]
            made[name] = [shortened(e) for e in warm_up], [shortened(e) for e in swept], short[:questions]
    return made


def by_passage(path: Path) -> list[list[Example]]:
    """The distinct questions of each passage, the passages mixed."""
    passages: dict[str, dict[str, Example]] = {}
    for example in read_examples(path):
        passages.setdefault(example.passage, {}).setdefault(example.question, example)
    mixed = [list(own.values()) for own in passages.values()]
    random.Random(0).shuffle(mixed)
    return mixed


def firsts(groups: Sequence[list[Example]]) -> list[Example]:
    return [own[0] for own in groups]


def in_turns(groups: Sequence[list[Example]]) -> list[Example]:
    """One question about each passage, then a second one about each that has one, and so on."""
    return [own[turn] for turn in range(max(map(len, groups))) for own in groups if turn < len(own)]


def shortened(example: Example) -> Example:
    """The sentence of the first answer, with the ones after and before it until it is long enough.

    The right answers are those that it still has.
    """
    ends = [0, *(found.end() for found in re.finditer(r"[.!?]['\")]*\s+(?=\S)", example.passage)), len(example.passage)]
    gold = example.golds[0]
    first = max(i for i, end in enumerate(ends) if end <= gold.start)
    last = min(i for i, end in enumerate(ends) if end >= gold.start + len(gold.text))
    while ends[last] - ends[first] < SHORTEST and (first, last) != (0, len(ends) - 1):
        if last < len(ends) - 1:
            last += 1
        else:
            first -= 1
    passage = example.passage[ends[first] : ends[last]].strip()
    kept = tuple(one for one in example.golds if normalise(one.text) in normalise(passage))
    return replace(example, passage=passage, golds=kept or example.golds)


def long_documents(groups: Sequence[list[Example]], count: int) -> list[Example]:
    """Questions about documents of WORDS words, of another title each as long as there are titles."""
    titles: dict[str, list[list[Example]]] = {}
    for group in groups:
        titles.setdefault(group[0].title, []).append(group)
    large = [all_of for all_of in titles.values() if sum(words(one[0].passage) for one in all_of) >= WORDS]
    made = []
    for number in range(count):
        own, turn = large[number % len(large)], number // len(large)
        asked = own[turn]  # `turn` also decides which passages stand around it
        others = [one[0].passage for one in own[turn + 1 :] + own[:turn]]
        parts, length = [asked[0].passage], words(asked[0].passage)
        for passage in others:
            if length >= WORDS:
                break
            parts.append(passage)
            length += words(passage)
        random.Random(number).shuffle(parts)
        made.append(replace(asked[0], passage="\n\n".join(parts)))
    return made


def words(text: str) -> int:
    return len(text.split())
