"""The phones of a language as numbers, and its sentences as sequences of them, with silence where speakers pause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.errors import DataError
from trifold.tasks.asr.text.letters import Pronounced

__all__ = ["SILENCE", "Inventory", "phone_sequences", "spoken"]

SILENCE = "SIL"
_RAREST = 1e-3
"""Share of a text's phones under which one is not learnt: what the recordings may not have at all only misleads."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """phones: by number; silence is the first. rare: phones of the text that are left out, and how often they stand."""

    phones: tuple[str, ...]
    rare: Counter[str]

    @classmethod
    def of(cls, text: Pronounced) -> Inventory:
        """The phones of a text. Raises DataError where there are fewer than two."""
        counts = Counter(phone for sentence in text.sentences for word in sentence for phone in word)
        total = counts.total()
        common = sorted(phone for phone, count in counts.items() if count >= _RAREST * total)
        if len(common) < 2:
            raise DataError(
                f"the text: expected sentences that can be pronounced, found {len(text.sentences):,} and {len(counts)} "
                "different phones. See that the letter-to-sound table or the dictionary is of the text's language."
            )
        rare = Counter({phone: count for phone, count in counts.items() if phone not in set(common)})
        return cls((SILENCE, *common), rare)

    def numbers(self) -> dict[str, int]:
        return {phone: i for i, phone in enumerate(self.phones)}


def phone_sequences(text: Pronounced, inventory: Inventory, *, silence: float, seed: int) -> list[tuple[int, ...]]:
    """The sentences as numbers of phones, silence at both ends and between words with the probability `silence`.

    Sentences with a phone that is too rare to be learnt are left out.
    """
    numbers = inventory.numbers()
    chance = np.random.default_rng(seed)
    found = []
    for sentence in text.sentences:
        if any(phone not in numbers for word in sentence for phone in word):
            continue
        phones = [0]
        for word, pause in zip(sentence, chance.random(len(sentence)) < silence, strict=True):
            if pause and len(phones) > 1:
                phones.append(0)
            phones += [numbers[phone] for phone in word]
        found.append((*phones, 0))
    return found


def spoken(phones: Sequence[int]) -> tuple[int, ...]:
    """A sequence without its silences."""
    return tuple(phone for phone in phones if phone)
