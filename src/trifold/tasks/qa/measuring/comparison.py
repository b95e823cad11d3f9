"""Two evaluations of the same questions side by side: each measure before, after, and how sure the difference is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from trifold.tasks.qa.measuring.evaluation import Evaluation, balanced_accuracy
from trifold.tasks.qa.measuring.metrics import (
    Indices,
    Vector,
    auroc,
    coverage_at,
    expected_calibration_error,
    resampled_interval,
    totals_to_scores,
)

__all__ = ["Columns", "Measure", "Outcome", "columns_of", "measure_all"]

Outcome: TypeAlias = Literal["better", "worse", "unclear", "same"]

_ROUNDS, _LARGE, _ROUNDS_OF_LARGE = 2000, 3000, 500


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of both models on the same n questions.

    unit: "percent" (0 to 100), "share" (0 to 1, shown in percent) or "number" (0 to 1). before, after: None where it
    is not defined. interval: 95 % paired bootstrap interval of after - before. higher: whether more is better.
    """

    key: str
    label: str
    unit: Literal["percent", "share", "number"]
    higher: bool
    n: int
    before: float | None
    after: float | None
    interval: tuple[float, float] | None

    @property
    def difference(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def points(self) -> float:
        """What turns values into hundredths, so that measures of all units share one scale."""
        return 1.0 if self.unit == "percent" else 100.0

    @property
    def outcome(self) -> Outcome:
        """What the difference amounts to: better or worse only where the interval leaves out 0."""
        if self.difference is None or self.interval is None:
            return "unclear"
        low, high = self.interval
        if low == high == 0:
            return "same"
        if low <= 0 <= high:
            return "unclear"
        return "better" if (low > 0) == self.higher else "worse"

    def show(self, value: float | None, *, signed: bool = False) -> str:
        """A value as a person reads it."""
        if value is None:
            return "–"
        digits, shown = (3, value) if self.unit == "number" else (1, value * self.points)
        return f"{round(shown, digits) + 0.0:{'+' if signed else ''}.{digits}f}"  # + 0.0: no "-0.0"

    def show_interval(self) -> str:
        """The interval as a person reads it."""
        if self.interval is None:
            return "–"
        low, high = (self.show(value, signed=True) for value in self.interval)
        return f"{low} to {high}"

    def to_dict(self) -> dict[str, Any]:
        """`after - before` and its interval in the measure's own unit, as in `trifold evaluate --json`."""
        return {
            "n": self.n,
            "before": _rounded(self.before),
            "after": _rounded(self.after),
            "difference": _rounded(self.difference),
            "interval": None if self.interval is None else [_rounded(value) for value in self.interval],
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True)
class Columns:
    """What one evaluation says of its n questions, in arrays of shape (n,); `spans` has shape (n, 5).

    right: what `score` is the probability of. asked: whether a question is one of yes or no; yes: whether that is the
    right verdict.
    """

    score: Vector
    exact: Vector
    right: Vector
    f1: Vector
    has_answer: np.ndarray[Any, np.dtype[np.bool_]]
    asked: np.ndarray[Any, np.dtype[np.bool_]]
    yes: np.ndarray[Any, np.dtype[np.bool_]]
    spans: Vector


def columns_of(evaluation: Evaluation) -> Columns:
    """An evaluation as arrays; questions without several answers count nothing in `spans`."""
    graded = evaluation.graded
    return Columns(
        np.array([one.score for one in graded], float),
        np.array([one.exact for one in graded], float),
        np.array([one.right for one in graded], float),
        np.array([one.f1 for one in graded], float),
        np.array([one.has_answer for one in graded], bool),
        np.array([one.verdict is not None for one in graded], bool),
        np.array([one.verdict == "yes" for one in graded], bool),
        np.array([one.spans or (0.0,) * 5 for one in graded], float).reshape(len(graded), 5),
    )


Statistic: TypeAlias = Callable[[Columns, Indices], float | None]


def _mean(values: Vector) -> float | None:
    return 100 * float(values.mean()) if len(values) else None


def _has_answer(c: Columns, i: Indices) -> float | None:
    return _mean(c.f1[i][c.has_answer[i]])


def _no_answer(c: Columns, i: Indices) -> float | None:
    return _mean(c.f1[i][~c.has_answer[i]])


def _span_f1(kind: str) -> Statistic:
    def statistic(c: Columns, i: Indices) -> float | None:
        totals = c.spans[i].sum(axis=0)
        return 100 * totals_to_scores(totals)[kind]["f1"] if totals[0] else None

    return statistic


def _accuracy(c: Columns, i: Indices) -> float | None:
    return _mean(c.exact[i][c.asked[i]])


def _balanced(c: Columns, i: Indices) -> float | None:
    asked = i[c.asked[i]]
    return 100 * balanced_accuracy(c.exact[asked], c.yes[asked]) if len(asked) else None


_MEASURES: tuple[tuple[str, str, Literal["percent", "share", "number"], bool, Statistic], ...] = (
    ("exact", "exact match", "percent", True, lambda c, i: _mean(c.exact[i])),
    ("f1", "F1", "percent", True, lambda c, i: _mean(c.f1[i])),
    ("has_answer_f1", "has-answer F1", "percent", True, _has_answer),
    ("no_answer_f1", "no-answer F1", "percent", True, _no_answer),
    ("spans_f1", "exact span F1", "percent", True, _span_f1("exact")),
    ("spans_overlap_f1", "overlap span F1", "percent", True, _span_f1("overlap")),
    ("verdict_accuracy", "yes/no accuracy", "percent", True, _accuracy),
    ("verdict_balanced_accuracy", "balanced yes/no accuracy", "percent", True, _balanced),
    ("ece", "ECE", "number", False, lambda c, i: expected_calibration_error(c.score[i], c.right[i])),
    ("auroc", "AUROC", "number", True, lambda c, i: auroc(c.score[i], c.right[i])),
    ("coverage_at_90", "coverage at 90 % precision", "share", True, lambda c, i: coverage_at(c.score[i], c.right[i])),
)


def measure_all(before: Columns, after: Columns) -> tuple[Measure, ...]:
    """Every measure that applies to these questions, with the interval of its difference."""
    n = len(before.score)
    every = np.arange(n)
    sizes = {
        "has_answer_f1": int(before.has_answer.sum()),
        "no_answer_f1": int((~before.has_answer).sum()),
        "verdict_accuracy": int(before.asked.sum()),
        "verdict_balanced_accuracy": int(before.asked.sum()),
        "spans_f1": int((before.spans[:, 0] > 0).sum()),
        "spans_overlap_f1": int((before.spans[:, 0] > 0).sum()),
    }
    measures = []
    for key, label, unit, higher, statistic in _MEASURES:
        if sizes.get(key, n) == 0:
            continue
        old, new = statistic(before, every), statistic(after, every)
        interval = _interval(statistic, before, after)
        measures.append(Measure(key, label, unit, higher, sizes.get(key, n), old, new, interval))
    return tuple(measures)


def _interval(statistic: Statistic, before: Columns, after: Columns) -> tuple[float, float] | None:
    """Of the difference, both models asked the same questions in each draw."""

    def difference(i: Indices) -> float | None:
        old, new = statistic(before, i), statistic(after, i)
        return None if old is None or new is None else new - old

    n = len(before.score)
    return resampled_interval(difference, n, rounds=_ROUNDS if n <= _LARGE else _ROUNDS_OF_LARGE)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
