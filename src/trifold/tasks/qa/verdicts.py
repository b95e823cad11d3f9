"""Yes and no, read off two words that stand before the passage in every window.

The words are candidates like any other, so a model that quotes learns to point at them: the graph, its outputs and
the log-odds against "no answer" are the same, and nothing has to be learnt from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.task import Arrays
from trifold.tasks.qa.tokens import Ids, QaTokenizer

__all__ = ["VERDICTS", "VerdictOdds", "VerdictWords", "read_verdict"]

VERDICTS = ("yes", "no")


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """The tokens of "yes" and "no", in that order."""

    words: tuple[Ids, ...]

    @classmethod
    def of(cls, tokenizer: QaTokenizer) -> VerdictWords:
        return cls(tuple(tokenizer.question(word) for word in VERDICTS))

    @property
    def ids(self) -> Ids:
        """Both words as they stand in a window, shape (tokens,)."""
        return np.concatenate(self.words)

    def spans(self, first: int) -> tuple[tuple[int, int], ...]:
        """(first, last) token of each word where the first of them stands at `first`."""
        ends = first + np.cumsum([len(word) for word in self.words])
        return tuple((int(end) - len(word), int(end) - 1) for word, end in zip(self.words, ends, strict=True))


@dataclass(frozen=True, slots=True)
class VerdictOdds:
    """verdict: "yes" or "no", whichever is likelier. log_odds: of its being so. null_log_odds: of neither."""

    verdict: str
    log_odds: float
    null_log_odds: float


def read_verdict(outputs: Sequence[Arrays], spans: Sequence[tuple[int, int]], null: int) -> VerdictOdds:
    """Compare yes, no and silence over all windows: p = exp(u) / (1 + sum exp(u)), u summed over the windows.

    outputs: `start_logits` and `end_logits` of each window, shape (length,). spans: where the words stand in each.
    """
    evidence = np.array(
        [
            [
                float(out["start_logits"][first] + out["end_logits"][last])
                - float(out["start_logits"][null] + out["end_logits"][null])
                for first, last in spans
            ]
            for out in outputs
        ]
    )
    totals = np.append(np.logaddexp.reduce(evidence, axis=0), 0.0)  # the null's own u is 0
    odds = [float(total - np.logaddexp.reduce(np.delete(totals, i))) for i, total in enumerate(totals)]
    best = int(totals[0] < totals[1])
    return VerdictOdds(VERDICTS[best], odds[best], odds[-1])
