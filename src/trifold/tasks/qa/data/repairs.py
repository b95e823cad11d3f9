"""What can be wrong with a labelled question, and how it is put right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Limits
from trifold.tasks.qa.check import check_text

__all__ = ["Fault", "Gold", "faults_of", "repaired"]


@dataclass(frozen=True, slots=True)
class Gold:
    """A right answer: `passage[start : start + len(text)] == text`, in code points."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row does not fit. answer: index of the gold answer at fault; repair: what should stand there instead."""

    cause: str
    answer: int | None = None
    repair: Gold | None = None


def faults_of(fields: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with one row; empty for a good one."""
    faults = []
    for name in ("question", "context"):
        try:
            check_text(fields.get(name), name, Limits())
        except InvalidInput as error:
            faults.append(Fault(str(error)))
    identifier = fields.get("id")
    if isinstance(identifier, str) and any(0xD800 <= ord(char) < 0xE000 for char in identifier):
        faults.append(Fault("id: it holds half of a surrogate pair, which no text does."))
    answers = fields.get("answers")
    if answers is None:
        faults.append(Fault("there are no 'answers'; give an empty list where the passage does not say."))
    if faults:
        return faults
    texts, starts = _lists(answers)
    if texts is None or starts is None or len(texts) != len(starts):
        return [Fault("expected 'answers' to hold two lists of one length, 'text' and 'answer_start'.")]
    passage = str(fields["context"])
    checked = (_answer_fault(passage, i, t, s) for i, (t, s) in enumerate(zip(texts, starts, strict=True)))
    return [fault for fault in checked if fault is not None]


def repaired(fields: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any] | None:
    """The row with every fault repaired, or None where one of them cannot be."""
    texts, starts = (list(part or ()) for part in _lists(fields.get("answers")))
    for fault in faults:
        if fault.answer is None or fault.repair is None:
            return None
        texts[fault.answer], starts[fault.answer] = fault.repair.text, fault.repair.start
    return {**fields, "answers": {"text": texts, "answer_start": starts}}


def _lists(answers: Any) -> tuple[list[Any] | None, list[Any] | None]:
    if answers == []:
        return [], []
    if not isinstance(answers, dict):
        return None, None
    texts, starts = answers.get("text"), answers.get("answer_start")
    return texts if isinstance(texts, list) else None, starts if isinstance(starts, list) else None


def _answer_fault(passage: str, index: int, text: Any, start: Any) -> Fault | None:
    if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int):
        return Fault(f"answers[{index}]: expected a text and a whole number as its start.")
    if abs(start) > len(passage) + len(text):
        start = len(passage)  # as far off as any other number outside, and short enough to print
    if not text.strip():
        return Fault(f"answers[{index}]: the answer is blank; an empty list says that there is none.")
    inside = 0 <= start <= len(passage) - len(text)
    if inside and passage.startswith(text, start):
        if text == text.strip():
            return None
        repair = Gold(text.strip(), start + len(text) - len(text.lstrip()))
        return Fault(
            f"answers[{index}]: {_short(text)} begins or ends with blanks; without them it stands at {repair.start}.",
            index,
            repair,
        )
    found = passage[start : start + len(text)] if start >= 0 else ""
    lead = f"answers[{index}]: expected {_short(text)} at {start}, found {_short(found)}"
    places = _places(passage, text.strip())
    if places:
        nearest = min(places, key=lambda place: abs(place - start))
        several = f"; it stands at {len(places)} places, the nearest is" if len(places) > 1 else "; it stands at"
        return Fault(f"{lead}{several} {nearest}.", index, Gold(text.strip(), nearest))
    loose = _places(passage.lower(), text.strip().lower()) if len(passage.lower()) == len(passage) else []
    if loose:
        nearest = min(loose, key=lambda place: abs(place - start))
        exact = passage[nearest : nearest + len(text.strip())]
        return Fault(f"{lead}; {_short(exact)} stands at {nearest}.", index, Gold(exact, nearest))
    return Fault(f"{lead}, and it stands nowhere in the passage. Quote it word for word, or delete the row.", index)


def _places(passage: str, text: str) -> list[int]:
    """Every position at which a text stands, overlaps included."""
    places, start = [], passage.find(text)
    while start >= 0:
        places.append(start)
        start = passage.find(text, start + 1)
    return places


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
