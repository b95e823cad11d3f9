"""What is wrong with an unpaired text."""

from __future__ import annotations

from collections.abc import Iterator

from trifold.tasks.asr.checking.finding import Finding, Level, listed
from trifold.tasks.asr.checking.wording import Wording

__all__ = ["text_findings"]

_LEAST, _FEW = 50, 300
"""Sentences under which nothing is learnt, and under which little is."""
_MOST, _MANY = 0.5, 0.05
_SMALLEST, _LARGEST = 8, 70
"""Phones that languages have, but for a few."""


def text_findings(text: Wording) -> Iterator[Finding]:
    """Everything that is wrong with a text, in no order."""
    unpronounced = list(_unpronounced(text))
    yield from unpronounced
    if not text.usable and any(finding.level == "stop" for finding in unpronounced):
        return
    if text.usable < _LEAST:
        yield Finding(
            "stop",
            f"{_sentences(text.usable)} can be learnt from: too few.",
            f"Add text of the same language: {_FEW} sentences, better some thousands. It need not be what is said.",
        )
    elif text.usable < _FEW:
        yield Finding(
            "warning",
            f"{_sentences(text.usable)} can be learnt from: few.",
            "Add text of the same language, better some thousands of sentences. It need not be what is said.",
        )
    if text.usable and text.distinct < text.usable * _MOST:
        yield Finding(
            "warning",
            f"Only {text.distinct:,} of {_sentences(text.usable)} are different.",
            "Remove what stands there again and again, such as headings: people do not say it so often.",
        )
    yield from _phones(text)
    if text.with_digits:
        yield Finding(
            "note",
            f"Numerals, which are skipped, stand in {_sentences(text.with_digits)}.",
            "Write numbers as words where people would say them.",
        )
    if text.wordless:
        yield Finding("note", f"No word stands in {_sentences(text.wordless)}.", "Remove the lines.")


def _unpronounced(text: Wording) -> Iterator[Finding]:
    if not text.dropped:
        return
    share = text.dropped / text.sentences
    level: Level = "stop" if share > _MOST else "warning" if share > _MANY else "note"
    lost = f"{text.dropped:,} of {_sentences(text.sentences)} ({share:.0%}) are left out"
    script = max(text.scripts, key=lambda s: text.scripts[s], default="")
    if text.table and script not in text.table:
        table = " and ".join(sorted(map(_script, text.table)))
        yield Finding(
            level,
            f"The text is in the script {_script(script)}, the table in {table}: {lost}.",
            "Give a text of the recordings' language in the table's script, or a table for the text's script.",
        )
    elif text.letters:
        yield Finding(
            level,
            f"The table lacks {listed(text.letters)}: {lost}.",
            "Add a line for each letter of the language to the table. Where most are missing, text or table is of "
            "another language.",
        )
    else:
        yield Finding(
            level,
            f"How to pronounce {listed(text.unknown)} is not known: {lost}.",
            "See that the dictionary, the voice or the rules are of the text's language, and its spelling is theirs. A "
            "few words can be added to a dictionary.",
        )


def _phones(text: Wording) -> Iterator[Finding]:
    if text.inventory is None:
        yield Finding(
            "stop",
            "The text has fewer than two different phones.",
            "See that the table or the dictionary is of the text's language.",
        )
        return
    size = len(text.inventory.phones) - 1
    if not _SMALLEST <= size <= _LARGEST:
        yield Finding(
            "warning",
            f"The text has {size} different phones; languages have {_SMALLEST} to {_LARGEST}.",
            "Let letters that sound alike be one phone, and write marks of stress, tone or length apart or not at all."
            if size > _LARGEST
            else "See that the table gives different sounds different phones, and is of the text's language.",
        )
    if text.inventory.rare:
        yield Finding(
            "note",
            f"Phones too rare to be learnt: {listed(text.inventory.rare)}. Left out with them: "
            f"{_sentences(text.with_rare)}.",
            "Add text with them, or let the table write them as the phone that is nearest.",
        )


def _sentences(count: int) -> str:
    return f"{count:,} sentence{'' if count == 1 else 's'}"


def _script(name: str) -> str:
    return name.capitalize()
