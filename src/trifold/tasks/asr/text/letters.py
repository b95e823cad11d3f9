"""From spelling to phones: by a table of letters that anybody can write, or by a pronouncing dictionary."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trifold.errors import DataError
from trifold.tasks.asr.plain import read_text

__all__ = ["Dictionary", "Letters", "Pronounced", "Speller", "read_dictionary", "read_letters", "words_of"]

_WORD_MARKS = "'’ʼ-"
_STRESS = re.compile(r"[0-9ˈˌ]+")


class Speller(Protocol):
    """What knows how words are pronounced."""

    def phones(self, word: str) -> tuple[str, ...] | None:
        """The phones of a word; None where it cannot tell."""


@dataclass(frozen=True, slots=True)
class Letters:
    """A letter-to-sound table: `phones_of` letters, one or several, each with no phone, one or several."""

    phones_of: Mapping[str, tuple[str, ...]]
    longest: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", max(map(len, self.phones_of), default=0))

    def phones(self, word: str) -> tuple[str, ...] | None:
        found: list[str] = []
        missing: Counter[str] = Counter()
        self._read(word, found, missing)
        return None if missing else tuple(found)

    def missing(self, words: Iterable[str]) -> Counter[str]:
        """Letters of the words that are not in the table, and how often."""
        counts: Counter[str] = Counter()
        for word in words:
            self._read(word, [], counts)
        return counts

    def _read(self, word: str, found: list[str], missing: Counter[str]) -> None:
        text = _plain(word)
        at = 0
        while at < len(text):
            for size in range(min(self.longest, len(text) - at), 0, -1):
                if (phones := self.phones_of.get(text[at : at + size])) is not None:
                    found += phones
                    at += size
                    break
            else:
                # A mark that joins two parts of a word is no sound; one that is has its line in the table.
                if text[at] not in _WORD_MARKS:
                    missing[text[at]] += 1
                at += 1


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A pronouncing dictionary: the first pronunciation of each word."""

    entries: Mapping[str, tuple[str, ...]]

    def phones(self, word: str) -> tuple[str, ...] | None:
        return self.entries.get(_plain(word))


@dataclass(frozen=True, slots=True)
class Pronounced:
    """A text as phones.

    sentences: of each its words, of each word its phones. words: every word that could be pronounced, with its phones.
    dropped: sentences with a word that could not be. unknown: those words and how often they stand in the text.
    """

    sentences: tuple[tuple[tuple[str, ...], ...], ...]
    words: Mapping[str, tuple[str, ...]]
    dropped: int
    unknown: Counter[str]

    @classmethod
    def of(cls, sentences: Iterable[str], speller: Speller) -> Pronounced:
        """Pronounce a text. A sentence with a word that cannot be pronounced is left out as a whole."""
        known: dict[str, tuple[str, ...]] = {}
        unknown: Counter[str] = Counter()
        kept: list[tuple[tuple[str, ...], ...]] = []
        dropped = 0
        for sentence in sentences:
            words = words_of(sentence)
            for word in words:
                if word not in known and word not in unknown:
                    phones = speller.phones(word)
                    if phones:
                        known[word] = phones
            missing = [word for word in words if word not in known]
            unknown.update(missing)
            if missing:
                dropped += 1
            elif words:
                kept.append(tuple(known[word] for word in words))
        return cls(tuple(kept), known, dropped, unknown)


def words_of(sentence: str) -> list[str]:
    """The words of a text in lower case: letters with their marks, and apostrophes and hyphens inside them."""
    text = _plain(sentence)
    pieces = "".join(char if _in_word(char) else " " for char in text).split()
    return [word for piece in pieces if (word := piece.strip(_WORD_MARKS))]


def read_letters(path: Path) -> Letters:
    """A table of two columns: letters, a tab or spaces, and their phones, separated by spaces; `#` begins a comment.

    Letters alone are silent. Raises DataError for a table without phones or with two lines of the same letters.
    """
    table: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split("#", 1)[0].replace(",", " ").split()
        if not fields:
            continue
        letters, phones = _plain(fields[0]), tuple(fields[1:])
        if table.setdefault(letters, phones) != phones:
            raise DataError(
                f"{path}, line {number}: {letters!r} was {' '.join(table[letters]) or 'silent'} before, and is "
                f"{' '.join(phones) or 'silent'} here. Keep one of the lines."
            )
    if not any(table.values()):
        raise DataError(
            f"{path}: expected lines such as 'ch  tʃ' (letters, then their phones), found none with a phone."
        )
    return Letters(table)


def read_dictionary(path: Path) -> Dictionary:
    """A pronouncing dictionary such as CMUdict: a word and its phones on each line, stress removed.

    Raises DataError where no line is so.
    """
    entries: dict[str, tuple[str, ...]] = {}
    for line in read_text(path).splitlines():
        if line.startswith(";;;"):
            continue
        word, *phones = line.split("#", 1)[0].split()[:] or [""]
        plain = [bare for phone in phones if (bare := _STRESS.sub("", phone))]
        if plain and not word.endswith(")"):  # other pronunciations are numbered: word(2)
            entries.setdefault(_plain(word), tuple(plain))
    if not entries:
        raise DataError(f"{path}: expected a word and its phones on each line, found no such line.")
    return Dictionary(entries)


def _plain(text: str) -> str:
    """Composed and in lower case, so that the same letter is the same code points."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _in_word(char: str) -> bool:
    return char in _WORD_MARKS or unicodedata.category(char)[0] in "LM"
