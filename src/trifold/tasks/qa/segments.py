"""Every answer of a passage at once: the probability of each candidate among all sets of answers.

A set of non-overlapping candidates has the log-weight sum u, with u a candidate's log-odds against "no answer" (see
`spans`), and the empty set 0: a semi-Markov conditional random field without transitions (Sarawagi & Cohen 2004). The
start of a first answer pairs no better with the end of a second than both do as answers of their own, so a set holds
neighbours apart where a ranking of single candidates would join them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trifold.task import Arrays
from trifold.tasks.qa.spans import Span, Spans, log_odds_of, score_candidates
from trifold.tasks.qa.tokens import PassageTokens
from trifold.tasks.qa.windows import Window

__all__ = ["find_segments", "marginals"]

Matrix = np.ndarray[Any, np.dtype[np.float64]]

_LEAST = 1e-6
"""Candidates with a smaller probability are not looked at."""


def find_segments(
    passages: Sequence[PassageTokens],
    windows: Sequence[Window],
    outputs: Sequence[Arrays],
    *,
    null: int,
    max_tokens: int,
    top_k: int,
) -> Spans:
    """The likeliest candidates, none overlapping another, and the log-odds of there being none.

    As `spans.find_spans`, with each candidate's log-odds being those of its standing in the set of answers.
    """
    scores, bases = score_candidates(passages, windows, outputs, null=null, max_tokens=max_tokens)
    log_marginal, log_empty = marginals(scores)
    tokens, extras = np.nonzero(log_marginal > np.log(_LEAST))
    order = np.argsort(-log_marginal[tokens, extras], kind="stable")
    taken = np.zeros(len(scores) + 1, bool)
    best: list[Span] = []
    for at in order:
        token, extra = int(tokens[at]), int(extras[at])
        if len(best) == top_k:
            break
        if taken[token : token + extra + 1].any():
            continue
        taken[token : token + extra + 1] = True
        index = int(np.searchsorted(bases, token, side="right")) - 1
        first = token - int(bases[index])
        own = passages[index]
        odds = log_odds_of(float(log_marginal[token, extra]))
        best.append(Span(index, int(own.starts[first]), int(own.ends[first + extra]), odds))
    return Spans(tuple(best), log_odds_of(log_empty))


def marginals(scores: np.ndarray[Any, Any]) -> tuple[Matrix, float]:
    """log P(candidate is in the set), and log P(the set is empty), by the forward-backward algorithm.

    scores: shape (tokens, longest), u of the candidate from token t to t + j, -inf where there is none. The first
    result has that shape.
    """
    tokens, longest = scores.shape
    ahead = np.full((tokens + longest, longest), -np.inf)
    ahead[:tokens] = scores
    steps = np.arange(longest)
    # ending[t, j]: the candidate of j + 1 tokens whose last token is t.
    rows = np.arange(tokens)[:, None] - steps[None, :]
    ending = np.where(rows >= 0, ahead[rows, steps[None, :]], -np.inf)
    before = np.full(tokens + longest, -np.inf)  # before[longest - 1 + t]: all sets on the first t tokens
    origin = longest - 1
    before[origin] = 0.0
    after = np.full(tokens + longest + 1, -np.inf)  # after[t]: all sets on the tokens from t on
    after[tokens] = 0.0
    with np.errstate(invalid="ignore"):
        for t in range(tokens):
            reach = before[origin + t - longest + 1 : origin + t + 1][::-1] + ending[t]
            before[origin + t + 1] = _log_sum(reach, before[origin + t])
        for t in range(tokens - 1, -1, -1):
            after[t] = _log_sum(ahead[t] + after[t + 1 : t + 1 + longest], after[t + 1])
    total = before[origin + tokens]
    ends = np.minimum(np.arange(tokens)[:, None] + steps[None, :] + 1, tokens)
    log_marginal = before[origin : origin + tokens, None] + ahead[:tokens] + after[ends] - total
    return np.minimum(log_marginal, 0.0), float(min(-total, 0.0))


def _log_sum(values: np.ndarray[Any, Any], base: float) -> float:
    """log(exp(base) + sum exp(values)), base finite."""
    highest = max(float(values.max()), base)
    return highest + float(np.log(np.exp(values - highest).sum() + np.exp(base - highest)))
