"""Sentences of the unpaired text, read aloud by many voices of espeak-ng: sound whose phones are known.

Only which phones were asked for is used, not when the synthesiser says each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trifold.errors import DataError, UsageError
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.speaking.synthesiser import Synthesiser
from trifold.tasks.asr.text.inventory import Inventory
from trifold.tasks.asr.text.letters import Pronounced, words_of
from trifold.tasks.asr.text.reading import read_sentences

__all__ = ["Line", "aloud", "lines_of", "read_mnemonics", "speaks"]

_VARIANTS = (
    *("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4", "m5", "f5", "m6", "m7"),
    *("klatt", "klatt2", "klatt3", "klatt4"),
)
"""Voices of men and women, and another way to make sound."""
_SPEEDS, _PITCHES = (140, 200), (25, 75)
_LONGEST = 60
"""Phones of a sentence: of longer ones the alignment is slow, and no better."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is read aloud, as text or as mnemonics in double brackets, and the numbers of its phones."""

    content: str
    phones: tuple[int, ...]


def read_mnemonics(path: Path) -> dict[str, str]:
    """A table of two columns: a phone, and what espeak-ng calls it, one mnemonic or several; lines with # are comments.

    Raises DataError for lines that are not so.
    """
    table: dict[str, str] = {}
    for line in read_sentences(path):
        if line.startswith("#"):
            continue
        phone, *said = line.split()
        if not said or table.setdefault(phone, " ".join(said)) != " ".join(said):
            raise DataError(
                f"{path}: expected each phone once, and after it what espeak-ng calls it, found {line!r:.60}."
            )
    return table


def lines_of(
    sentences: Sequence[str], pronounced: Pronounced, inventory: Inventory, mnemonics: Mapping[str, str] | None = None
) -> list[Line]:
    """The sentences of which every phone is known. mnemonics: of the phones; without, the voice reads the text.

    Raises DataError where a phone of the text has no mnemonic, or no sentence is left.
    """
    numbers = inventory.numbers()
    if mnemonics is not None and (missing := [one for one in inventory.phones[1:] if one not in mnemonics]):
        raise DataError(f"the mnemonics: expected one for each phone of the text, found none for {' '.join(missing)}.")
    found = []
    for sentence in sentences:
        words = words_of(sentence)
        phones = [pronounced.words.get(word, ()) for word in words]
        flat = [phone for word in phones for phone in word]
        if not all(phones) or not 1 < len(flat) <= _LONGEST or any(phone not in numbers for phone in flat):
            continue
        if mnemonics is None:
            content = sentence
        else:
            content = f"[[{' '.join(''.join(_joined(word, mnemonics)) for word in phones)}]]"
        found.append(Line(content, tuple(numbers[phone] for phone in flat)))
    if not found:
        raise DataError(f"the text: expected sentences of at most {_LONGEST} known phones to read aloud, found none.")
    return found


def speaks(voice: str, mnemonics: Mapping[str, str] | None = None) -> None:
    """Raises UsageError where espeak-ng has no such voice or it cannot say one of the mnemonics, MissingExtra."""
    synthesiser = Synthesiser()
    synthesiser.say("", f"{voice}+{_VARIANTS[0]}")
    for phone, said in (mnemonics or {}).items():
        if not synthesiser.say(f"[[{'|'.join(said.split())}]]", f"{voice}+{_VARIANTS[0]}").phones:
            raise UsageError(
                f"{voice}: says nothing for {said!r}, which is to be {phone!r}. "
                "`espeak-ng -x` shows its names of sounds."
            )


def aloud(lines: Sequence[Line], voice: str, count: int, seed: int) -> Iterator[tuple[Samples, tuple[int, ...]]]:
    """`count` of the lines at 16 kHz with their phones, read by one voice after the other, faster and slower.

    voice: a language of espeak-ng, such as "sw". Raises UsageError where there is none, MissingExtra.
    """
    import soxr

    synthesiser = Synthesiser()
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(lines))[:count].tolist()
    for number, i in enumerate(order):
        said = synthesiser.say(
            lines[i].content,
            f"{voice}+{_VARIANTS[number % len(_VARIANTS)]}",
            speed=int(chance.integers(*_SPEEDS)),
            pitch=int(chance.integers(*_PITCHES)),
        )
        samples = said.samples.astype(np.float32) / 32768
        yield np.asarray(soxr.resample(samples, said.rate, RATE), np.float32), lines[i].phones


def _joined(word: Sequence[str], mnemonics: Mapping[str, str]) -> list[str]:
    """The mnemonics of a word's phones; a bar keeps two that would make another together apart."""
    return ["|".join(part for phone in word for part in mnemonics[phone].split())]
