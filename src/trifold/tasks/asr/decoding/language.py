"""What a model knows of its language's words, as plain data that goes into the model's folder.

Of the n-grams only the longest are written: how often a shorter one stands in the text is their sum.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trifold.errors import DataError, InvalidInput, ModelDamaged
from trifold.tasks.asr.decoding.lexicon import MOST_WORDS, Lexicon
from trifold.tasks.asr.text.ngrams import BOUNDARY, NGrams

__all__ = ["Language", "language_of"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Language:
    """following: n-grams of the numbers of the lexicon's words, and of one more for every word that it has not."""

    lexicon: Lexicon
    following: NGrams

    def to_json(self) -> str:
        """One line of ASCII; the same for equal languages. About 20 bytes for a word and for an n-gram."""
        longest = self.following.order - 1
        histories = {history: c for history, c in self.following.counts.items() if len(history) == longest}
        data = {
            "format": _FORMAT,
            "words": self.lexicon.words,
            "pronunciations": self.lexicon.pronunciations,
            "order": self.following.order,
            # A history, then the words that follow it and how often, in turn.
            "ngrams": [
                [*history, *itertools.chain.from_iterable(sorted(followed.items()))]
                for history, followed in sorted(histories.items())
            ],
        }
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Language:
        """Raises ModelDamaged for anything that `to_json` does not write."""
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT:
                raise ModelDamaged(
                    f"the model's words: expected format {_FORMAT}, found {data['format']!r}. Use the version of "
                    "trifold that made the model."
                )
            pronunciations = tuple(tuple(map(_whole, phones)) for phones in data["pronunciations"])
            lexicon = Lexicon(tuple(map(_text, data["words"])), pronunciations)
            order = _whole(data["order"])
            if not 1 <= order <= 4:
                raise ValueError(f"n-grams of order {order}")
            return cls(lexicon, _ngrams(data["ngrams"], order, len(lexicon.words) + 1))
        except (ValueError, KeyError, TypeError, DataError, RecursionError) as error:
            raise ModelDamaged(
                f"the model's words: expected a lexicon and n-grams as trifold writes them, found otherwise ({error}). "
                "Copy the model again."
            ) from None


def language_of(
    sentences: Sequence[Sequence[str]],
    pronunciations: Mapping[str, Sequence[str]],
    phones: Sequence[str],
    *,
    order: int = 2,
    most: int = MOST_WORDS,
) -> Language:
    """The words of a text that can be heard, and what follows what.

    sentences: of words. pronunciations: the phones of each word (`Pronounced.words`). phones: what the recogniser tells
    apart, silence first (`Inventory.phones`). A word without a pronunciation, with a phone that is none of these, or
    beyond the `most` frequent is not listened for, and stands in the n-grams as one that is none of the others.

    Raises DataError where no word is left, and InvalidInput for an order that is not 1 to 4.
    """
    if not 1 <= order <= 4:
        raise InvalidInput(f"order: expected 1 to 4 words, found {order}.", field="order")
    numbers = {phone: i for i, phone in enumerate(phones) if i}
    counts = Counter(word for sentence in sentences for word in sentence)
    known = [w for w in counts if (said := pronunciations.get(w)) and all(phone in numbers for phone in said)]
    if not known:
        raise DataError(
            f"the text: expected words of the phones {' '.join(phones[1:])}, found none among {len(counts):,} "
            "different words. See that the text and its pronunciations are of the recordings' language."
        )
    kept = sorted(known, key=lambda word: (-counts[word], word))[: min(most, MOST_WORDS)]
    lexicon = Lexicon(tuple(kept), tuple(tuple(numbers[phone] for phone in pronunciations[w]) for w in kept))
    number = {word: i for i, word in enumerate(kept)}
    rows = ([number.get(word, len(kept)) for word in sentence] for sentence in sentences if sentence)
    return Language(lexicon, NGrams.fit(rows, order, len(kept) + 1))


def _ngrams(rows: Sequence[Sequence[Any]], order: int, symbols: int) -> NGrams:
    """The model whose longest histories these are. Raises ValueError for rows that are no counts of these symbols."""
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for row in rows:
        values = [_whole(value) for value in row]
        history, words, times = tuple(values[: order - 1]), values[order - 1 :: 2], values[order::2]
        if len(values) < order + 1 or len(words) != len(times) or history in counts:
            raise ValueError("a row of n-grams that is cut off or stands twice")
        if min(times) < 1 or not all(BOUNDARY <= symbol < symbols for symbol in (*history, *words)):
            raise ValueError("an n-gram of words that the lexicon has not")
        counts[history] = Counter(dict(zip(words, times, strict=True)))
    for history, followed in list(counts.items()):
        for size in range(1, len(history) + 1):
            counts.setdefault(history[size:], Counter()).update(followed)
    return NGrams(order, symbols, counts, {history: followed.total() for history, followed in counts.items()})


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} for a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} for a word")
    return value
