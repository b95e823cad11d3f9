"""Looks through an unpaired text: how much of it can be pronounced, by which phones, and what cannot."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from trifold.errors import DataError
from trifold.tasks.asr.text.inventory import Inventory
from trifold.tasks.asr.text.letters import Dictionary, Letters, Pronounced, Speller, words_of

__all__ = ["Wording", "script_of", "survey_text"]


@dataclass(frozen=True, slots=True)
class Wording:
    """What `survey_text` found.

    sentences: lines of the text. usable: those that can be learnt from; distinct: how many of these differ. dropped:
    those with a word that cannot be pronounced; with_rare: with a phone too rare to be learnt; wordless: without any
    word. with_digits: those with numerals, which are not read.

    words, vocabulary: words of the text, and different ones. letters: characters that the table lacks; unknown: words
    that cannot be pronounced; both with how often they stand in the text. phones: of all usable sentences.
    phones_a_word: mean; phones_a_sentence: median; 0 without a usable sentence.

    inventory: None where fewer than two phones are left. scripts: of the letters of the text, such as LATIN, with how
    often. table: scripts that the table or the dictionary is written in; empty where that is not known.
    """

    sentences: int
    usable: int
    distinct: int
    dropped: int
    with_rare: int
    wordless: int
    with_digits: int
    words: int
    vocabulary: int
    letters: Counter[str]
    unknown: Counter[str]
    phones: int
    phones_a_word: float
    phones_a_sentence: float
    inventory: Inventory | None
    scripts: Counter[str]
    table: frozenset[str]


def survey_text(sentences: Sequence[str], speller: Speller) -> Wording:
    """Look through a text. Whatever is wrong with it is among the results."""
    words = Counter(word for sentence in sentences for word in words_of(sentence))
    text = Pronounced.of(sentences, speller)
    try:
        inventory = Inventory.of(text)
    except DataError:
        inventory = None
    rare = set() if inventory is None else set(inventory.rare)
    usable = [sentence for sentence in text.sentences if not any(rare.intersection(word) for word in sentence)]
    lengths = [sum(map(len, sentence)) for sentence in usable]
    said = sum(map(len, usable))
    scripts: Counter[str] = Counter()
    for word, times in words.items():
        for script, count in Counter(filter(None, map(script_of, word))).items():
            scripts[script] += count * times
    return Wording(
        sentences=len(sentences),
        usable=len(usable),
        distinct=len(set(usable)),
        dropped=text.dropped,
        with_rare=len(text.sentences) - len(usable),
        wordless=len(sentences) - text.dropped - len(text.sentences),
        with_digits=sum(any(char.isdigit() for char in sentence) for sentence in sentences),
        words=words.total(),
        vocabulary=len(words),
        letters=_missing(speller, text.unknown),
        unknown=text.unknown,
        phones=sum(lengths),
        phones_a_word=sum(lengths) / said if said else 0.0,
        phones_a_sentence=median(lengths) if lengths else 0.0,
        inventory=inventory,
        scripts=scripts,
        table=frozenset(filter(None, (script_of(char) for entry in _written(speller) for char in entry))),
    )


def script_of(char: str) -> str | None:
    """The script of a letter by the first word of its name in Unicode, such as LATIN; None for what is no letter."""
    if unicodedata.category(char) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    return unicodedata.name(char, "").split(" ")[0] or None


def _missing(speller: Speller, unknown: Counter[str]) -> Counter[str]:
    """Letters that the table lacks; none where there is no table."""
    found: Counter[str] = Counter()
    if isinstance(speller, Letters):
        for word, times in unknown.items():
            for letter, count in speller.missing([word]).items():
                found[letter] += count * times
    return found


def _written(speller: Speller) -> Iterable[str]:
    if isinstance(speller, Letters):
        return speller.phones_of
    return speller.entries if isinstance(speller, Dictionary) else ()
