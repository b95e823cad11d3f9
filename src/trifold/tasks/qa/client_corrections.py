"""How a client hands corrections to a service and reads those that it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from trifold.errors import InvalidInput
from trifold.remote.batches import encode
from trifold.remote.exchange import Call, Flow, fetch
from trifold.remote.settings import Settings
from trifold.remote.shapes import entry, listed, record
from trifold.tasks.qa.records import Answer, Reply

__all__ = ["KeptCorrection", "Page", "Span", "correct_at", "corrections_at"]

_ALL = "/v1/corrections"
_TASK = "qa"
_LISTED = 100

Span = Answer | tuple[int, int]
"""Where a right answer stands: start and end, half-open, in code points; or an answer that a model gave."""


@dataclass(frozen=True, slots=True)
class KeptCorrection:
    """What a service keeps about one question.

    answers: (start, end) in the passage, none where it does not say. predicted: what the model had said, empty for "it
    does not say", None where nobody told. created, changed: in ISO 8601, UTC; None for what was put in by hand.
    """

    id: str
    revision: int
    question: str
    passage: str
    answers: tuple[tuple[int, int], ...]
    predicted: str | None
    model: str | None
    note: str | None
    created: str | None
    changed: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some corrections, and where to go on; None at the end."""

    corrections: tuple[KeptCorrection, ...]
    next_offset: int | None


def correct_at(
    settings: Settings,
    question: str,
    passage: str,
    answers: Sequence[Span],
    reply: Reply | None,
    note: str | None,
    timeout: float | None,
) -> Flow[KeptCorrection]:
    """Keep a correction. Asked twice it is kept once."""
    raw: dict[str, Any] = {
        "question": question,
        "passage": passage,
        "answers": [_span(passage, answer) for answer in answers],
        "note": note,
        "task": _TASK,
    }
    if reply is not None:
        said = reply.answers[0].text if reply.answers else ""
        raw |= {"predicted": {"text": said, "score": reply.score}, "model": reply.model}
    return fetch(Call("POST", _ALL, encode(raw)), settings, _read, timeout=timeout)


def corrections_at(settings: Settings, query: str, offset: int) -> Flow[Page]:
    """A page of the corrections that have these words, the one that was changed last first."""
    words = urlencode({"query": query, "offset": offset, "limit": _LISTED, "task": _TASK})
    return fetch(Call("GET", f"{_ALL}?{words}"), settings, _page)


def _span(passage: str, answer: Span) -> dict[str, Any]:
    start, end = (answer.start, answer.end) if isinstance(answer, Answer) else answer
    if not isinstance(passage, str) or not 0 <= start < end <= len(passage):
        raise InvalidInput(
            f"answers: expected places in the passage, found {start!r} to {end!r}.",
            "Give (start, end) in code points, the end exclusive.",
            field="answers",
        )
    return {"text": passage[start:end], "start": start, "end": end}


def _page(value: object) -> Page:
    found = record(value, "the reply")
    kept = tuple(_read(item) for item in listed(found.get("corrections"), "corrections"))
    return Page(kept, None if found.get("next_offset") is None else entry(found, "next_offset", int))


def _read(value: object) -> KeptCorrection:
    found = record(value, "a correction")
    answers = [record(item, "an answer") for item in listed(found.get("answers"), "answers")]
    predicted = found.get("predicted")
    return KeptCorrection(
        entry(found, "id", str),
        entry(found, "revision", int),
        entry(found, "question", str),
        entry(found, "passage", str),
        tuple((entry(answer, "start", int), entry(answer, "end", int)) for answer in answers),
        None if predicted is None else entry(record(predicted, "predicted"), "text", str),
        *(None if found.get(name) is None else entry(found, name, str) for name in _TEXTS),
    )


_TEXTS = ("model", "note", "created", "changed")
