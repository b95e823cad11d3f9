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
from trifold.tasks.qa.measuring.metrics import (
    Vector,
    auroc,
    best_over,
    coverage_at,
    exact_match,
    expected_calibration_error,
    f1,
    reliability,
    span_counts,
    totals_to_scores,
)
from trifold.tasks.qa.reader import Reader
from trifold.tasks.qa.records import Answer, Reply

__all__ = ["Evaluation", "Graded", "balanced_accuracy", "check_predictions", "evaluate", "spread_over"]


@dataclass(frozen=True, slots=True)
class Graded:
    """One question's reply and what it was worth.

    prediction: the best answer or the verdict; empty for "the passage does not say". score: the probability that the
    reply says it is right. exact, f1: SQuAD's; for yes/no questions both are 1 for the right verdict, else 0; for
    questions with several answers exact is 1 where all are found and nothing else, f1 that of the question's spans.
    has_answer: whether the data hold an answer. answers: all that were given. verdict: the right one, of yes/no
    questions. spans: `span_counts` of questions with several answers.
    """

    id: str
    prediction: str
    score: float
    exact: float
    f1: float
    has_answer: bool
    answers: tuple[Answer, ...] = ()
    verdict: str | None = None
    spans: tuple[float, ...] | None = None
    best: float | None = None

    @property
    def right(self) -> float:
        """Whether that is right of which `score` is the probability: the best answer, the verdict, or the silence."""
        return self.exact if self.best is None else self.best


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measured replies, and the seconds from the first question to the last answer.

    several: whether all gold answers of a question were to be found, rather than one of them.
    """

    model: str
    graded: tuple[Graded, ...]
    seconds: float
    several: bool = False

    def predictions(self) -> dict[str, str] | dict[str, list[str]]:
        """The texts by question, as the official scripts read them: SQuAD's, or MultiSpanQA's for several answers."""
        if self.several:
            return {one.id: [answer.text for answer in one.answers] for one in self.graded}
        return {one.id: one.prediction for one in self.graded}

    def to_dict(self) -> dict[str, Any]:
        """`trifold evaluate --json`: accuracy, exact and F1 in percent; ECE, AUROC and coverage from 0 to 1.

        `reliability` are the bins of the ECE, from low scores to high: how many, their mean score, the share right.
        """
        score = np.array([one.score for one in self.graded])
        right = np.array([one.right for one in self.graded])
        area = auroc(score, right)
        return {
            **_summary(self.graded),
            "has_answer": _summary([one for one in self.graded if one.has_answer]),
            "no_answer": _summary([one for one in self.graded if not one.has_answer]),
            **_spans(self.graded),
            **_verdicts(self.graded),
            "ece": round(expected_calibration_error(score, right), 4),
            "auroc": None if area is None else round(area, 4),
            "coverage_at_90": round(coverage_at(score, right), 4),
            "reliability": _bins(score, right),
            "model": self.model,
            "questions_per_second": round(len(self.graded) / max(self.seconds, 1e-9), 2),
        }


def evaluate(
    reader: Reader,
    examples: Sequence[Example],
    *,
    always_answer: bool = False,
    several: bool | None = None,
    top_k: int | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """Ask every question and grade the replies.

    several: all gold answers of a question are to be found; False: they are wordings of one answer; None: what the
    model is made for. top_k: how many answers at most; None: what the model is made for.

    Raises the error of a question that cannot be asked.
    """
    if several is None:
        several = reader.task.settings.answers == "several"
    options = {"always_answer": always_answer} | ({} if top_k is None else {"top_k": top_k})
    rows = ({"question": e.question, "passage": e.passage, **options} for e in examples)
    graded: list[Graded] = []
    began = time.perf_counter()
    for example, reply in zip(examples, reader.ask_many(rows), strict=True):
        if isinstance(reply, TrifoldError):
            raise type(reply)(f"question {example.id!r}: {reply}")
        graded.append(_grade(example, reply, several))
        progress(len(graded), len(examples))
    return Evaluation(reader.model, tuple(graded), time.perf_counter() - began, several)


def _grade(example: Example, reply: Reply, several: bool) -> Graded:
    golds = [gold.text for gold in example.golds]
    verdict = reply.verdict.text if reply.verdict else ""
    if example.verdict is not None:
        right = float(verdict == example.verdict)
        return Graded(example.id, verdict, reply.score, right, right, True, reply.answers, example.verdict)
    first = reply.answers[0] if reply.answers else None
    prediction, score = (first.text, first.score) if first else (verdict, reply.score)
    if several:
        said = [answer.text for answer in reply.answers] or ([verdict] if verdict else [])
        counts = span_counts(said, golds)
        exact = float(counts[0] == counts[1] == counts[2])
        part = totals_to_scores(counts)["exact"]["f1"]
        best = best_over(exact_match, prediction, golds)
        spans = tuple(counts.tolist())
        return Graded(example.id, prediction, score, exact, part, bool(golds), reply.answers, spans=spans, best=best)
    return Graded(
        example.id,
        prediction,
        score,
        best_over(exact_match, prediction, golds),
        best_over(f1, prediction, golds),
        bool(golds),
        reply.answers,
    )


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


def _bins(score: Vector, right: Vector) -> list[dict[str, Any]]:
    return [
        {"n": int(n), "score": round(float(said), 4), "right": round(float(found), 4)}
        for said, found, n in zip(*reliability(score, right), strict=True)
    ]


def _spans(graded: Sequence[Graded]) -> dict[str, Any]:
    """Precision, recall and F1 in percent over all spans of the questions with several answers, if there are any."""
    counts = [one.spans for one in graded if one.spans is not None]
    if not counts:
        return {}
    scores = totals_to_scores(np.sum(counts, axis=0))
    return {"spans": {kind: {k: round(100 * v, 4) for k, v in part.items()} for kind, part in scores.items()}}


def _verdicts(graded: Sequence[Graded]) -> dict[str, Any]:
    """Accuracy of the yes/no questions in percent, if there are any."""
    asked = [one for one in graded if one.verdict is not None]
    if not asked:
        return {}
    right = np.array([one.exact for one in asked])
    yes = np.array([one.verdict == "yes" for one in asked])
    return {
        "verdict": {
            "n": len(asked),
            "accuracy": round(100 * float(right.mean()), 4),
            "balanced_accuracy": round(100 * balanced_accuracy(right, yes), 4),
        }
    }


def balanced_accuracy(right: Vector, yes: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Mean of the shares right among the "yes" and among the "no" questions, from 0 to 1.

    right: 0 or 1, yes: whether "yes" is right, both of shape (n,), n > 0. Of one kind alone, its share.
    """
    return float(np.mean([right[kind].mean() for kind in (yes, ~yes) if kind.any()]))
