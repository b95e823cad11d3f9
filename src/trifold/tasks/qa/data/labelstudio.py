"""Label Studio's exports, JSON and JSON_MIN: regions of type `labels` are answers, choices yes and no a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trifold.tasks.qa.data.repairs import Fault
from trifold.tasks.qa.data.rows import Row, flat_row

__all__ = ["is_export", "is_task", "task_rows"]

_PASSAGES = ("text", "context", "passage", "document")
_CHOICES = ("verdict", "choice", "choices")
"""What a control of choices may be called in JSON_MIN, which does not say which of its fields are annotations."""


def is_task(value: Mapping[str, Any]) -> bool:
    """Whether an object is a task of the JSON export."""
    return isinstance(value.get("data"), dict) and any(
        isinstance(value.get(key), list) for key in ("annotations", "completions")
    )


def is_export(value: Mapping[str, Any]) -> bool:
    """Whether an object is a task of the JSON export, or a row of JSON_MIN."""
    return is_task(value) or ("annotation_id" in value and "lead_time" in value)


def task_rows(place: str, value: dict[str, Any]) -> Iterator[Row]:
    """A row for each annotation of a task; a fault for a task without any, and for an annotation that was skipped."""
    if not is_task(value):
        yield _minimal(place, value)
        return
    annotations = value.get("annotations", value.get("completions"))
    if not annotations:
        yield Row(place, {"id": value.get("id")}, Fault("the task has not been annotated."))
        return
    several = sum(not _skipped(annotation) for annotation in annotations) > 1
    for index, annotation in enumerate(annotations):
        where = f"{place}, annotation {index + 1}" if len(annotations) > 1 else place
        results = annotation.get("result") if isinstance(annotation, dict) else None
        if _skipped(annotation):
            fault = Fault("the annotator skipped this task (was_cancelled), so it says nothing.")
            yield Row(where, {"id": value.get("id")}, fault)
        elif not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
            yield Row(where, {"id": value.get("id")}, Fault("expected an annotation with a list 'result'."))
        else:
            identifier = f"{value.get('id')}-{annotation.get('id')}" if several else value.get("id")
            regions = [_value(result) for result in results if result.get("type") in ("labels", "hypertextlabels")]
            chosen = [_value(result).get("choices") for result in results if result.get("type") == "choices"]
            yield _row(where, identifier, value["data"], regions, chosen)


def _minimal(place: str, value: dict[str, Any]) -> Row:
    """The row of one object of JSON_MIN, in which controls stand beside the data under their own names."""
    if value.get("annotation_id") is None:
        return Row(place, {"id": value.get("id")}, Fault("the task has not been annotated."))
    regions = [
        region
        for field in value.values()
        if isinstance(field, list)
        for region in field
        if isinstance(region, dict) and "start" in region and ("labels" in region or "hypertextlabels" in region)
    ]
    chosen = [value[name] for name in _CHOICES if name in value]
    return _row(place, value.get("id"), value, regions, chosen)


def _row(place: str, identifier: Any, data: Mapping[str, Any], regions: list[Any], chosen: Iterable[Any]) -> Row:
    passage = next((data[name] for name in _PASSAGES if isinstance(data.get(name), str)), None)
    verdicts = {choice for choices in chosen for choice in _words(choices) if choice in ("yes", "no")}
    if any(not isinstance(region.get("start"), int) for region in regions):
        fault = Fault("a region has no character offsets (HTML has paths instead). Annotate a Text, not a HyperText.")
        return Row(place, {"id": identifier}, fault)
    if len(verdicts) > 1:
        return Row(place, {"id": identifier}, Fault("both yes and no are chosen; keep one of them."))
    if not isinstance(passage, str):
        return Row(
            place, {"id": identifier}, Fault(f"the data has no text; it must be called {' or '.join(_PASSAGES)}.")
        )
    value = {
        "id": identifier,
        "title": data.get("title"),
        "question": data.get("question"),
        "context": passage,
        "answers": [
            {"text": _text(region, passage), "start": region["start"], "end": region.get("end")} for region in regions
        ],
        "verdict": next(iter(verdicts), None),
    }
    return flat_row(place, value)


def _text(region: Mapping[str, Any], passage: str) -> Any:
    """What a region quotes. The text may be switched off, and then only the offsets say it; line ends are escaped."""
    text, start, end = region.get("text"), region["start"], region.get("end")
    if text is None and isinstance(end, int):
        return passage[start:end] if 0 <= start <= end else ""
    if isinstance(text, str) and "\\n" in text and not passage.startswith(text, max(start, 0)):
        return text.replace("\\n", "\n")
    return text


def _value(result: Mapping[str, Any]) -> dict[str, Any]:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _words(choices: Any) -> list[str]:
    """Chosen words: a text, a list of texts, or an object with them."""
    if isinstance(choices, dict):
        choices = choices.get("choices")
    listed = choices if isinstance(choices, list) else [choices]
    return [choice.strip().casefold() for choice in listed if isinstance(choice, str)]


def _skipped(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("was_cancelled") or annotation.get("skipped"))
