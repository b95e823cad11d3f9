"""How good answers and scores are: exact match, F1, calibration error, ranking.

Exact match and F1 follow the official SQuAD 2.0 script (Rajpurkar et al. 2018) to the letter; its normalisation is
made for English.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = ["auroc", "best_over", "exact_match", "expected_calibration_error", "f1", "normalise"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")

Vector = np.ndarray[Any, np.dtype[np.float64]]


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


def expected_calibration_error(score: Vector, right: Vector, bins: int = 15) -> float:
    """Mean gap between score and share right, over bins of equal mass (Naeini et al. 2015, with equal masses).

    score: probabilities, right: 0 or 1, both of shape (n,). 0 for n = 0.
    """
    if not len(score):
        return 0.0
    # Equal scores share their mean, so that the order of the questions does not matter where a bin cuts them.
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    right = (np.bincount(inverse, weights=right) / counts)[inverse]
    order = np.argsort(score, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(float(score[p].mean() - right[p].mean())) * len(p) for p in parts]
    return sum(gaps) / len(score)


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
