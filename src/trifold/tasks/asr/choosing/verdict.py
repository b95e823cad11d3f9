"""Whether transcripts are to be trusted, by what they look like beside the text; and in words, why not.

Those for the place between text and shuffled text come from simulations (`tests/asr_corrupted`) with held-out text of
an invented language of 20 phones and of Mboshi, 0 to 90 % of errors; English phones, seen afterwards, agreed. The place
was about 0.2 to 0.35 at 15 to 20 % of wrong phones, 0.45 to 0.75 at 30 to 35 %, 0.75 to 0.9 at 55 %. The other
thresholds are set by judgement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trifold.errors import DataError
from trifold.tasks.asr.choosing.measures import Measures, Yardstick, measure
from trifold.tasks.asr.choosing.simulated import permuted, unigrams

__all__ = ["DOUBTFUL", "NOT", "TOOK_OFF", "Levels", "Verdict", "levels", "place", "verdict"]

TOOK_OFF: Word = "took off"
DOUBTFUL: Word = "doubtful"
NOT: Word = "did not take off; do not use these transcripts"

Word = Literal["took off", "doubtful", "did not take off; do not use these transcripts"]

_FINE, _LOST = 0.65, 0.85
"""Places up to which transcripts are fine, and from which they are lost: about 35 and 55 % of wrong phones."""
_VARIETY = 0.5
"""Variety over that of text, which errors only raise."""
_FEW_USED, _SOME_UNUSED = 0.5, 0.8
_TOO_EASY = 0.6
"""Perplexity over that of text; two samples of the same text differed by 2 %. By judgement."""
_RATES = (0.75, 1.33)
_SILENT = 0.9
_NAMED_WRONG = 0.5
"""Information over that of text: at such places 0.3 and less for scattered errors, under 0.45 for confused ones."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What a perfect result would measure, and two that are worthless.

    text: held-out sentences. permuted: with their phones under wrong names. shuffled: with their phones in a random
    order.
    """

    text: Measures
    permuted: Measures
    shuffled: Measures


@dataclass(frozen=True, slots=True)
class Verdict:
    """word: the verdict. place: 0 looks like text, 1 like shuffled text. causes: in words, gravest first."""

    word: Word
    place: float
    causes: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        return self.word == TOOK_OFF


def levels(text: Yardstick, *, size: int, seed: int = 0) -> Levels:
    """Measure held-out text, and the same sentences as a cipher and shuffled, on samples of `size` phones."""
    held = text.held
    return Levels(
        measure(held, text, size=size, seed=seed),
        measure(permuted(held, seed=seed), text, size=size, seed=seed),
        measure(unigrams(held, seed=seed), text, size=size, seed=seed),
    )


def place(measures: Measures, against: Levels) -> float:
    """Where between held-out text, 0, and shuffled text, 1, transcripts are; may be beyond both.

    The mean of the places by the logarithm of the perplexity and by the divergence of trigrams, which rise steadily
    with errors; longer n-grams differ from text to text as much as from errors, single phones hardly tell.
    """
    if math.isinf(measures.perplexity):
        return math.inf
    text, worst = against.text, against.shuffled
    hard = _between(math.log(measures.perplexity), math.log(text.perplexity), math.log(worst.perplexity))
    other = _between(measures.divergences[2], text.divergences[2], worst.divergences[2])
    return (hard + other) / 2


def verdict(measures: Measures, against: Levels) -> Verdict:
    """Judge transcripts whose measures, and the levels', are of samples of the same size.

    Transcripts of fine sentences that were not said escape it: nothing here has heard the audio. Raises DataError where
    the text is such that shuffling it changes nothing.
    """
    text = against.text
    if against.shuffled.perplexity <= 1.2 * text.perplexity:
        raise DataError(
            f"the text: expected phones in an order that can be told from chance, found a perplexity of "
            f"{text.perplexity:.1f} in order and {against.shuffled.perplexity:.1f} shuffled. Give more text, and see "
            "that the letter-to-sound table is of its language."
        )
    if not measures.phones:
        return Verdict(NOT, math.inf, ("nothing was read in any recording",))
    at = place(measures, against)
    grave, slight = _causes(measures, against, at)
    if grave:
        word = NOT
    elif slight or at > _FINE:
        word = DOUBTFUL
    else:
        word = TOOK_OFF
    return Verdict(word, at, (*grave, *slight))


def _causes(measures: Measures, against: Levels, at: float) -> tuple[Sequence[str], Sequence[str]]:
    """What is wrong in words: what makes transcripts useless, and what makes them doubtful."""
    grave: list[str] = []
    slight: list[str] = []
    text = against.text
    if measures.used < _SOME_UNUSED * text.used:
        few = grave if measures.used < _FEW_USED * text.used else slight
        few.append(f"only {measures.used:.0%} of the text's phones are used: several sounds have become one phone")
    if measures.perplexity < _TOO_EASY * text.perplexity or measures.variety < _VARIETY * text.variety:
        grave.append(
            f"the same few sequences again and again: {measures.variety / text.variety:.0%} of the variety of the "
            f"text, perplexity {measures.perplexity:.1f} where the text has {text.perplexity:.1f}"
        )
    ratio = measures.length / text.length
    if not _RATES[0] <= ratio <= _RATES[1]:
        what = "phones are missed" if ratio < 1 else "phones are made up"
        slight.append(
            f"the rate is off: transcripts are {ratio:.2f} times as long as sentences; {what}, or recordings are not "
            "cut at sentences"
        )
    if measures.sequences < _SILENT:
        slight.append(f"nothing was read in {1 - measures.sequences:.0%} of the recordings")
    if at > _FINE:
        (grave if at > _LOST else slight).append(_unlike(measures, against))
    return grave, slight


def _unlike(measures: Measures, against: Levels) -> str:
    """In which way the sequences are unlike the text's."""
    ordered = measures.information >= _NAMED_WRONG * against.text.information
    if ordered:
        return (
            "the order of phones is as regular as the text's but not the same: phones seem to have each other's names"
        )
    return "phones follow each other as if by chance: much of what is read is wrong"


def _between(value: float, none: float, all_of_it: float) -> float:
    return (value - none) / max(all_of_it - none, 1e-9)
