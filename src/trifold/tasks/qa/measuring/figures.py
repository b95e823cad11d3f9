"""The report's figures: what its plots show, in which words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.tasks.qa.measuring.metrics import aurc, coverage_at, reliability, risk_coverage
from trifold.tasks.qa.measuring.plots import Axis, Series, bar_plot, line_plot, percent

if TYPE_CHECKING:
    from trifold.tasks.qa.measuring.comparison import Columns
    from trifold.tasks.qa.measuring.report import Section

__all__ = ["history_figure", "score_figures"]

_BINS = 20
_CURVES = (
    ("domain_f1", "domain", "after"),
    ("general_f1", "general", "before"),
)


def score_figures(section: Section, name: str) -> str:
    """Risk and coverage before and after; reliability and the distribution of scores after."""
    return _risk_figure(section, name) + _reliability_figure(section, name) + _scores_figure(section, name)


def _risk_figure(section: Section, name: str) -> str:
    curves = []
    for columns, label in ((section.before, "before"), (section.after, "after")):
        coverage, risk = risk_coverage(columns.score, columns.right)
        curves.append(Series(label, label, list(zip(coverage.tolist(), risk.tolist(), strict=True))))
    high = max(0.2, *(b for curve in curves for _, b in curve.points))
    limit = Series("", "guide", [(0.0, 0.1), (1.0, 0.1)])
    areas = [aurc(c.score, c.right) for c in (section.before, section.after)]
    shares = [coverage_at(c.score, c.right) for c in (section.before, section.after)]
    words = (
        f"Answering only the surest questions leaves fewer wrong. With at most 10 % wrong (the dotted line) "
        f"{100 * shares[0]:.1f} % could be answered before and {100 * shares[1]:.1f} % after. "
        f"Area under the curve (0 is best): {areas[0]:.3f} before, {areas[1]:.3f} after."
    )
    title = "Risk and coverage"
    axes = Axis("share of questions answered, surest first", 0, 1), Axis("wrong among them", 0, _ceiling(high))
    return _figure(title, line_plot(f"{name}-risk", title, words, [limit, *curves], *axes), words)


def _reliability_figure(section: Section, name: str) -> str:
    said, right, mass = reliability(section.after.score, section.after.right)
    high = _ceiling(max(said.max(), right.max()))
    series = [
        Series("ideal", "guide", [(0.0, 0.0), (high, high)]),
        Series("after", "after", list(zip(said.tolist(), right.tolist(), strict=True)), dots=True, joined=False),
    ]
    gap = float((np.abs(said - right) * mass).sum() / mass.sum())
    words = (
        f"Each dot is a {len(mass)}th of the replies, by score: on the line, scores are the shares right; below it, "
        f"the model is too sure. The mean gap (ECE) is {gap:.3f}."
    )
    title = "Are the scores right? (after)"
    axes = Axis("mean score of the replies", 0, high), Axis("share right", 0, high)
    return _figure(title, line_plot(f"{name}-reliability", title, words, series, *axes), words)


def _scores_figure(section: Section, name: str) -> str:
    right, wrong = _histogram(section.after)
    highest = max(1.0, max(a + b for a, b in zip(right, wrong, strict=True)))
    words = (
        "How many replies have which score, right and wrong ones. The further the two are apart, the better a score "
        "tells which replies to trust."
    )
    title = "Distribution of scores (after)"
    axes = Axis("score", 0, 1), Axis("replies", 0, highest, lambda value: f"{value:,.0f}")
    stacks = [("wrong", "wrong", wrong), ("right", "after", right)]
    return _figure(title, bar_plot(f"{name}-scores", title, words, stacks, *axes), words)


def _histogram(columns: Columns) -> tuple[list[float], list[float]]:
    """Right and wrong replies in bins of equal width from 0 to 1."""
    place = np.minimum((columns.score * _BINS).astype(int), _BINS - 1)
    right = np.bincount(place, weights=columns.right, minlength=_BINS)
    every = np.bincount(place, minlength=_BINS)
    return right.tolist(), (every - right).tolist()


def history_figure(history: Sequence[Mapping[str, Any]]) -> str:
    """The learning curve; nothing where none was recorded."""
    series = []
    for key, label, style in _CURVES:
        points = [(float(row["epoch"]), float(row[key])) for row in history if _is_number(row.get(key))]
        if points:
            series.append(Series(label, style, points, dots=len(points) <= 30))
    if not series:
        return ""
    highest = max(b for one in series for _, b in one.points)
    last = max(a for one in series for a, _ in one.points)
    words = (
        "Expected F1 while training, of rows that were not trained on: of the domain, which decides what epoch is "
        "kept, and of general questions, which show what is forgotten."
    )
    title = "Learning curve"
    axes = Axis("epoch", 0, last or 1, "{:g}".format), Axis("expected F1", 0, _ceiling(highest) or 1.0, percent)
    return _figure(title, line_plot("history", title, words, series, *axes), words)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _ceiling(share: float) -> float:
    """The next tenth, for an axis that ends at a tick."""
    return min(1.0, math.ceil(10 * share - 1e-9) / 10)


def _figure(title: str, plot: str, words: str) -> str:
    """A plot with its heading and the words that a screen reader also gets; no text from outside is in them."""
    return f"<figure><h3>{title}</h3>{plot}<figcaption>{words}</figcaption></figure>"
