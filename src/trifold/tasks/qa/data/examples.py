"""Questions with their right answers, as training and measuring use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trifold.errors import DataError
from trifold.tasks.qa.data.formats import read_rows
from trifold.tasks.qa.data.repairs import Gold, faults_of
from trifold.tasks.qa.data.rows import Row

__all__ = ["Example", "Row", "read_examples", "read_rows", "to_example"]


@dataclass(frozen=True, slots=True)
class Example:
    """A question about a passage with its right answers; none of them where the passage does not say.

    verdict: "yes" or "no" for a yes/no question, else None; then `golds` are the quotations that support it, if any.
    """

    id: str
    question: str
    passage: str
    golds: tuple[Gold, ...]
    verdict: str | None = None
    title: str = ""


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
    answers = fields["answers"]
    golds = tuple(Gold(t, s) for t, s in zip(answers["text"], answers["answer_start"], strict=True))
    identifier, title = fields.get("id"), fields.get("title")
    return Example(
        str(row.place if identifier is None else identifier),
        fields["question"],
        fields["context"],
        golds,
        fields.get("verdict"),
        "" if title is None else str(title),
    )
