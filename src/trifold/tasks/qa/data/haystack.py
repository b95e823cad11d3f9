"""Haystack's exports: lists of version 1 labels and of version 2 extracted answers.

The annotation tool of Haystack writes SQuAD's nested JSON, which `squad` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trifold.tasks.qa.data.repairs import Fault
from trifold.tasks.qa.data.rows import Row, flat_row

__all__ = ["is_label", "label_rows", "merged"]


def is_label(value: Mapping[str, Any]) -> bool:
    """Whether an object is a label or an extracted answer."""
    fields = _fields(value)
    return "query" in fields and "question" not in fields and ("document" in fields or "document_offset" in fields)


def label_rows(place: str, value: dict[str, Any]) -> Iterator[Row]:
    """The row of one label: one answer to one question of one document."""
    fields = _fields(value)
    identifier = fields.get("id")
    if fields.get("is_correct_answer") is False:
        yield _fault(place, identifier, "the label is marked as a wrong answer (is_correct_answer is false).")
        return
    document = fields.get("document")
    if not isinstance(document, dict):
        yield _fault(place, identifier, "the label has no document, so its answer stands in no passage.")
        return
    if "answer" in fields and not isinstance(fields["answer"], dict | str) and fields.get("no_answer") is not True:
        yield _fault(place, identifier, "the label has no answer: it marks a document only.")
        return
    meta = document["meta"] if isinstance(document.get("meta"), dict) else document
    row = {
        "id": identifier,
        "title": next((meta[name] for name in ("title", "name") if isinstance(meta.get(name), str)), None),
        "question": fields.get("query"),
        "context": document.get("content"),
        "answers": [] if fields.get("no_answer") is True else _answers(fields),
    }
    yield flat_row(place, row)


def merged(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of one label each, those about one question and one passage as one row with all of the answers."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if _is_sound(row):
            groups.setdefault((row.fields["question"], row.fields["context"]), []).append(row)
        else:
            yield row
    for group in groups.values():
        yield _as_one(group) if len(group) > 1 else group[0]


def _is_sound(row: Row) -> bool:
    """Whether a row has texts and numbers where they are to be compared."""
    if row.fault or not all(isinstance(row.fields[name], str) for name in ("question", "context")):
        return False
    parts = row.fields["answers"].items()
    return all(isinstance(value, str if name == "text" else int | None) for name, values in parts for value in values)


def _as_one(rows: list[Row]) -> Row:
    place = f"{rows[0].place} and {len(rows) - 1} more"
    answers = [row.fields["answers"] for row in rows]
    if len({bool(part["text"]) for part in answers}) > 1:
        silent = next(row.place for row in rows if not row.fields["answers"]["text"])
        return _fault(
            place,
            rows[0].fields["id"],
            f"{silent} says that the document does not answer, another label of the same question quotes an answer. "
            "Keep one of them.",
        )
    parts: dict[tuple[Any, ...], None] = {}
    for part in answers:
        ends = part.get("answer_end") or [None] * len(part["text"])
        parts.update(dict.fromkeys(zip(part["text"], part["answer_start"], ends, strict=True)))
    texts, starts, ends = map(list, zip(*parts, strict=True)) if parts else ([], [], [])
    together = {"text": texts, "answer_start": starts, "answer_end": ends}
    return Row(place, {**rows[0].fields, "answers": together})


def _answers(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answers of a version 1 label (`answer.answer`) or of a version 2 answer (`data`)."""
    if "answer" in fields:
        answer = fields["answer"]
        text = answer.get("answer") if isinstance(answer, dict) else answer
        spans = answer.get("offsets_in_document") if isinstance(answer, dict) else None
    else:
        text, spans = fields.get("data"), [fields.get("document_offset")]
    if text is None or (isinstance(text, str) and not text.strip()):
        return []
    spans = [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []
    return [{"text": text, "start": span.get("start"), "end": span.get("end")} for span in spans or [{}]]


def _fields(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Early version 2 wraps the fields of an answer."""
    inner = value.get("init_parameters")
    return inner if isinstance(inner, dict) else value


def _fault(place: str, identifier: Any, cause: str) -> Row:
    return Row(place, {"id": identifier}, Fault(cause))
