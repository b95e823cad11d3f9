"""Chooses between results by how much they look like the text; nothing here knows what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trifold.tasks.asr.choosing.measures import Measures, Yardstick, common_size, measure, yardstick
from trifold.tasks.asr.choosing.verdict import DOUBTFUL, NOT, Levels, Verdict, levels, place, verdict

__all__ = ["Judge", "Judged"]

_APART, _TOGETHER = 0.5, 0.75
"""Seen: 0.78 and more where a language was learnt, 0.73 and 0.74 with half of the phones wrong, 0.15 to 0.41 where
nothing was learnt (docs/speech.md)."""
_ALONE = "there was one seed only, so nothing says whether another would find the same"


@dataclass(frozen=True, slots=True)
class Judged:
    """place: 0 looks like text, 1 like shuffled text; the lower, the better."""

    place: float
    measures: Measures


@dataclass(frozen=True, slots=True)
class Judge:
    """What results are compared with. size: phones of a sample."""

    text: Yardstick
    levels: Levels
    size: int

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]], symbols: int, phones: int, seed: int) -> Judge:
        """phones: about how many a result has."""
        text = yardstick(sentences, symbols, seed=seed)
        size = min(common_size(text), max(phones, 1))
        return cls(text, levels(text, size=size, seed=seed), size)

    def judge(self, found: Sequence[Sequence[int]]) -> Judged:
        """found: the phones of each utterance."""
        measured = measure(found, self.text, size=self.size)
        return Judged(place(measured, self.levels), measured)

    def conclude(self, judged: Judged, agreement: float | None) -> Verdict:
        """The verdict on a result that as much of other seeds' results agrees with; see `Learnt`.

        What was read with the text's trigrams looks like the text even where it is wrong, so agreement decides.
        """
        found = verdict(judged.measures, self.levels)
        if agreement is None:
            return found if found.word == NOT else Verdict(DOUBTFUL, found.place, (*found.causes, _ALONE))
        if agreement < _APART:
            said = f"the seeds agree on {agreement:.0%} of the sounds only: what was found depends on chance"
            return Verdict(NOT, found.place, (said, *found.causes))
        if agreement < _TOGETHER and found.word != NOT:
            said = f"the seeds agree on {agreement:.0%} of the sounds"
            return Verdict(DOUBTFUL, found.place, (said, *found.causes))
        return found
