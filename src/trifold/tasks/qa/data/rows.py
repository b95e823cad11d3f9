"""One labelled question as it stands in a file, brought into one shape whatever the file calls things."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trifold.tasks.qa.data.locate import places
from trifold.tasks.qa.data.repairs import Fault

__all__ = ["ANSWER_NAMES", "FIELD_NAMES", "Entry", "Row", "entry_faults", "flat_row"]

ANSWER_NAMES = ("answers", "answer", "answer_text")
FIELD_NAMES = ("id", "title", "question", "context", "passage", *ANSWER_NAMES, "answer_start", "start", "answer_end",
               "end", "verdict", "is_impossible")  # fmt: skip
"""Everything that is read of a flat row."""

Entry = tuple[str, Any]
"""Where a value stands in a file, and the value; a Fault where it could not be read."""

_VERDICTS = {"yes": "yes", "true": "yes", "no": "no", "false": "no", "": None}


@dataclass(frozen=True, slots=True)
class Row:
    """One question as it stands in a file, not yet checked; `fault` where it could not even be read.

    place: where it stands, for messages. fields: `id`, `title`, `question`, `context`, `verdict` ("yes", "no" or
    None) and `answers`, with the lists `text`, `answer_start` (None where the file gives no start and the answer does
    not stand in the passage exactly once) and perhaps `answer_end`; None where there is nothing about answers.
    """

    place: str
    fields: Mapping[str, Any]
    fault: Fault | None = None


def flat_row(place: str, value: Mapping[str, Any]) -> Row:
    """The row of one object with a question, a passage and its answers in any of the shapes that `docs/data.md` shows.

    What cannot be understood is left as it is, for `faults_of` to complain about.
    """
    context = value.get("context")
    if context is None:
        context = value.get("passage")
    verdict = value.get("verdict")
    if verdict is None and isinstance(value.get("answer"), bool):
        verdict = value["answer"]
    verdict = _verdict(verdict)
    answers = _answers(value)
    if answers is None and verdict is not None:
        answers = _lists([], [])
    if isinstance(answers, dict) and isinstance(context, str):
        _look_up(answers, context)
    fields = {
        "id": value.get("id"),
        "title": value.get("title"),
        "question": value.get("question"),
        "context": context,
        "answers": answers,
        "verdict": verdict,
    }
    return Row(place, fields)


def entry_faults(entries: Iterable[Entry]) -> Iterator[Row | tuple[str, dict[str, Any]]]:
    """The entries that are objects as they are, all others as rows with a fault."""
    for place, value in entries:
        if isinstance(value, dict):
            yield place, value
        elif isinstance(value, Fault):
            yield Row(place, {}, value)
        else:
            yield Row(place, {}, Fault(f"expected an object, found a {type(value).__name__}."))


def _verdict(value: Any) -> Any:
    """ "yes", "no" or None; anything else as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _VERDICTS.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _answers(value: Mapping[str, Any]) -> Any:
    """The lists of one row; None where nothing is said about answers, and the raw value where it has no such shape."""
    if value.get("is_impossible") is True:
        return _lists([], [])
    given = next((value[name] for name in ANSWER_NAMES if value.get(name) is not None), None)
    if given is None:
        return _lists([], []) if "answer" in value or "answer_text" in value else None
    start, end = _first(value, "answer_start", "start"), _first(value, "answer_end", "end")
    if isinstance(given, bool):
        return None
    if isinstance(given, str):
        return _lists([given], [start], [end]) if given.strip() else _lists([], [])
    if isinstance(given, dict):
        return _of_object(given)
    if not isinstance(given, list):
        return given
    if all(isinstance(part, dict) for part in given):
        return _lists(
            [part.get("text") for part in given],
            [_first(part, "answer_start", "start") for part in given],
            [_first(part, "answer_end", "end") for part in given],
        )
    if all(isinstance(part, str) for part in given):
        starts = [start] if start is not None and len(given) == 1 and not isinstance(start, list) else start
        return _lists(given, [None] * len(given) if starts is None else starts)
    return given


def _of_object(given: Mapping[str, Any]) -> Any:
    """The lists of an object that holds lists, or one answer."""
    text, start, end = given.get("text"), _first(given, "answer_start", "start"), _first(given, "answer_end", "end")
    if isinstance(text, str):
        return _lists([text], [start], [end])
    if not isinstance(text, list):
        return given
    return _lists(text, [None] * len(text) if start is None else start, end)


def _lists(texts: list[Any], starts: Any, ends: Any = None) -> dict[str, Any]:
    answers = {"text": texts, "answer_start": [_whole(start) for start in starts] if type(starts) is list else starts}
    if isinstance(ends, list) and len(ends) == len(texts) and any(end is not None for end in ends):
        answers["answer_end"] = [_whole(end) for end in ends]
    return answers


def _whole(value: Any) -> Any:
    """A position as it is meant where a table made a fraction of it: 19.0 is 19, NaN is none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None if math.isnan(value) else value
    return value


def _first(value: Mapping[str, Any], *names: str) -> Any:
    """The first of several fields that is there."""
    return next((value[name] for name in names if value.get(name) is not None), None)


def _look_up(answers: dict[str, Any], context: str) -> None:
    """Fill in the missing starts of answers that stand in the passage exactly once."""
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts) or None not in starts:
        return
    for index, (text, start) in enumerate(zip(texts, starts, strict=True)):
        if start is None and isinstance(text, str) and text.strip():
            found = places(context, text)
            starts[index] = found[0] if len(found) == 1 else None
