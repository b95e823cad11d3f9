"""The questions that two models answer differently, each with the stretch of the passage that matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.measuring.evaluation import Evaluation, Graded
from trifold.tasks.qa.measuring.metrics import normalise

__all__ = ["Change", "Changes", "Kind", "Piece", "changed_questions", "excerpt"]

Kind: TypeAlias = Literal["lost", "won", "other"]
"""Right before and wrong after; wrong before and right after; wrong both times, but not the same."""

_MOST = 50
_AROUND = 140
_LONGEST_MARK = 600
_GOLDS = 12


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a passage. marks: which of "gold", "before", "after" quote it; `gap` where text is left out."""

    text: str
    marks: frozenset[str] = frozenset()
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One question answered differently. before, after: the texts given, () for "the passage does not say"."""

    id: str
    question: str
    golds: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    before_score: float
    after_score: float
    pieces: tuple[Piece, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "question": self.question,
            "golds": list(self.golds),
            "before": {"answers": list(self.before), "score": round(self.before_score, 4)},
            "after": {"answers": list(self.after), "score": round(self.after_score, 4)},
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """How many questions changed in one way, and at most 50 of them, the surest replies first."""

    count: int
    shown: tuple[Change, ...]


def changed_questions(
    before: Evaluation, after: Evaluation, examples: Sequence[Example], *, most: int = _MOST
) -> dict[Kind, Changes]:
    """The questions won, lost and otherwise wrong; before, after and examples stand in the same order."""
    found: dict[Kind, list[tuple[Graded, Graded, Example]]] = {kind: [] for kind in get_args(Kind)}
    for old, new, example in zip(before.graded, after.graded, examples, strict=True):
        if old.exact != new.exact:
            found["won" if new.exact else "lost"].append((old, new, example))
        elif not new.exact and _said(old) != _said(new):
            found["other"].append((old, new, example))
    changes: dict[Kind, Changes] = {}
    for kind, rows in found.items():
        rows.sort(key=lambda row: -row[1].score)
        changes[kind] = Changes(len(rows), tuple(_change(*row) for row in rows[:most]))
    return changes


def _said(graded: Graded) -> frozenset[str]:
    return frozenset(normalise(text) for text in _texts(graded))


def _texts(graded: Graded) -> tuple[str, ...]:
    """What a reply says: its verdict, all its answers where several were wanted, else the best."""
    if graded.spans is not None and graded.answers:
        return tuple(answer.text for answer in graded.answers)
    return (graded.prediction,) if graded.prediction else ()


def _change(old: Graded, new: Graded, example: Example) -> Change:
    marks = [(gold.start, gold.start + len(gold.text), "gold") for gold in example.golds]
    for graded, name in ((old, "before"), (new, "after")):
        shown = graded.answers if graded.spans is not None else graded.answers[:1]
        marks += [(answer.start, answer.end, name) for answer in shown]
    golds = (example.verdict,) if example.verdict is not None else tuple(dict.fromkeys(g.text for g in example.golds))
    return Change(
        example.id,
        example.question,
        golds[:_GOLDS],
        _texts(old)[:_GOLDS],
        _texts(new)[:_GOLDS],
        old.score,
        new.score,
        excerpt(example.passage, marks),
    )


def excerpt(passage: str, marks: Sequence[tuple[int, int, str]], *, around: int = _AROUND) -> tuple[Piece, ...]:
    """The stretches of a passage around its marks [start, end), cut where a mark begins or ends.

    Without marks its beginning. Together the texts of a run of pieces are the passage, word for word.
    """
    marks = [(start, min(end, start + _LONGEST_MARK), name) for start, end, name in marks]
    pieces: list[Piece] = []
    position = 0
    for first, last in _stretches(passage, marks, around):
        if first > position:
            pieces.append(Piece("", gap=True))
        cuts = {first, last} | {c for start, end, _ in marks for c in (start, end) if first < c < last}
        for start, end in pairwise(sorted(cuts)):
            own = frozenset(name for s, e, name in marks if s <= start and end <= e)
            pieces.append(Piece(passage[start:end], own))
        position = last
    if position < len(passage):
        pieces.append(Piece("", gap=True))
    return tuple(pieces)


def _stretches(passage: str, marks: Sequence[tuple[int, int, str]], around: int) -> Iterator[tuple[int, int]]:
    """[first, last) around each mark, from blank to blank, merged where they meet."""
    size = len(passage)
    if not marks:
        yield 0, _to_blank(passage, min(size, 2 * around))
        return
    begin = end = -1
    for start, stop, _ in sorted(marks):
        first = passage.rfind(" ", max(0, start - 2 * around), max(0, start - around)) + 1
        first = first or max(0, start - around)
        last = _to_blank(passage, min(size, stop + around))
        if begin >= 0 and first <= end:
            end = max(end, last)
            continue
        if begin >= 0:
            yield begin, end
        begin, end = first, last
    yield begin, end


def _to_blank(passage: str, position: int) -> int:
    """The next blank, where one is near."""
    blank = passage.find(" ", position, position + 40)
    return position if blank < 0 else blank
