"""Reads questions with their right answers: nested SQuAD JSON (1.1 and 2.0), flat JSON lines, or a JSON list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifold.errors import DataError
from trifold.tasks.qa.data.repairs import Fault, Gold, faults_of
from trifold.tasks.qa.data.textfiles import read_text

__all__ = ["Example", "Row", "read_examples", "read_rows", "to_example"]

_LARGEST = 1_000_000_000
"""Bytes of one file, uncompressed; a bomb is refused instead of filling the memory."""
_HEAD = 1000
"""So many characters tell SQuAD JSON from JSON lines."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question as it stands in a file, not yet checked; `fault` where it could not even be read.

    place: where it stands, for messages. fields: `id`, `question`, `context`, `answers` (lists `text`, `answer_start`).
    """

    place: str
    fields: Mapping[str, Any]
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A question about a passage with its right answers; none of them where the passage does not say."""

    id: str
    question: str
    passage: str
    golds: tuple[Gold, ...]


def read_examples(path: Path) -> list[Example]:
    """Every question of a file, or DataError for the first that does not fit."""
    examples = []
    for row in read_rows(path):
        faults = [row.fault] if row.fault else faults_of(row.fields)
        if faults:
            raise DataError(
                f"{path}, {row.place}: {faults[0].cause} `trifold check {path}` shows every such row and can "
                "repair most."
            )
        examples.append(to_example(row))
    return examples


def to_example(row: Row) -> Example:
    """An example of a row without faults."""
    fields = row.fields
    answers = fields.get("answers") or {"text": [], "answer_start": []}
    golds = tuple(Gold(t, s) for t, s in zip(answers["text"], answers["answer_start"], strict=True))
    identifier = fields.get("id")
    return Example(str(row.place if identifier is None else identifier), fields["question"], fields["context"], golds)


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, faulty ones included.

    Raises DataError when the file as a whole is missing, empty, no text, or of another shape.
    """
    text = read_text(str(path), _LARGEST)
    if not text.strip():
        raise DataError(f"{path}: the file is empty. Expected SQuAD JSON or one JSON object a line.")
    document = _as_document(path, text)
    if isinstance(document, dict) and "data" in document:
        rows = _nested(path, document["data"])
    elif isinstance(document, list):
        rows = (_flat(f"row {i}", value) for i, value in enumerate(document, 1))
    else:
        rows = _lines(path, text)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"{path}: there is no question in it.")


def _as_document(path: Path, text: str) -> Any:
    """The file as one JSON value, or None where it is none (JSON lines)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if '"paragraphs"' in text[:_HEAD] and '"data"' in text[:_HEAD]:
            raise DataError(f"{path}: broken SQuAD JSON ({error}). Get the file again.") from None
        return None


def _nested(path: Path, articles: Any) -> Iterator[Row]:
    """SQuAD's articles > paragraphs > qas."""
    for a, article in enumerate(_list(path, "data", articles)):
        where = f"data[{a}]"
        for p, paragraph in enumerate(_list(path, f"{where}.paragraphs", _get(article, "paragraphs"))):
            place = f"{where}.paragraphs[{p}]"
            for q, entry in enumerate(_list(path, f"{place}.qas", _get(paragraph, "qas"))):
                yield _squad_row(f"{place}.qas[{q}]", _get(paragraph, "context"), entry)


def _squad_row(place: str, context: Any, entry: Any) -> Row:
    if not isinstance(entry, dict):
        return Row(place, {}, Fault(f"expected an object, found a {type(entry).__name__}."))
    answers = entry.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(a, dict) for a in answers):
        return Row(
            place,
            {"id": entry.get("id")},
            Fault("expected 'answers' to be a list of objects with text and answer_start."),
        )
    gold = [] if entry.get("is_impossible") is True else answers
    return Row(
        place,
        {
            "id": entry.get("id"),
            "question": entry.get("question"),
            "context": context,
            "answers": {
                "text": [a.get("text") for a in gold],
                "answer_start": [a.get("answer_start") for a in gold],
            },
        },
    )


def _list(path: Path, place: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise DataError(
            f"{path}: expected SQuAD JSON with a list at {place}, found {type(value).__name__}. "
            "The shape is data > paragraphs > qas."
        )
    return value


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _lines(path: Path, text: str) -> Iterator[Row]:
    lines = text.split("\n")
    if not any(line.lstrip().startswith("{") for line in lines):
        raise DataError(
            f"{path}: expected SQuAD JSON or one JSON object a line, found neither. Each line needs "
            '{"question": ..., "context": ..., "answers": {"text": [...], "answer_start": [...]}}.'
        )
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(f"line {number}", {}, Fault(f"the line is not JSON ({error})."))
            continue
        yield _flat(f"line {number}", value)


def _flat(place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        return Row(place, {}, Fault(f"expected an object, found a {type(value).__name__}."))
    fields = dict(value)
    if "context" not in fields and "passage" in fields:
        fields["context"] = fields.pop("passage")
    return Row(place, fields)
