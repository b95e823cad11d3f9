"""Sentences of the unpaired text, read aloud by synthesisers' voices: sound whose phones are known.

Only which phones were asked for is used, not when the synthesiser says each. Voices are espeak-ng's own, which are
computed, or MBROLA's (`speaking/people`), which were people's.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trifold.errors import DataError, UsageError
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.speaking.people import Joined, is_of_people, say
from trifold.tasks.asr.speaking.people import mnemonics as taken_for
from trifold.tasks.asr.speaking.synthesiser import Synthesiser
from trifold.tasks.asr.text.inventory import Inventory
from trifold.tasks.asr.text.letters import Pronounced, words_of
from trifold.tasks.asr.text.reading import read_sentences

__all__ = ["Line", "Narrator", "Voice", "aloud", "check_voice", "lines_of", "read_mnemonics", "speaks"]

_VARIANTS = (
    *("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4", "m5", "f5", "m6", "m7"),
    *("klatt", "klatt2", "klatt3", "klatt4"),
)
"""Voices of men and women, and another way to make sound."""
_SPEEDS, _PITCHES = (140, 200), (25, 75)
_LONGEST = 60
"""Phones of a sentence: of longer ones the alignment is slow, and no better."""
_TRIED, _SHARE = 48, 8
"""Sentences that a voice of MBROLA is tried with; of one in so many it must have all sounds."""
_SHORTEST = 0.03
"""Seconds that a phone takes at least."""
_MOST_ASKED = 4
"""Times the sentences that are wanted are asked for at most."""
_AT_ONCE = 32
_WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Line:
    """What is read aloud, as text or as mnemonics in double brackets, and the numbers of its phones."""

    content: str
    phones: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Narrator:
    """voice: a language of espeak-ng or a voice of MBROLA. mnemonics: what it is asked for, for each phone, where it is
    not to read the text itself."""

    voice: str
    mnemonics: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """name: a language of espeak-ng, such as "sw", or a voice of MBROLA, such as "mb-us1". lines: what it may read."""

    name: str
    lines: Sequence[Line]


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
            content = f"[[{' '.join(''.join(_word(word, mnemonics)) for word in phones)}]]"
        found.append(Line(content, tuple(numbers[phone] for phone in flat)))
    if not found:
        raise DataError(f"the text: expected sentences of at most {_LONGEST} known phones to read aloud, found none.")
    return found


def speaks(voice: str, mnemonics: Mapping[str, str] | None = None) -> None:
    """Raises UsageError where there is no such voice or espeak-ng does not know one of the mnemonics, MissingExtra."""
    # What follows one that it does not know is not said either, so each is asked for by itself.
    parts = sorted({part for said in (mnemonics or {}).values() for part in said.split()})
    if is_of_people(voice):
        say("a", voice)
        unknown = {part for part in parts if not taken_for(f"[[{part}]]", voice)}
    else:
        with Synthesiser() as synthesiser:
            variant = f"{voice}+{_VARIANTS[0]}"
            synthesiser.say("", variant)
            unknown = {part for part in parts if not synthesiser.say(f"[[{part}]]", variant).phones}
    for phone, said in (mnemonics or {}).items():
        if unknown.intersection(said.split()):
            raise UsageError(
                f"{voice}: says nothing for {said!r}, which is to be {phone!r}. "
                "`espeak-ng -x` shows its names of sounds."
            )


def check_voice(voice: Voice) -> None:
    """Raises UsageError for a voice of MBROLA that lacks sounds of nearly all its sentences, before hours are spent."""
    if not is_of_people(voice.name):
        return
    missed: Counter[str] = Counter()
    tried = good = 0
    for line, joined in itertools.islice(_joined_lines(voice.lines, voice.name, 0), _TRIED):
        tried += 1
        good += _in_full(line, joined)
        missed.update(set(joined.missed))
    if good < max(1, tried // _SHARE):
        most = f" It has no {', '.join(pair for pair, _ in missed.most_common(8))}." if missed else ""
        raise UsageError(
            f"{voice.name}: expected a voice that has the sounds of these sentences, found {good} of {tried} "
            f"that it says in full.{most} Ask it for other sounds with --mnemonics, or take another."
        )


def _in_full(line: Line, joined: Joined) -> bool:
    return not joined.missed and len(joined.samples) >= _SHORTEST * joined.rate * len(line.phones)


def aloud(lines: Sequence[Line], voice: str, count: int, seed: int) -> Iterator[tuple[Samples, tuple[int, ...]]]:
    """`count` of the lines at 16 kHz with their phones, faster and slower; fewer where there are not as many.

    voice: a language of espeak-ng, such as "sw", whose variants take turns; or a voice of MBROLA, which leaves out
    lines with sounds that it has not. Raises UsageError where there is no such voice, MissingExtra.
    """
    import soxr

    most = _MOST_ASKED * count
    every = _joined_in_full(lines, voice, seed, most) if is_of_people(voice) else _computed(lines, voice, seed)
    for samples, rate, line in itertools.islice(every, count):
        yield np.asarray(soxr.resample(samples, rate, RATE), np.float32), line.phones


def _computed(lines: Sequence[Line], voice: str, seed: int) -> Iterator[tuple[Samples, int, Line]]:
    """All lines in a random order, by each variant of a voice of espeak-ng in turn."""
    with Synthesiser() as synthesiser:
        for number, (line, speed, pitch) in enumerate(_asked(lines, seed)):
            variant = f"{voice}+{_VARIANTS[number % len(_VARIANTS)]}"
            said = synthesiser.say(line.content, variant, speed=speed, pitch=pitch)
            yield np.asarray(said.samples / 32768, np.float32), said.rate, line


def _joined_in_full(lines: Sequence[Line], voice: str, seed: int, most: int) -> Iterator[tuple[Samples, int, Line]]:
    """Of at most so many lines in a random order those of which a voice of MBROLA has all sounds."""
    for line, joined in itertools.islice(_joined_lines(lines, voice, seed), most):
        if _in_full(line, joined):
            yield joined.samples, joined.rate, line


def _joined_lines(lines: Sequence[Line], voice: str, seed: int) -> Iterator[tuple[Line, Joined]]:
    """All lines in a random order as a voice of MBROLA says them, some at once: most of the time is the processes'."""
    asked = _asked(lines, seed)
    with ThreadPoolExecutor(_WORKERS) as pool:
        while some := list(itertools.islice(asked, _AT_ONCE)):
            said = pool.map(lambda one: _joined(one[0].content, voice, one[1], one[2]), some)
            yield from zip((line for line, _, _ in some), said, strict=True)


def _joined(content: str, voice: str, speed: int, pitch: int) -> Joined:
    """A line that a program failed at twice is one that the voice cannot say."""
    for _ in range(2):
        with suppress(UsageError):
            return say(content, voice, speed=speed, pitch=pitch)
    return Joined(np.zeros(0, np.float32), RATE, ("?",))


def _asked(lines: Sequence[Line], seed: int) -> Iterator[tuple[Line, int, int]]:
    """The lines in a random order, each with a speed and a pitch."""
    chance = np.random.default_rng(seed)
    for i in chance.permutation(len(lines)).tolist():
        yield lines[i], int(chance.integers(*_SPEEDS)), int(chance.integers(*_PITCHES))


def _word(word: Sequence[str], mnemonics: Mapping[str, str]) -> list[str]:
    """The mnemonics of a word's phones; a bar keeps two that would make another together apart."""
    return ["|".join(part for phone in word for part in mnemonics[phone].split())]
