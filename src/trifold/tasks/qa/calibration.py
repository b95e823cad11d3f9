"""Makes probabilities of the model's own: Platt scaling, and the threshold of "the passage does not say".

Platt, J. (1999): Probabilistic outputs for support vector machines. The features are the log-odds that the model
gives and the logarithm of the number of windows, since more windows hold more wrong candidates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trifold.errors import ModelDamaged

__all__ = ["Calibration", "Platt", "fit_least", "fit_platt", "fit_threshold"]

_MOST = 30.0
"""Log-odds beyond this are of models that are sure of everything, and would only stretch the fit."""

Vector = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Platt:
    """probability = sigmoid(slope * log_odds + windows * log(number of windows) + offset)."""

    slope: float = 1.0
    windows: float = 0.0
    offset: float = 0.0

    def __call__(self, log_odds: float, windows: int) -> float:
        bounded = min(max(log_odds, -_MOST), _MOST)  # as it was fitted
        z = self.slope * bounded + self.windows * math.log(max(windows, 1)) + self.offset
        return 1.0 / (1.0 + math.exp(-min(max(z, -500.0), 500.0)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """answer, null: what turns log-odds into probabilities of being right.

    threshold: the passage does not say where the null's probability is above this. least: with several answers, each
    is given whose probability is at least this.
    """

    answer: Platt = Platt()
    null: Platt = Platt()
    threshold: float = 0.5
    least: float = 0.5

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote. Raises ModelDamaged."""
        try:
            answer, null = Platt(**facts["answer"]), Platt(**facts["null"])
            threshold, least = facts["threshold"], facts.get("least", 0.5)
            numbers = [*asdict(answer).values(), *asdict(null).values(), threshold, least]
            if not all(math.isfinite(number) for number in numbers) or answer.slope < 0:
                raise ValueError("not finite, or an answer's slope below 0, which would turn their order round")
            return cls(answer, null, float(threshold), float(least))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelDamaged(f"the model's calibration cannot be read ({error!r}).") from None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit_platt(
    log_odds: Vector,
    windows: Vector,
    right: Vector,
    *,
    weight: Vector | None = None,
    prior: Platt = Platt(),
    ridge: Sequence[float] = (1e-3, 1e-3, 1e-3),
) -> Platt:
    """Maximum a posteriori by Newton's method, with Platt's smoothed targets.

    log_odds, windows (counts), right (0 or 1), weight (1 by default): shape (n,), n > 0. prior, ridge: mean and
    1 / variance of slope, windows and offset before any data is seen.
    """
    z = np.clip(log_odds, -_MOST, _MOST)
    features = np.stack([z, np.log(np.maximum(windows, 1)), np.ones_like(z)], axis=1)
    weight = np.ones_like(z) if weight is None else weight
    positive, negative = float((right * weight).sum()), float(((1 - right) * weight).sum())
    target = np.where(right > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    mean = np.array([prior.slope, prior.windows, prior.offset])
    precision = np.diag(np.array(ridge, float))
    beta = mean.copy()
    for _ in range(100):
        p = 1 / (1 + np.exp(-features @ beta))
        gradient = features.T @ (weight * (p - target)) + precision @ (beta - mean)
        hessian = (features * (weight * (p * (1 - p) + 1e-9))[:, None]).T @ features + precision
        step = np.linalg.solve(hessian, gradient)
        beta = beta - step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-9:
            break
    return Platt(*(float(value) for value in beta))


def fit_least(score: Vector, right: Vector, wanted: float) -> float:
    """The least score of an answer worth giving: the best F1 of those given against all that are wanted.

    score, right (0 or 1): of every candidate, shape (n,). wanted: how many right answers there are. 0.5 where nothing
    is right.
    """
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(right[order])
    if not len(found) or not found[-1]:
        return 0.5
    merit = 2 * found / (np.arange(1, len(found) + 1) + max(wanted, found[-1]))
    k = int(np.argmax(merit))
    below = float(score[order[k + 1]]) if k + 1 < len(order) else 0.0
    return (float(score[order[k]]) + below) / 2


def fit_threshold(null_probability: Vector, gain_answering: Vector, gain_abstaining: Vector) -> float:
    """The threshold with the highest mean gain (such as F1), in the middle of the best gap.

    All of shape (n,): the null's probability, and what answering or abstaining would earn on each question.
    """
    order = np.argsort(-null_probability, kind="stable")
    total = np.concatenate([[0.0], np.cumsum((gain_abstaining - gain_answering)[order])])
    ordered = null_probability[order]
    # Abstain on the first k: no threshold cuts a run of equal probabilities, or is below a probability of 0.
    allowed = np.concatenate([[True], ordered[1:] < ordered[:-1], [bool(ordered[-1] > 0)]])
    k = int(np.argmax(np.where(allowed, total, -np.inf)))
    above = 1.0 if k == 0 else float(ordered[k - 1])
    below = float(ordered[k]) if k < len(ordered) else 0.0
    return min((above + below) / 2, float(np.nextafter(above, 0.0)) if k else 1.0)
