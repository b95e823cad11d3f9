"""Labelled windows: what the network reads, and where in it the right answers stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.task import Limits, Unit
from trifold.tasks.qa.boundaries import Flags
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import PassageTokens
from trifold.tasks.qa.windows import Window

__all__ = ["LabelledWindow", "balanced_windows", "labelled_windows"]


@dataclass(frozen=True, slots=True)
class LabelledWindow:
    """One window of T tokens.

    unit: the network's inputs. may_start, may_end: shape (T,), where a candidate may begin and end. golds: (first,
    last) token of each right answer that stands in the window as a whole. echo: shape (T,), which tokens stand in the
    question, and verdict: the right one, both of yes/no questions. Neither gold nor verdict: the window does not say.
    """

    unit: Unit
    may_start: Flags
    may_end: Flags
    golds: tuple[tuple[int, int], ...]
    echo: Flags
    verdict: str | None = None

    @property
    def silent(self) -> bool:
        """Whether the window does not say."""
        return not self.golds and self.verdict is None


def labelled_windows(task: QaTask, example: Example) -> list[LabelledWindow]:
    """The windows of an example as the reader will see them.

    A window that cuts its only answer in two is left out: neither an answer nor silence is right there. Raises
    InvalidInput for an example that the model has no room for.
    """
    task.check({"question": example.question, "passage": example.passage}, Limits())
    layout, units = task.lay_out(example.question, example.passage)
    (tokens,) = layout.passages
    spans = [span for gold in example.golds if (span := _tokens_of(tokens, gold)) is not None]
    found = []
    for window, unit in zip(layout.windows, units, strict=True):
        may_start, may_end, echo = (np.zeros(unit.cost, bool) for _ in range(3))
        there = slice(window.offset, window.offset + window.size)
        own = slice(window.first, window.first + window.size)
        golds, cut = _golds_in(window, spans)
        if cut and not golds:
            continue
        may_start[there], may_end[there] = tokens.may_start[own], tokens.may_end[own]
        verdict = None
        if example.verdict is not None and layout.echoes:
            echo[there] = layout.echoes[0][own]
            # The evidence, where it is marked, says which windows hold the verdict.
            verdict = example.verdict if golds or not spans else None
            golds = ()
        for first, last in golds:  # a label that splits a word is learnt as it is
            may_start[first] = may_end[last] = True
        found.append(LabelledWindow(unit, may_start, may_end, golds, echo, verdict))
    return found


def balanced_windows(task: QaTask, examples: Sequence[Example], *, silence: float, seed: int) -> list[LabelledWindow]:
    """The windows of all examples, those without an answer thinned out.

    silence: how many windows without an answer are kept of an example for each one with an answer, at least one of an
    example that has none. A long document has so many that they would drown the answers.
    """
    chance = np.random.default_rng(seed)
    kept = []
    for example in examples:
        windows = labelled_windows(task, example)
        silent = [window for window in windows if window.silent]
        answered = [window for window in windows if not window.silent]
        most = round(silence * len(answered)) if answered else max(1, round(silence))
        chosen = chance.permutation(len(silent))[:most]
        kept += [*answered, *(silent[i] for i in sorted(chosen))]
    return kept


def _tokens_of(tokens: PassageTokens, gold: Gold) -> tuple[int, int] | None:
    """First and last token of an answer; None where no token stands for it."""
    inside = np.flatnonzero((tokens.ends > gold.start) & (tokens.starts < gold.start + len(gold.text)))
    return (int(inside[0]), int(inside[-1])) if len(inside) else None


def _golds_in(window: Window, spans: Sequence[tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], bool]:
    """The answers that stand in a window as a whole, in its own tokens, and whether one is cut by its edge."""
    stop = window.first + window.size
    shift = window.offset - window.first
    whole = {(a + shift, b + shift) for a, b in spans if window.first <= a and b < stop}
    cut = any(a < stop and b >= window.first and not (window.first <= a and b < stop) for a, b in spans)
    return tuple(sorted(whole)), cut
