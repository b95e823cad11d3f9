"""The report before and after a training: what became better, what became worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.measuring.changes import Changes, Kind, changed_questions
from trifold.tasks.qa.measuring.comparison import Columns, Measure, columns_of, measure_all
from trifold.tasks.qa.measuring.evaluation import Evaluation
from trifold.tasks.qa.measuring.metrics import aurc, reliability, risk_coverage

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Report", "Section", "compare", "print_report"]

_WIDE = 10.0
"""Points; an interval at least so wide says little."""
_FEW = 30
"""Questions; resampling fewer than these makes intervals that are themselves too narrow."""


@dataclass(frozen=True, slots=True)
class Section:
    """One set of questions that both models answered."""

    name: str
    before: Columns
    after: Columns
    measures: tuple[Measure, ...]
    changes: Mapping[Kind, Changes]

    @property
    def n(self) -> int:
        return len(self.before.score)

    @property
    def place(self) -> str:
        """The questions in words."""
        questions = "question" if self.n == 1 else "questions"
        if self.name == "domain":
            return f"{self.n:,} held-out {questions} of the domain"
        if self.name == "general":
            return f"{self.n:,} general {questions}"
        return f"{self.n:,} {questions} of “{self.name}”"

    @property
    def headline(self) -> Measure:
        """The measure that the questions are about: span F1, yes/no accuracy, or F1."""
        by_key = {measure.key: measure for measure in self.measures}
        if "spans_f1" in by_key:
            return by_key["spans_f1"]
        if "verdict_accuracy" in by_key and 2 * by_key["verdict_accuracy"].n > self.n:
            return by_key["verdict_accuracy"]
        return by_key["f1"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "measures": {measure.key: measure.to_dict() for measure in self.measures},
            "before": _curves(self.before),
            "after": _curves(self.after),
            "changed": {
                kind: {"count": changes.count, "shown": [change.to_dict() for change in changes.shown]}
                for kind, changes in self.changes.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Two models compared. facts: a JSON-like mapping of where the new one comes from, see `compare`."""

    sections: tuple[Section, ...]
    conclusion: tuple[str, ...]
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "conclusion": list(self.conclusion),
            "sections": {section.name: section.to_dict() for section in self.sections},
            "facts": dict(self.facts),
        }

    def to_html(self) -> str:
        """The report as one page that needs nothing else: no script, no network."""
        from trifold.tasks.qa.measuring.page import to_html

        return to_html(self)


def compare(
    before: Mapping[str, Evaluation],
    after: Mapping[str, Evaluation],
    *,
    examples: Mapping[str, Sequence[Example]],
    facts: Mapping[str, Any],
) -> Report:
    """Compare two models on the same questions.

    before, after, examples: by section ("domain", "general", or any other name), the questions of a section in one
    order. facts: what the report says of the training, all of it optional: `title`, `model`, `base`, `created`,
    `command`, `seconds`, `arguments` (a mapping), `data` (a list of `file`, `role`, `rows`, `sha256`), `warnings` (a
    list of texts) and `history` (a list of `epoch`, `train_loss`, `domain_f1`, `general_f1`).

    Raises ValueError for sections without questions, or that are not of the same questions.
    """
    if before.keys() != after.keys() or not before.keys() <= examples.keys() or not before:
        raise ValueError(f"expected the same sections, found {list(before)}, {list(after)} and {list(examples)}")
    sections = tuple(_section(name, before[name], after[name], examples[name]) for name in before)
    return Report(sections, tuple(line for section in sections for line in _in_words(section)), facts)


def _section(name: str, before: Evaluation, after: Evaluation, examples: Sequence[Example]) -> Section:
    asked = [example.id for example in examples]
    for evaluation in (before, after):
        if [one.id for one in evaluation.graded] != asked or not asked:
            raise ValueError(f"{name}: expected the replies to {len(asked)} questions (at least one) in their order")
    old, new = columns_of(before), columns_of(after)
    return Section(name, old, new, measure_all(old, new), changed_questions(before, after, examples))


def _curves(columns: Columns) -> dict[str, Any]:
    coverage, risk = risk_coverage(columns.score, columns.right)
    said, right, mass = reliability(columns.score, columns.right)
    return {
        "risk_coverage": {"coverage": coverage.round(4).tolist(), "risk": risk.round(4).tolist()},
        "aurc": round(aurc(columns.score, columns.right), 4),
        "reliability": {
            "score": said.round(4).tolist(),
            "right": right.round(4).tolist(),
            "n": mass.astype(int).tolist(),
        },
    }


def _in_words(section: Section) -> list[str]:
    """What a person should take from a section, no stronger than its intervals allow."""
    head = section.headline
    old, new = head.show(head.before), head.show(head.after)
    spread = f"95 %: {head.show_interval()}"
    if head.outcome == "same":
        first = f"On {section.place} {head.label} stayed at {new}."
    elif head.outcome == "unclear":
        first = f"On {section.place} {head.label} went from {old} to {new}; this may be chance ({spread})."
    else:
        verb = "rose" if (head.difference or 0) > 0 else "fell"
        first = f"On {section.place} {head.label} {verb} from {old} to {new} ({spread})."
    lines = [first]
    others = [m for m in section.measures if m is not head]
    for outcome, words in (("better", "Clearly better there too"), ("worse", "Clearly worse there")):
        named = [f"{m.label} {m.show(m.difference, signed=True)}" for m in others if m.outcome == outcome]
        if named and outcome == "better" and head.outcome != "better":
            words = "Clearly better there"
        if named:
            lines.append(f"{words}: {', '.join(named)}.")
    return [" ".join(lines), *_reservations(section)]


def _reservations(section: Section) -> list[str]:
    low, high = section.headline.interval or (0.0, 0.0)
    width = (high - low) * section.headline.points
    if section.n < _FEW:
        return [f"{section.place[0].upper()}{section.place[1:]} are too few to trust even these intervals."]
    if width >= _WIDE:
        return [
            f"With {section.n:,} questions the interval is wide ({width:.0f} points); more held-out questions would "
            "narrow it."
        ]
    return []


def print_report(console: Console, report: Report) -> None:
    """The report as a person reads it in a terminal: for each section before, after and the difference."""
    from rich.table import Table
    from rich.text import Text

    from trifold.printable import printable

    styles = {"better": "green", "worse": "red", "same": "dim", "unclear": ""}
    for section in report.sections:
        table = Table(
            "",
            "before",
            "after",
            "difference",
            "95 %",
            title=Text(printable(section.place)),
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
        )
        for column in table.columns[1:]:
            column.justify = "right"
        for m in section.measures:
            label = f"{m.label} (%)" if m.unit == "share" else m.label
            table.add_row(
                label,
                m.show(m.before),
                m.show(m.after),
                Text(m.show(m.difference, signed=True), style=styles[m.outcome]),
                m.show_interval(),
            )
        console.print(table)
        counts = {kind: changes.count for kind, changes in section.changes.items()}
        console.print(f"[dim]{counts['won']:,} won, {counts['lost']:,} lost, {counts['other']:,} otherwise wrong[/]\n")
    for line in report.conclusion:
        console.print(Text(printable(line)))
    for warning in report.facts.get("warnings", ()):
        console.print(Text.assemble(("Warning: ", "yellow"), printable(str(warning))))
