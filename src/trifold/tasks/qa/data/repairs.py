"""What can be wrong with a labelled question, and how it is put right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Limits
from trifold.tasks.qa.check import check_text
from trifold.tasks.qa.data.locate import difference, loose_places, places

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
    """Everything wrong with one row (see `rows.Row`); empty for a good one."""
    faults = []
    for name in ("question", "context"):
        try:
            check_text(fields.get(name), name, Limits())
        except InvalidInput as error:
            faults.append(Fault(str(error)))
    for name in ("id", "title"):
        value = fields.get(name)
        if isinstance(value, str):
            if not value.isascii() and any(0xD800 <= ord(char) < 0xE000 for char in value):
                faults.append(Fault(f"{name}: it holds half of a surrogate pair, which no text does."))
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            faults.append(Fault(f"{name}: expected a text or a number, found a {type(value).__name__}."))
    verdict, answers = fields.get("verdict"), fields.get("answers")
    if verdict not in (None, "yes", "no"):
        faults.append(Fault(f"verdict: expected 'yes' or 'no', found {_short(str(verdict))}."))
    if answers is None:
        faults.append(Fault("there are no 'answers'; give an empty list where the passage does not say."))
    if faults:
        return faults
    texts, starts, ends = _lists(answers)
    if texts is None or starts is None or len(texts) != len(starts) or len(texts) != len(ends):
        return [Fault("expected 'answers' to hold two lists of one length, 'text' and 'answer_start'.")]
    passage = str(fields["context"])
    checked = (_answer_fault(passage, i, *part) for i, part in enumerate(zip(texts, starts, ends, strict=True)))
    return [fault for fault in checked if fault is not None]


def repaired(fields: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any] | None:
    """The row with every fault repaired, or None where one of them cannot be."""
    texts, starts, _ = (list(part or ()) for part in _lists(fields.get("answers")))
    for fault in faults:
        if fault.answer is None or fault.repair is None:
            return None
        texts[fault.answer], starts[fault.answer] = fault.repair.text, fault.repair.start
    return {**fields, "answers": {"text": texts, "answer_start": starts}}


def _lists(answers: Any) -> tuple[list[Any] | None, list[Any] | None, list[Any]]:
    """Texts, starts and ends; the last are all None where the file gives none."""
    if not isinstance(answers, dict):
        return None, None, []
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list):
        return None, None, []
    ends = answers.get("answer_end")
    return texts, starts if isinstance(starts, list) else None, ends if isinstance(ends, list) else [None] * len(texts)


def _answer_fault(passage: str, index: int, text: Any, start: Any, end: Any) -> Fault | None:
    name = f"answers[{index}]"
    if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int | None):
        return Fault(f"{name}: expected a text and a whole number as its start.")
    core = text.strip()
    if not core:
        return Fault(f"{name}: the answer is blank; an empty list says that there is none.")
    if start is None:
        return _without_start(passage, index, core)
    if abs(start) > len(passage) + len(text):
        start = len(passage)  # as far off as any other number outside, and short enough to print
    if start >= 0 and passage.startswith(text, start):
        place = start + text.index(core)
        if core != text:
            cause = f"{name}: {_short(text)} begins or ends with blanks; without them it stands at {place}."
        elif end is not None and end not in (start + len(text), start + len(text) - 1):
            cause = (
                f"{name}: its end is {_short_number(end)}, but {_short(text)} at {start} ends at {start + len(text)}."
            )
        else:
            return None
        return Fault(cause, index, Gold(core, place))
    found = passage[start : start + len(text)] if start >= 0 else ""
    return _misplaced(passage, index, text, start, f"{name}: expected {_short(text)} at {start}, found {_short(found)}")


def _without_start(passage: str, index: int, core: str) -> Fault:
    """An answer that came without a start and does not stand in the passage exactly once."""
    lead = f"answers[{index}]: {_short(core)} has no start"
    if found := places(passage, core):
        first = Gold(core, found[0])
        return Fault(f"{lead} and stands at {len(found)} places; the first is {found[0]}.", index, first)
    return _loosely(passage, index, core, 0, lead)


def _misplaced(passage: str, index: int, text: str, start: int, lead: str) -> Fault:
    """An answer that stands elsewhere than the file says."""
    core = text.strip()
    for place, unit in ((_after_utf16(passage, start), "UTF-16 units, as JavaScript does"),
                        (_after_bytes(passage, start), "bytes of UTF-8")):  # fmt: skip
        if place is not None and passage.startswith(text, place):
            place += text.index(core)
            return Fault(f"{lead}; the start counts {unit}: in characters it is {place}.", index, Gold(core, place))
    if found := places(passage, core):
        nearest = min(found, key=lambda place: abs(place - start))
        several = f"; it stands at {len(found)} places, the nearest is" if len(found) > 1 else "; it stands at"
        return Fault(f"{lead}{several} {nearest}.", index, Gold(core, nearest))
    return _loosely(passage, index, core, start, lead)


def _loosely(passage: str, index: int, core: str, start: int, lead: str) -> Fault:
    """An answer that stands nowhere word for word."""
    spans = loose_places(passage, core)
    if not spans:
        return Fault(f"{lead}, and it stands nowhere in the passage. Quote it word for word, or delete the row.", index)
    begin, end = min(spans, key=lambda span: abs(span[0] - start))
    exact = passage[begin:end]
    how = difference(core, exact)
    several = f", the nearest of {len(spans)} places" if len(spans) > 1 else ""
    return Fault(f"{lead}; {how}, {_short(exact)} stands at {begin}{several}.", index, Gold(exact, begin))


def _after_utf16(passage: str, units: int) -> int | None:
    """How many characters so many UTF-16 units are."""
    return _after(passage[: max(units, 0)].encode("utf-16-le"), 2 * units, "utf-16-le")


def _after_bytes(passage: str, count: int) -> int | None:
    """How many characters so many bytes of UTF-8 are."""
    return _after(passage[: max(count, 0)].encode(), count, "utf-8")


def _after(encoded: bytes, size: int, encoding: str) -> int | None:
    try:
        return len(encoded[:size].decode(encoding)) if 0 <= size <= len(encoded) else None
    except UnicodeDecodeError:  # in the middle of a character
        return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _short_number(value: Any) -> str:
    return str(value) if isinstance(value, int) and abs(value) < 10**12 else _short(type(value).__name__)
