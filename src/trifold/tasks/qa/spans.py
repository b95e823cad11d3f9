"""From logits to answers: log-odds against "no answer", over all windows of all passages at once.

In each window a candidate's log-odds are u = (s + e) - (s_null + e_null), with s and e its start and end logits; the
null's own u is 0. Over all windows of all passages p = exp(u) / (1 + sum exp(u)), the sum over distinct
candidates. Windows are thereby compared by their evidence, not each by a softmax of its own, which would rank a
window's only candidate above another's strong but contested one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.task import Arrays
from trifold.tasks.qa.tokens import PassageTokens
from trifold.tasks.qa.windows import Window

__all__ = ["Span", "Spans", "find_spans", "log_odds_of", "score_candidates"]

Scores = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate: code points [start, end) of a passage, and the log-odds of its probability."""

    passage: int
    start: int
    end: int
    log_odds: float


@dataclass(frozen=True, slots=True)
class Spans:
    """The best candidates, distinct and not overlapping, and the log-odds of "no answer" (None: no trained null)."""

    best: tuple[Span, ...]
    null_log_odds: float | None


def find_spans(
    passages: Sequence[PassageTokens],
    windows: Sequence[Window],
    outputs: Sequence[Arrays],
    *,
    null: int | None,
    max_tokens: int,
    top_k: int,
) -> Spans:
    """Score every candidate of at most `max_tokens` tokens and pick the best `top_k`.

    outputs: for each window `start_logits` and `end_logits`, shape (length,). null: index of the null token, or None
    for a model without one, whose candidates are compared by s + e alone.
    """
    scores, bases = score_candidates(passages, windows, outputs, null=null, max_tokens=max_tokens)
    weights, shift = _weights(scores, null)
    mass = float(weights.sum())
    rest = float(np.exp(-shift)) if null is not None else 0.0
    best: list[Span] = []
    open_scores = scores if top_k == 1 else scores.copy()
    for _ in range(top_k):
        token, extra = divmod(int(open_scores.argmax()), open_scores.shape[1]) if open_scores.size else (0, 0)
        if not open_scores.size or open_scores[token, extra] == -np.inf:
            break
        # Summed without the pick rather than subtracted: the difference of near-equal sums has no digits left.
        own = weights[token, extra]
        weights[token, extra] = 0.0
        others = rest + float(weights.sum())
        weights[token, extra] = own
        log_odds = _log_ratio(float(own), others)
        index = int(np.searchsorted(bases, token, side="right")) - 1
        first = token - int(bases[index])
        tokens = passages[index]
        best.append(
            Span(index, int(tokens.starts[first]), int(tokens.ends[first + extra]), log_odds),
        )
        if top_k > 1:
            _close_overlapping(open_scores, token, extra)
    return Spans(tuple(best), _log_ratio(rest, mass) if null is not None else None)


def score_candidates(
    passages: Sequence[PassageTokens],
    windows: Sequence[Window],
    outputs: Sequence[Arrays],
    *,
    null: int | None,
    max_tokens: int,
) -> tuple[Scores, np.ndarray[Any, Any]]:
    """scores[t, j]: the best u, over all windows, of the candidate from token t to token t + j.

    Tokens are counted through all passages; the second result holds where each passage's begin, and their number. A
    candidate in several windows is one entry, hence distinct; -inf marks what is no candidate.
    """
    bases = np.cumsum([0, *(len(p.ids) for p in passages)])
    max_tokens = max(1, min(max_tokens, max((window.size for window in windows), default=1)))
    scores = np.full((int(bases[-1]), max_tokens), -np.inf, np.float32)
    for window, output in zip(windows, outputs, strict=True):
        tokens = passages[window.passage]
        there = slice(window.offset, window.offset + window.size)
        own = slice(window.first, window.first + window.size)
        baseline = output["start_logits"][null] + output["end_logits"][null] if null is not None else 0.0
        start = np.where(tokens.may_start[own], output["start_logits"][there] - baseline, -np.inf)
        end = np.full(window.size + max_tokens - 1, -np.inf, np.float32)
        end[: window.size] = np.where(tokens.may_end[own], output["end_logits"][there], -np.inf)
        pairs = start[:, None] + np.lib.stride_tricks.sliding_window_view(end, max_tokens)
        base = int(bases[window.passage]) + window.first
        target = scores[base : base + window.size]
        np.maximum(target, pairs, out=target)
    return scores, bases


def _weights(scores: Scores, null: int | None) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """exp(scores - shift) in double precision, and the shift that keeps it in range."""
    highest = float(scores.max()) if scores.size else -np.inf
    shift = max(highest, 0.0) if null is not None else highest
    if shift == -np.inf:
        return np.zeros(scores.shape), 0.0
    return np.exp(scores.astype(np.float64) - shift), shift


def _log_ratio(part: float, others: float) -> float:
    """log(part / others), kept finite: a certainty is e^700 to one."""
    if others <= 0.0:
        return 700.0
    return float(np.log(part) - np.log(others)) if part > 0.0 else -700.0


def log_odds_of(log_probability: float) -> float:
    """log(p / (1 - p)) of log p, kept finite."""
    rest = -np.expm1(log_probability)
    return log_probability - float(np.log(rest)) if rest > 0.0 else 700.0


def _close_overlapping(scores: Scores, token: int, extra: int) -> None:
    """Take the candidates that share a token with [token, token + extra] out of the running."""
    span = scores.shape[1]
    scores[token : token + extra + 1] = -np.inf
    for row in range(max(0, token - span + 1), token):
        scores[row, token - row :] = -np.inf
