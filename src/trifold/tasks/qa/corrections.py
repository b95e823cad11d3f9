"""Corrections of answers: what may be sent, and how it reads. The file is the matter of `data/corrections`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from trifold.correction import Checked, Correction
from trifold.errors import InvalidInput
from trifold.task import Limits
from trifold.tasks.qa.check import check_text
from trifold.tasks.qa.data.corrections import (
    LONGEST_MODEL,
    LONGEST_NOTE,
    Corrected,
    articles_of,
    corrections_in,
    optional_text,
    predicted_in,
)
from trifold.tasks.qa.data.repairs import Gold, faults_of

__all__ = ["QaCorrections"]

_MOST_ANSWERS = 1000
_LEAST_PASSAGES = 3
_PRINTED = 10**12


_TEXT = {"type": "string", "minLength": 1, "pattern": r"\S"}
_POSITION = {"type": "integer", "minimum": 0}
_REPORT = "The report was written by Ada Lovelace in 1843."
_REQUEST: Mapping[str, Any] = {
    "type": "object",
    "required": ["question", "passage", "answers"],
    "properties": {
        "question": {**_TEXT, "description": "What was asked."},
        "passage": {**_TEXT, "description": "The text that it was asked about, unchanged."},
        "answers": {
            "type": "array",
            "maxItems": _MOST_ANSWERS,
            "items": {
                "type": "object",
                "required": ["text", "start", "end"],
                "properties": {
                    "text": {**_TEXT, "description": "Word for word: `passage[start:end]`."},
                    "start": {**_POSITION, "description": "In Unicode code points."},
                    "end": {**_POSITION, "description": "In Unicode code points, exclusive."},
                },
                "additionalProperties": False,
            },
            "description": "The right answers, each of them right by itself; empty where the passage does not say.",
        },
        "predicted": {
            "type": ["object", "null"],
            "required": ["text"],
            "properties": {
                "text": {"type": "string", "maxLength": LONGEST_NOTE, "description": "Empty: that it does not say."},
                "score": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            },
            "additionalProperties": False,
            "description": "What the model had said.",
        },
        "model": {"type": ["string", "null"], "maxLength": LONGEST_MODEL, "description": "The version that said it."},
        "note": {"type": ["string", "null"], "maxLength": LONGEST_NOTE, "description": "For whoever reviews it."},
    },
    "additionalProperties": False,
}
_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "The right words": {
        "question": "Who wrote it?",
        "passage": _REPORT,
        "answers": [{"text": "Ada Lovelace", "start": 26, "end": 38}],
        "predicted": {"text": "Ada", "score": 0.31},
        "model": "default@1",
        "note": "The full name.",
    },
    "The passage does not say": {"question": "Who is the mayor of Paris?", "passage": _REPORT, "answers": []},
}


class QaCorrections:
    """Corrections of answers; a `CorrectionForm`. They are about passages."""

    request = _REQUEST
    examples = _EXAMPLES
    head: Mapping[str, Any] = {"version": "v2.0"}

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Checked:
        """Check that every answer stands in the passage where it says; blanks at its ends are left out, with a note.

        Raises InvalidInput, naming the field.
        """
        known = _REQUEST["properties"]
        if unknown := sorted(key for key in raw if key not in known):
            raise InvalidInput(
                f"unknown field {unknown[0]!r:.60}.", f"A correction has: {', '.join(known)}.", field=unknown[0][:60]
            )
        question, passage = raw.get("question"), raw.get("passage")
        check_text(question, "question", limits)
        check_text(passage, "passage", limits)
        answers, notes = _answers(str(question), str(passage), raw.get("answers"))
        content = Corrected(
            str(question),
            answers,
            predicted_in(raw.get("predicted")),
            optional_text(raw.get("model"), "model", LONGEST_MODEL),
            optional_text(raw.get("note"), "note", LONGEST_NOTE),
        )
        return Checked(str(passage), content, notes)

    def asked(self, about: str, content: Corrected) -> Mapping[str, Any]:
        return {"question": content.question, "passage": about}

    def key(self, content: Corrected) -> Hashable:
        """The question, in which blanks do not count."""
        return " ".join(content.question.split())

    def texts(self, content: Corrected) -> Iterable[str]:
        yield content.question
        yield from (answer.text for answer in content.answers)
        yield from filter(None, (content.predicted and content.predicted.text, content.model, content.note))

    def render(self, about: str, content: Corrected) -> Mapping[str, Any]:
        said = content.predicted
        return {
            "question": content.question,
            "passage": about,
            "answers": [{"text": a.text, "start": a.start, "end": a.start + len(a.text)} for a in content.answers],
            "predicted": None if said is None else {"text": said.text, "score": said.score},
            "model": content.model,
            "note": content.note,
        }

    def missing(self, corrections: Iterable[Correction]) -> str | None:
        """As `training/splits` has it, passages enough to teach, to choose and to report; and an answer among them."""
        passages: set[str] = set()
        answered = False
        for correction in corrections:
            passages.add(correction.about)
            answered = answered or bool(correction.content.answers)
            if answered and len(passages) >= _LEAST_PASSAGES:
                return None
        if len(passages) < _LEAST_PASSAGES:
            return (
                f"A training needs corrections about {_LEAST_PASSAGES} passages at least, since some teach and others "
                f"only choose and report; so far they are about {len(passages)}."
            )
        return "A training needs at least one correction with an answer: from silence alone nothing can be learnt."

    def read(self, place: str, element: Any) -> Iterator[Correction]:
        """The questions of an article. Raises DataError."""
        return corrections_in(place, element)

    def elements(self, corrections: Iterable[Correction]) -> Iterator[Mapping[str, Any]]:
        """Articles."""
        return articles_of(corrections)

    def command(self, file: str, name: str, base: str | None) -> Sequence[str]:
        return ["trifold", "finetune", file, *(() if base is None else ("--base", base)), "--name", name]


def _answers(question: str, passage: str, given: Any) -> tuple[tuple[Gold, ...], tuple[str, ...]]:
    """The right answers without blanks at their ends and without repetitions, and what was left out."""
    if not isinstance(given, list):
        found = "nothing" if given is None else f"a {type(given).__name__}"
        raise InvalidInput(
            f"answers: expected a list, found {found}.",
            "Give an empty one where the passage does not say.",
            field="answers",
        )
    if len(given) > _MOST_ANSWERS:
        raise InvalidInput(f"answers: at most {_MOST_ANSWERS:,}, found {len(given):,}.", field="answers")
    golds: list[Gold] = []
    notes = []
    for index, answer in enumerate(given):
        name = f"answers[{index}]"
        text, start = _placed(name, answer)
        core = text.strip()
        if core != text and core and passage.startswith(text, start):
            start += text.index(core)
            notes.append(f"{name}: blanks at its ends were left out; it stands at {start} to {start + len(core)}.")
            text = core
        lists = {"text": [text], "answer_start": [start]}
        if faults := faults_of({"question": question, "context": passage, "answers": lists}):
            raise InvalidInput(name + faults[0].cause.removeprefix("answers[0]"), field=name)
        if Gold(text, start) in golds:
            notes.append(f"{name}: it stands in the list already.")
        else:
            golds.append(Gold(text, start))
    return tuple(golds), tuple(notes)


def _placed(name: str, answer: Any) -> tuple[str, int]:
    """An answer's text and start, which fit its end."""
    if not isinstance(answer, dict) or answer.keys() != {"text", "start", "end"}:
        raise InvalidInput(f"{name}: expected an object with text, start and end.", field=name)
    text, start, end = answer["text"], _whole(answer["start"]), _whole(answer["end"])
    if not isinstance(text, str) or start is None or end is None:
        raise InvalidInput(f"{name}: expected a text, and whole numbers from 0 as start and end.", field=name)
    if end - start != len(text):
        raise InvalidInput(
            f"{name}: its text has {len(text):,} characters, from start to end are {end - start:,}.",
            "Count Unicode code points from 0, the end exclusive; JavaScript and Java count UTF-16 units.",
            field=name,
        )
    return text, start


def _whole(value: Any) -> int | None:
    """A position; None for what is none. JSON knows no difference between 3 and 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _PRINTED else None
