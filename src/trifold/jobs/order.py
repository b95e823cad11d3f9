"""What a batch job is told to do, what it says meanwhile, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trifold.jobs.tally import Tally
from trifold.task import Limits

__all__ = ["Order", "Summary", "Watcher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be answered, with what, and where the answers go.

    inputs: files, folders, or "-". output: a file, or "-". columns: field -> the column that it stands in. options:
    fields of every request, such as `top_k`. keep: input columns that the output has too; None for all. errors: file
    for the rows that cannot be answered; by default beside the output. max_errors: stop when there are more.
    """

    inputs: Sequence[str]
    output: str
    model: str = "default"
    precision: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    keep: Sequence[str] | None = ()
    errors: str | None = None
    max_errors: int | None = None
    input_format: str | None = None
    output_format: str | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Summary:
    """How a job ended. resumed: rows that an earlier, interrupted run had answered. seconds: of this run."""

    model: str
    output: str
    errors: str | None
    tally: Tally
    resumed: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows of this run."""
        return (self.tally.rows - self.resumed) / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        counts = self.tally.to_dict()
        return {
            "model": self.model,
            "output": self.output,
            "errors_file": self.errors,
            "rows": counts["rows"],
            "answered": counts["answered"],
            "no_answer": counts["silent"],
            "errors": counts["failed"],
            "computed": counts["computed"],
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
            "questions_per_second": round(self.rows_per_second, 1),
            "score_histogram": counts["scores"],
            "warnings": counts["warnings"],
        }


class Watcher(Protocol):
    """Looks on while a job runs."""

    def stage(self, label: str) -> None:
        """What is done now, before and after the answering."""

    def begin(self, total: int | None, resumed: int) -> None:
        """Answering begins. total: rows of the input, where they can be counted; resumed: answered before."""

    def advance(self, rows: int, errors: int) -> None:
        """Rows dealt with so far, those before included, and how many of them could not be answered."""

    def warn(self, text: str) -> None:
        """Something the user should know."""

    def failed(self, error: Mapping[str, Any]) -> None:
        """A row that cannot be answered, where no file takes it."""
