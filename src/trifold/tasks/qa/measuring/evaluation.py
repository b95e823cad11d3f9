"""Measures a reader on questions with known answers."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import DataError, TrifoldError
from trifold.task import Progress, no_progress
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.measuring.metrics import auroc, best_over, exact_match, expected_calibration_error, f1
from trifold.tasks.qa.reader import Reader

__all__ = ["Evaluation", "Graded", "check_predictions", "evaluate", "spread_over"]


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
    progress: Progress = no_progress,
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
        progress(len(graded), len(examples))
    return Evaluation(reader.model, tuple(graded), time.perf_counter() - began)


def check_predictions(path: Path, examples: Sequence[Example]) -> None:
    """Refuse, before the work, a predictions file that could not be written or would lose answers."""
    if not path.absolute().parent.is_dir():
        raise DataError(f"{path}: its folder does not exist. Make it first.")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise DataError(f"{path}: it may not be written. Choose another place.")
    ids = Counter(example.id for example in examples)
    repeated = next((name for name, count in ids.items() if count > 1), None)
    if repeated is not None:
        raise DataError(f"{path}: predictions are kept by id, and {repeated!r} is the id of several questions.")


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
