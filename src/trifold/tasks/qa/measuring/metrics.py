"""How good answers and scores are: exact match, F1, several answers, calibration, ranking, and how sure that is.

Exact match and F1 follow the official SQuAD 2.0 script (Rajpurkar et al. 2018) to the letter; its normalisation is
made for English. The metrics of questions with several answers are those of MultiSpanQA (Li et al. 2022).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

__all__ = [
    "Indices",
    "Vector",
    "aurc",
    "auroc",
    "best_over",
    "bootstrap_interval",
    "coverage_at",
    "exact_match",
    "expected_calibration_error",
    "f1",
    "normalise",
    "reliability",
    "resampled_interval",
    "risk_coverage",
    "span_counts",
    "span_scores",
    "totals_to_scores",
]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")

Vector = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and extra blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, gold: str) -> float:
    """1 where the normalised texts are equal, else 0."""
    return float(normalise(prediction) == normalise(gold))


def f1(prediction: str, gold: str) -> float:
    """Harmonic mean of precision and recall over normalised words; an empty side counts as a match of emptiness."""
    found, wanted = normalise(prediction).split(), normalise(gold).split()
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def best_over(metric: Callable[[str, str], float], prediction: str, golds: Iterable[str]) -> float:
    """The best value over the gold answers; no gold answer, or none but empty ones, means "no answer"."""
    kept = [gold for gold in golds if normalise(gold)] or [""]
    return max(metric(prediction, gold) for gold in kept)


def span_counts(predicted: Iterable[str], gold: Iterable[str]) -> Vector:
    """What one question with several answers adds to precision and recall, shape (5,).

    Spans found, spans wanted, spans that are equal, and the parts of the found and of the wanted spans that overlap:
    for each span its longest common run of characters with a span of the other side, as a share of its own length.
    Texts are compared as sets after SQuAD normalisation. An empty side counts as one span, right where both are
    empty. This is the official MultiSpanQA script's count, to the letter.
    """
    found, wanted = {normalise(text) for text in predicted}, {normalise(text) for text in gold}
    sizes, equal = [max(len(found), 1), max(len(wanted), 1)], len(found & wanted) if found or wanted else 1
    if not wanted or not found - {""}:
        silent = float(not wanted and not found - {""})
        return np.array([*sizes, equal, silent, silent])
    common = np.array([[_longest_run(w, f) for f in found] for w in wanted], float)
    of_found = common.max(axis=0) / [max(len(text), 1) for text in found]
    of_wanted = common.max(axis=1) / [max(len(text), 1) for text in wanted]
    return np.array([*sizes, equal, of_found.sum(), of_wanted.sum()])


def _longest_run(wanted: str, found: str) -> int:
    return SequenceMatcher(None, wanted, found).find_longest_match().size


def totals_to_scores(totals: Vector) -> dict[str, dict[str, float]]:
    """Precision, recall and F1, from 0 to 1, of summed `span_counts`: of equal spans, and of overlapping ones."""
    found, wanted, equal, of_found, of_wanted = (float(value) for value in totals)
    scores = {}
    for name, p, r in (("exact", equal, equal), ("overlap", of_found, of_wanted)):
        precision, recall = p / max(found, 1.0), r / max(wanted, 1.0)
        total = precision + recall
        scores[name] = {"precision": precision, "recall": recall, "f1": 2 * precision * recall / total if total else 0}
    return scores


def span_scores(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 over all spans of all questions (micro), from 0 to 1 (MultiSpanQA, Li et al. 2022).

    predicted, gold: for each question its answers; none for "the passage does not say". `exact` wants equal texts,
    `overlap` gives each span the share of it that the other side has (see `span_counts`).
    """
    counts = [span_counts(p, g) for p, g in zip(predicted, gold, strict=True)]
    return totals_to_scores(np.sum(counts, axis=0) if counts else np.zeros(5))


def reliability(score: Vector, right: Vector, bins: int = 15) -> tuple[Vector, Vector, Vector]:
    """Mean score, share right and number of replies in bins of equal mass, each of shape (at most bins,).

    score: probabilities, right: 0 or 1, both of shape (n,). The bins go from the lowest scores to the highest.
    """
    # Equal scores share their mean, so that the order of the questions does not matter where a bin cuts them.
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    right = (np.bincount(inverse, weights=right) / counts)[inverse]
    order, bins = np.argsort(score, kind="stable"), min(bins, len(score))
    if not bins:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    mass = np.full(bins, len(score) // bins)
    mass[: len(score) % bins] += 1
    starts = np.cumsum(mass) - mass
    said, found = np.add.reduceat(score[order], starts) / mass, np.add.reduceat(right[order], starts) / mass
    return said, found, mass.astype(float)


def expected_calibration_error(score: Vector, right: Vector, bins: int = 15) -> float:
    """Mean gap between score and share right, over bins of equal mass (Naeini et al. 2015, with equal masses).

    score: probabilities, right: 0 or 1, both of shape (n,). 0 for n = 0.
    """
    said, found, mass = reliability(score, right, bins)
    return float((np.abs(said - found) * mass).sum()) / max(len(score), 1)


def auroc(score: Vector, right: Vector) -> float | None:
    """Probability that a right reply scores above a wrong one, ties counting half; None without both kinds."""
    positive = right > 0
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if n1 == 0 or n0 == 0:
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    rank = (upper - (counts - 1) / 2)[inverse]  # mean rank of each run of ties, from 1
    return (float(rank[positive].sum()) - n1 * (n1 + 1) / 2) / (n1 * n0)


def risk_coverage(score: Vector, right: Vector) -> tuple[Vector, Vector]:
    """The share of questions answered, and the share wrong among these, for each score as the least to be answered.

    El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017. score: any ranking, right: 0 or 1, both of shape (n,). Returns
    coverage, rising to 1, and risk, one value for each distinct score: equal scores are answered together.
    """
    _, inverse = np.unique(-score, return_inverse=True)
    answered = np.cumsum(np.bincount(inverse))
    hits = np.cumsum(np.bincount(inverse, weights=right))
    return answered / max(len(score), 1), 1 - hits / answered


def aurc(score: Vector, right: Vector) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages. 0 is best; 0 for n = 0."""
    coverage, risk = risk_coverage(score, right)
    return float((np.diff(coverage, prepend=0.0) * risk).sum())


def coverage_at(score: Vector, right: Vector, precision: float = 0.9) -> float:
    """The largest share of questions, the best scores first, of whose answers at least `precision` are right.

    Questions of equal score are answered together or not at all. 0 where no score reaches the precision.
    """
    coverage, risk = risk_coverage(score, right)
    reached = coverage[risk <= 1 - precision + 1e-9]
    return float(reached[-1]) if len(reached) else 0.0


def resampled_interval(
    statistic: Callable[[Indices], float | None], n: int, *, seed: int = 0, rounds: int = 2000
) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval (Efron 1979) of a statistic of n questions.

    statistic: its value for questions drawn with replacement, given as indices of shape (n,), n > 0; None where it
    is not defined. Computing a difference of two models on the same draw makes the interval a paired one. None
    where the statistic was not defined on any draw.
    """
    chance = np.random.default_rng(seed)
    drawn = [statistic(chance.integers(n, size=n)) for _ in range(rounds)]
    values = [value for value in drawn if value is not None]
    if not values:
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def bootstrap_interval(difference: Vector, seed: int = 0, rounds: int = 2000) -> tuple[float, float]:
    """95 % paired bootstrap interval of the mean of differences between two models, question by question.

    difference: shape (n,), n > 0.
    """
    interval = resampled_interval(lambda i: float(difference[i].mean()), len(difference), seed=seed, rounds=rounds)
    assert interval is not None
    return interval
