"""The data set of corrections: SQuAD 2.0, in which an entry has more to say than SQuAD's do.

Beside SQuAD's fields an entry has `revision`, `created`, `changed`, `model`, `predicted` and `note`; the readers of
`trifold check` and `finetune` pass over those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trifold.correction import Correction
from trifold.errors import DataError, InvalidInput
from trifold.tasks.qa.data.repairs import Gold, faults_of
from trifold.tasks.qa.data.rows import FIELD_NAMES, flat_row

__all__ = [
    "LONGEST_MODEL",
    "LONGEST_NOTE",
    "Corrected",
    "Predicted",
    "articles_of",
    "corrections_in",
    "optional_text",
    "predicted_in",
]

LONGEST_NOTE = 10_000
"""Characters of a note, and of what a model said."""
LONGEST_MODEL = 200
"""Characters of a model's name."""
_TITLE = "Corrections"
_WRITTEN = {"id", "revision", "created", "changed", "model", "predicted", "note", *FIELD_NAMES} - {"verdict"}
"""What is written anew of each entry; every other field is kept as it stands."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the model had said. text: empty for "the passage does not say". score: its probability, where known."""

    text: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Corrected:
    """What is right about a passage. answers: none where it does not say. model: which version was corrected."""

    question: str
    answers: tuple[Gold, ...]
    predicted: Predicted | None = None
    model: str | None = None
    note: str | None = None


def corrections_in(place: str, article: Any) -> Iterator[Correction]:
    """The corrections of an article. Raises DataError for what a training would refuse, or what would be lost here."""
    title = article.get("title") if isinstance(article, dict) else None
    for p, paragraph in enumerate(_list(article, "paragraphs", place)):
        where = f"{place}.paragraphs[{p}]"
        for q, entry in enumerate(_list(paragraph, "qas", where)):
            yield _entry(f"{where}.qas[{q}]", title, paragraph.get("context"), entry)


def articles_of(corrections: Iterable[Correction]) -> Iterator[Mapping[str, Any]]:
    """An article for each passage, with all questions about it, in the order in which the passages first come.

    Of articles that were put in by hand only the title is kept.
    """
    groups: dict[str, list[Correction]] = {}
    for correction in corrections:
        groups.setdefault(correction.about, []).append(correction)
    for passage, group in groups.items():
        titles = (correction.extra["title"] for correction in group if "title" in correction.extra)
        entries = [_written(correction) for correction in group]
        yield {"title": next(titles, _TITLE), "paragraphs": [{"context": passage, "qas": entries}]}


def predicted_in(value: Any) -> Predicted | None:
    """What a model had said, of JSON types. Raises InvalidInput."""
    if value is None:
        return None
    if not isinstance(value, dict) or not {"text"} <= value.keys() <= {"text", "score"}:
        raise InvalidInput("predicted: expected an object with a text and perhaps a score.", field="predicted")
    score = value.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1):
        raise InvalidInput("predicted: expected a score from 0 to 1, or null.", field="predicted")
    return Predicted(_plain(value["text"], "predicted", LONGEST_NOTE), None if score is None else float(score))


def optional_text(value: Any, field: str, most: int) -> str | None:
    """A text without blanks at its ends; None for none, and for blanks alone. Raises InvalidInput."""
    return None if value is None else _plain(value, field, most).strip() or None


def _plain(value: Any, field: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise InvalidInput(f"{field}: expected a text of at most {most:,} characters.", field=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{field}: it holds half of a surrogate pair, which no text does.", field=field) from None
    return value


def _list(value: Any, name: str, place: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise DataError(f"expected SQuAD JSON with a list at {place}.{name}, found {type(found).__name__}.")
    return found


def _entry(place: str, title: Any, context: Any, entry: Any) -> Correction:
    """One correction of the file. Raises DataError for what a training would refuse, or what this would lose."""
    if not isinstance(entry, dict):
        raise DataError(f"{place}: expected an object, found a {type(entry).__name__}.")
    row = flat_row(place, {"title": title, **entry, "context": context})
    if faults := faults_of(row.fields):
        raise DataError(f"{place}: {faults[0].cause}")
    name, revision = entry.get("id"), entry.get("revision", 1)
    if not isinstance(name, str) or not name:
        raise DataError(f"{place}: expected an id, a text that no other entry has.")
    if not isinstance(revision, int) or isinstance(revision, bool) or revision < 1:
        raise DataError(f"{place}: expected a whole number from 1 as its revision.")
    times = [entry.get(key) for key in ("created", "changed")]
    if not all(time is None or isinstance(time, str) for time in times):
        raise DataError(f"{place}: expected texts as created and changed.")
    answers = row.fields["answers"]
    try:
        content = Corrected(
            row.fields["question"],
            tuple(Gold(t, s) for t, s in zip(answers["text"], answers["answer_start"], strict=True)),
            predicted_in(entry.get("predicted")),
            optional_text(entry.get("model"), "model", LONGEST_MODEL),
            optional_text(entry.get("note"), "note", LONGEST_NOTE),
        )
    except InvalidInput as error:
        raise DataError(f"{place}: {error}") from None
    extra = {key: value for key, value in entry.items() if key not in _WRITTEN}
    if isinstance(title, str) and title != _TITLE:
        extra["title"] = title
    return Correction(
        id=name,
        revision=revision,
        created=times[0],
        changed=times[1],
        about=str(context),
        content=content,
        extra=extra,
    )


def _written(correction: Correction) -> dict[str, Any]:
    """One entry of SQuAD's."""
    content: Corrected = correction.content
    said = content.predicted
    own = {
        "revision": correction.revision,
        "created": correction.created,
        "changed": correction.changed,
        "model": content.model,
        "predicted": None if said is None else {"text": said.text, "score": said.score},
        "note": content.note,
    }
    extra = {key: value for key, value in correction.extra.items() if key != "title"}
    return {
        "id": correction.id,
        "question": content.question,
        "answers": [{"text": answer.text, "answer_start": answer.start} for answer in content.answers],
        "is_impossible": not content.answers and "verdict" not in extra,
        **{key: value for key, value in own.items() if value is not None},
        **extra,
    }
