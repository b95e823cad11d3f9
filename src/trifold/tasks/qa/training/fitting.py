"""Fits a reader's calibration to questions that nobody will be shown a score of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trifold.engine.loaded import Loaded
from trifold.errors import TrifoldError
from trifold.task import Limits, Progress, no_progress
from trifold.tasks.qa.calibration import Calibration, fit_platt, fit_threshold
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.measuring.metrics import best_over, exact_match, f1
from trifold.tasks.qa.reader import Reader
from trifold.tasks.qa.records import Reply
from trifold.tasks.qa.task import QaTask

__all__ = ["fit_calibration"]


def fit_calibration(loaded: Loaded, examples: Sequence[Example], progress: Progress = no_progress) -> Calibration:
    """Platt scaling of the answer's and the null's log-odds, and the threshold with the best F1.

    examples: from training data, with and without an answer, in the proportion that scores shall be right for.
    Both kinds should come from like texts, or the null learns to tell the texts apart.
    """
    task = loaded.task
    assert isinstance(task, QaTask)
    raw = replace(loaded, task=task.with_calibration(Calibration()))
    rows = [{"question": e.question, "passage": e.passage, "always_answer": True} for e in examples]
    answer_odds, null_odds, windows, exact, earned, silent = (np.zeros(len(rows)) for _ in range(6))
    for i, (row, example, reply) in enumerate(zip(rows, examples, Reader(raw).ask_many(rows), strict=True)):
        if isinstance(reply, TrifoldError):
            raise reply
        golds = [gold.text for gold in example.golds]
        text, probability = _top(reply)
        answer_odds[i] = _log_odds(probability)
        null_odds[i] = _log_odds(reply.no_answer_score or 0.0)
        windows[i] = len(task.encode(task.check(row, Limits())).units)
        exact[i] = best_over(exact_match, text, golds)
        earned[i] = best_over(f1, text, golds)
        silent[i] = not golds
        progress(i + 1, len(rows))
    null = fit_platt(null_odds, windows, silent)
    probability_of_null = np.array([null(z, int(n)) for z, n in zip(null_odds, windows, strict=True)])
    threshold = fit_threshold(probability_of_null, earned, silent)
    # An answer's score is read where an answer is given: it is fitted on those replies.
    given = probability_of_null <= threshold
    return Calibration(fit_platt(answer_odds[given], windows[given], exact[given]), null, threshold)


def _top(reply: Reply) -> tuple[str, float]:
    return (reply.answers[0].text, reply.answers[0].score) if reply.answers else ("", 0.0)


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-13), 1 - 1e-13)
    return float(np.log(bounded) - np.log1p(-bounded))
