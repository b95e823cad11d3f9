"""Measures a reader on questions with known answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.errors import TrifoldError
from trifold.tasks.qa.data import Example
from trifold.tasks.qa.metrics import auroc, best_over, exact_match, expected_calibration_error, f1
from trifold.tasks.qa.reader import Reader

__all__ = ["Evaluation", "Graded", "evaluate", "spread_over"]


@dataclass(frozen=True, slots=True)
class Graded:
    """One question's reply and what it was worth. An empty prediction stands for "the passage does not say"."""

    id: str
    prediction: str
    score: float
    exact: float
    f1: float
    has_answer: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measured replies, and the seconds from the first question to the last answer."""

    model: str
    graded: tuple[Graded, ...]
    seconds: float

    def predictions(self) -> dict[str, str]:
        """The texts by question, as the official SQuAD script reads them."""
        return {one.id: one.prediction for one in self.graded}

    def to_dict(self) -> dict[str, Any]:
        """`trifold evaluate --json`: exact and F1 in percent, ECE and AUROC from 0 to 1."""
        score = np.array([one.score for one in self.graded])
        right = np.array([one.exact for one in self.graded])
        area = auroc(score, right)
        return {
            **_summary(self.graded),
            "has_answer": _summary([one for one in self.graded if one.has_answer]),
            "no_answer": _summary([one for one in self.graded if not one.has_answer]),
            "ece": round(expected_calibration_error(score, right), 4),
            "auroc": None if area is None else round(area, 4),
            "model": self.model,
            "questions_per_second": round(len(self.graded) / max(self.seconds, 1e-9), 2),
        }


def evaluate(
    reader: Reader,
    examples: Sequence[Example],
    *,
    always_answer: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Ask every question and grade the replies. Raises the error of a question that cannot be asked."""
    rows = ({"question": e.question, "passage": e.passage, "always_answer": always_answer} for e in examples)
    graded: list[Graded] = []
    began = time.perf_counter()
    for example, reply in zip(examples, reader.ask_many(rows), strict=True):
        if isinstance(reply, TrifoldError):
            raise type(reply)(f"question {example.id!r}: {reply}")
        prediction = reply.answers[0].text if reply.answers else ""
        golds = [gold.text for gold in example.golds]
        graded.append(
            Graded(
                example.id,
                prediction,
                reply.score,
                best_over(exact_match, prediction, golds),
                best_over(f1, prediction, golds),
                bool(golds),
            )
        )
        progress(len(graded))
    return Evaluation(reader.model, tuple(graded), time.perf_counter() - began)


def spread_over(examples: Sequence[Example], limit: int | None) -> Sequence[Example]:
    """At most `limit` examples, evenly spaced over all of them."""
    if limit is None or limit >= len(examples):
        return examples
    return [examples[i * len(examples) // limit] for i in range(limit)]


def _summary(graded: Sequence[Graded]) -> dict[str, Any]:
    """Count, exact match and F1 in percent; 0 questions have no mean."""
    if not graded:
        return {"n": 0, "exact": None, "f1": None}
    return {
        "n": len(graded),
        "exact": round(100 * float(np.mean([one.exact for one in graded])), 4),
        "f1": round(100 * float(np.mean([one.f1 for one in graded])), 4),
    }
