"""Reads a text that nobody read aloud, and chooses what tells how its words are pronounced."""

from __future__ import annotations

import re
from pathlib import Path

from trifold.errors import DataError, UsageError
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.text.letters import Speller, read_dictionary, read_letters
from trifold.tasks.asr.text.voices import epitran_rules, espeak_voice

__all__ = ["read_sentences", "speller"]

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b]")
_WORDS = (
    "letters (a letter-to-sound table), dictionary (a pronouncing dictionary), espeak (a voice of espeak-ng such as "
    "'sw') or epitran (a language code such as 'swa-Latn')"
)


def read_sentences(path: Path) -> tuple[str, ...]:
    """The lines of a text that are not blank: a sentence, or a word, each. gzip is unpacked.

    UTF-8, or UTF-16 that begins with its mark. Raises DataError for a file that is empty, is no text or cannot be read.
    """
    text = read_text(path)
    # A control character that ends no line stands in no text; a file of another kind is full of them.
    if found := _CONTROL.search(text):
        raise DataError(
            f"{path}: expected plain text, a sentence a line, found the control character {ord(found[0]):#04x} after "
            f"{found.start():,} characters. Save the document as plain text (.txt) in UTF-8."
        )
    sentences = tuple(sentence for line in text.splitlines() if (sentence := line.strip()))
    if not sentences:
        blank = "only blanks" if text else "an empty file"
        raise DataError(f"{path}: expected a sentence on each line, found {blank}.")
    return sentences


def speller(
    letters: Path | None = None,
    dictionary: Path | None = None,
    espeak: str | None = None,
    epitran: str | None = None,
) -> Speller:
    """What knows how words are pronounced, by the one of the four that is given.

    Raises UsageError where none or several are, DataError for a file that cannot be used, MissingExtra for packages
    that are not installed.
    """
    options = {"letters": letters, "dictionary": dictionary, "espeak": espeak, "epitran": epitran}
    given = [name for name, value in options.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            f"how words are pronounced: expected one of {_WORDS}, found {' and '.join(given) or 'none of them'}. "
            f"{'Keep one.' if given else 'Give the one that you have; a table takes an hour to write.'}"
        )
    if letters is not None:
        return read_letters(letters)
    if dictionary is not None:
        return read_dictionary(dictionary)
    if espeak is not None:
        return espeak_voice(espeak)
    assert epitran is not None
    return epitran_rules(epitran)
