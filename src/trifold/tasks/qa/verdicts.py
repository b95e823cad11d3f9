"""Yes and no, by whether what the passage answers stands in the question.

Asked "Did Ada write the report?", a reader finds "Ada" in a passage that says so, and another name in one that does
not. So the candidates that repeat the question's own words speak for yes, all others for no, each with its weight
exp(u), u being its log-odds against "no answer" (see `spans`). The graph and its outputs are those of any reader, which
needs to learn little to be used so, and the verdict comes with the quotation that it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.task import Arrays
from trifold.tasks.qa.boundaries import Flags
from trifold.tasks.qa.spans import log_odds_of, score_candidates
from trifold.tasks.qa.tokens import PassageTokens
from trifold.tasks.qa.windows import Window

__all__ = ["VERDICTS", "VerdictOdds", "find_verdict", "repeating"]

VERDICTS = ("yes", "no")


@dataclass(frozen=True, slots=True)
class VerdictOdds:
    """yes: log-odds of yes against no. null_log_odds: of neither. quotations: for each verdict, (passage, start, end)
    of the candidate that speaks loudest for it, None where there is none.
    """

    yes: float
    null_log_odds: float
    quotations: tuple[tuple[int, int, int] | None, ...]


def find_verdict(
    passages: Sequence[PassageTokens],
    echoes: Sequence[Flags],
    windows: Sequence[Window],
    outputs: Sequence[Arrays],
    *,
    null: int,
    max_tokens: int,
) -> VerdictOdds:
    """Compare yes, no and silence over all windows of all passages.

    echoes: for each passage which tokens stand in the question, shape (tokens,). The rest is as in `spans.find_spans`.
    """
    scores, bases = score_candidates(passages, windows, outputs, null=null, max_tokens=max_tokens)
    echo = np.concatenate([*echoes, np.zeros(0, bool)])
    repeated = repeating(echo, scores.shape[1])
    sides = [np.where(side, scores, -np.inf).astype(np.float64) for side in (repeated, ~repeated)]
    totals = [float(np.logaddexp.reduce(side, axis=None, initial=-700.0)) for side in sides]
    quotations: list[tuple[int, int, int] | None] = []
    for side in sides:
        token, extra = divmod(int(side.argmax()), side.shape[1]) if side.size else (0, 0)
        if not side.size or side[token, extra] == -np.inf:
            quotations.append(None)
            continue
        index = int(np.searchsorted(bases, token, side="right")) - 1
        first = token - int(bases[index])
        own = passages[index]
        quotations.append((index, int(own.starts[first]), int(own.ends[first + extra])))
    silence = -float(np.logaddexp.reduce([0.0, *totals]))
    return VerdictOdds(totals[0] - totals[1], log_odds_of(silence), tuple(quotations))


def repeating(echo: np.ndarray[Any, Any], longest: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which candidates repeat the question: entry (t, j) is whether all tokens from t to t + j stand in it."""
    tokens = len(echo)
    ahead = np.concatenate([echo, np.zeros(longest, bool)])
    shifted = np.stack([ahead[j : j + tokens] for j in range(longest)], axis=1)
    found: np.ndarray[Any, np.dtype[np.bool_]] = np.logical_and.accumulate(shifted, axis=1)
    return found
