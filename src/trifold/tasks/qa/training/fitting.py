"""Fits a reader's calibration to questions that nobody will be shown a score of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trifold.engine.loaded import Loaded
from trifold.errors import TrifoldError
from trifold.task import Limits, Progress, no_progress
from trifold.tasks.qa.calibration import Calibration, Platt, fit_least, fit_platt, fit_threshold
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.measuring.metrics import best_over, exact_match, f1, normalise
from trifold.tasks.qa.reader import Reader
from trifold.tasks.qa.records import Reply
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.verdicts import VERDICTS

__all__ = ["fit_calibration"]

_CANDIDATES = 20
_PRIOR = (10.0, 10.0, 0.25)
"""How firmly a domain's fit is held to the general one: the domain's share of right answers may be quite another
(offset), while what a log-odds is worth hardly changes (slope, windows). In units of 1 / variance."""
_WEAK = (1e-3, 4.0, 1e-3)
"""Few passages have several windows, and a handful of them must not decide what a window is worth."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a reader said and what it was worth. All arrays but `row` and those of candidates have one entry a question.

    odds, right, row: of every candidate answer its log-odds, whether it is right, and its question.
    """

    null_odds: np.ndarray[Any, Any]
    windows: np.ndarray[Any, Any]
    earned: np.ndarray[Any, Any]
    silent: np.ndarray[Any, Any]
    wanted: np.ndarray[Any, Any]
    odds: np.ndarray[Any, Any]
    right: np.ndarray[Any, Any]
    row: np.ndarray[Any, Any]


def fit_calibration(
    loaded: Loaded,
    domain: Sequence[Example],
    general: Sequence[Example] = (),
    progress: Progress = no_progress,
    *,
    threshold: float | None = None,
) -> Calibration:
    """Platt scaling of the answers' and the null's log-odds, and the thresholds with the best F1.

    domain: from the training data, with and without an answer, in the proportion that scores shall be right for.
    general: other questions, for what too few rows of the domain cannot tell: they are the prior of the answers'
    scores, and weigh as much as the domain for the null. Of either, both kinds should come from like texts, or
    the null learns to tell the texts apart. threshold: of silence, instead of the one with the best F1.
    """
    own = _observe(loaded, domain, lambda done, _: progress(done, len(domain) + len(general)))
    if not general:
        return _calibration(own, np.ones(len(domain)), Platt(), _WEAK, threshold=threshold)
    other = _observe(loaded, general, lambda done, _: progress(len(domain) + done, len(domain) + len(general)))
    prior = fit_platt(other.odds, other.windows[other.row], other.right, ridge=_WEAK)
    both = _Seen(*(np.concatenate([getattr(s, n) for s in (own, other)]) for n in _Seen.__slots__))
    both.row[len(own.row) :] += len(domain)
    half = len(both.windows) / 2
    weight = np.repeat([half / len(domain), half / len(general)], [len(domain), len(general)])
    return _calibration(both, weight, prior, _PRIOR, answers_of=len(domain), threshold=threshold)


def _calibration(
    seen: _Seen,
    weight: np.ndarray[Any, Any],
    prior: Platt,
    ridge: Sequence[float],
    *,
    answers_of: int | None = None,
    threshold: float | None = None,
) -> Calibration:
    """weight: of each question for the null. answers_of: fit the answers to so many first questions only."""
    null = fit_platt(seen.null_odds, seen.windows, seen.silent, weight=weight, ridge=_WEAK)
    probability = np.array([null(z, int(n)) for z, n in zip(seen.null_odds, seen.windows, strict=True)])
    if threshold is None:
        threshold = fit_threshold(probability, seen.earned * weight, seen.silent * weight)
    # An answer's score is read where an answer is given: it is fitted on those replies.
    own = seen.row < (len(seen.windows) if answers_of is None else answers_of)
    given = own & (probability[seen.row] <= threshold)
    if not given.any():
        given = own
    windows = seen.windows[seen.row]
    answer = fit_platt(seen.odds[given], windows[given], seen.right[given], prior=prior, ridge=ridge)
    if answer.slope <= 0:  # too few rows to tell; the order of the answers stands in any case
        answer = replace(answer, slope=max(prior.slope, 0.1))
    score = np.array([answer(z, int(n)) for z, n in zip(seen.odds[own], windows[own], strict=True)])
    questions = np.unique(seen.row[own])
    least = fit_least(score, seen.right[own], float(seen.wanted[questions].sum()))
    return Calibration(answer, null, threshold, least)


def _observe(loaded: Loaded, examples: Sequence[Example], progress: Progress) -> _Seen:
    """Ask every question without a calibration. Raises the error of one that cannot be asked."""
    task = loaded.task
    assert isinstance(task, QaTask)
    raw = Reader(replace(loaded, task=task.with_calibration(Calibration())))
    several = task.settings.answers == "several"
    top_k = _CANDIDATES if several else 1
    rows = [{"question": e.question, "passage": e.passage, "always_answer": True, "top_k": top_k} for e in examples]
    questions, candidates = [], []
    for i, (row, example, reply) in enumerate(zip(rows, examples, raw.ask_many(rows), strict=True)):
        if isinstance(reply, TrifoldError):
            raise reply
        windows = len(task.encode(task.check(row, Limits())).units)
        silent = float(not example.golds and example.verdict is None)
        graded, earned = _graded(example, reply, silent)
        found = [(odds, right, i) for odds, right in graded]
        wanted = len({normalise(gold.text) for gold in example.golds})
        questions.append((_log_odds(reply.no_answer_score or 0.0), windows, earned, silent, wanted))
        candidates += found
        progress(i + 1, len(rows))
    table, offers = np.array(questions, float).reshape(-1, 5), np.array(candidates, float).reshape(-1, 3)
    null_odds, windows_of, earned_of, silent_of, wanted_of = table.T
    return _Seen(
        null_odds, windows_of, earned_of, silent_of, wanted_of, offers[:, 0], offers[:, 1], offers[:, 2].astype(int)
    )


def _graded(example: Example, reply: Reply, silent: float) -> tuple[list[tuple[float, float]], float]:
    """(log-odds, right) of each candidate, the best first, and the F1 of the reply; of a verdict, those of "yes"."""
    if reply.verdict is not None:
        odds = _log_odds(reply.verdict.score)
        of_yes = odds if reply.verdict.text == VERDICTS[0] else -odds
        known = [] if example.verdict is None else [(of_yes, float(example.verdict == VERDICTS[0]))]
        return known, float(reply.verdict.text == example.verdict)
    golds = [gold.text for gold in example.golds]
    if not reply.answers:
        return [], silent
    graded = [(_log_odds(answer.score), best_over(exact_match, answer.text, golds)) for answer in reply.answers]
    return graded, best_over(f1, reply.answers[0].text, golds)


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-13), 1 - 1e-13)
    return float(np.log(bounded) - np.log1p(-bounded))
