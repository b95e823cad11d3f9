"""Sequences of units or phones that come again and again: candidates for words, where nobody wrote any down."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.errors import DataError
from trifold.tasks.asr.measuring.references import composed, is_silence
from trifold.tasks.asr.text.ngrams import NGrams
from trifold.tasks.asr.transcripts import Heard, Transcript

__all__ = ["PAUSE", "Place", "Repeat", "find_repeats"]

PAUSE = 0.3
"""Seconds between two units beyond which no sequence goes on."""

_EXACT = 1e-6
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """audio: the recording, as its transcript names it. start, end: of the sequence, in seconds."""

    audio: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Repeat:
    """A sequence of units. places: where it stands, none overlapping another, in the transcripts' order.

    expected: how often it would stand somewhere by chance. score: what it is ranked by; see `find_repeats`.
    """

    units: tuple[str, ...]
    places: tuple[Place, ...]
    expected: float
    score: float


def find_repeats(
    transcripts: Sequence[Transcript],
    *,
    shortest: int = 4,
    longest: int = 12,
    least: int = 3,
    pause: float = PAUSE,
) -> list[Repeat]:
    """Sequences of `shortest` to `longest` units that stand in at least `least` places, the most telling first.

    A sequence ends with its recording, and where nothing is heard for more than `pause` seconds. Ranked by
    count * log(count / expected), natural logarithm: the sequence's part of the Kullback-Leibler divergence of the
    corpus from a model in which only pairs of units tell what follows (Tomokiyo and Hurst, 2003, "A language model
    approach to keyphrase extraction"; `NGrams` fits the model). It grows with the count and the length, and is
    negative for what is rarer than chance; it is low for a word whose units stand nowhere else, as they tell each
    other.

    Parts of longer sequences are left out: those that one unit more leaves in as many places (only closed sequences
    are found; Pasquier et al., 1999, "Discovering frequent closed itemsets for association rules"), and those of
    which fewer than `least` places are outside longer sequences with a higher rank. Raises DataError where two
    transcripts are of one recording.
    """
    _check_apart(transcripts)
    stretches = [stretch for transcript in transcripts for stretch in _stretches(transcript, pause)]
    names = sorted({composed(unit.text) for _, stretch in stretches for unit in stretch})
    numbers = {name: number for number, name in enumerate(names)}
    sequences = [[numbers[composed(unit.text)] for unit in stretch] for _, stretch in stretches]
    symbols = np.array(list(itertools.chain.from_iterable(sequences)), np.int64)
    lengths = [len(sequence) for sequence in sequences]
    ends = np.repeat(np.cumsum(lengths, dtype=np.int64), lengths)
    found = _ranked(_closed(symbols, ends, shortest, longest, least), symbols, NGrams.fit(sequences, 2, len(names)))
    heard = [(audio, unit) for audio, stretch in stretches for unit in stretch]

    def place(start: int, length: int) -> Place:
        audio, first = heard[start]
        return Place(audio, first.start, heard[start + length - 1][1].end)

    return [
        Repeat(
            tuple(names[symbol] for symbol in symbols[one.starts[0] : one.starts[0] + one.length]),
            tuple(place(start, one.length) for start in one.starts),
            one.expected,
            one.score,
        )
        for one in _telling(found, len(symbols), least)
    ]


def _check_apart(transcripts: Iterable[Transcript]) -> None:
    known: set[str] = set()
    for transcript in transcripts:
        if transcript.audio in known:
            raise DataError(
                f"{transcript.audio}: expected one transcript of each recording, found two: all in them would count as "
                "repeated. Keep one, or rename one of two recordings that share the name."
            )
        known.add(transcript.audio)


def _stretches(transcript: Transcript, pause: float) -> Iterator[tuple[str, list[Heard]]]:
    """The runs of units of a recording between its pauses."""
    stretch: list[Heard] = []
    for unit in transcript.phones:
        if is_silence(unit.text):
            continue
        if stretch and unit.start - stretch[-1].end > pause + _EXACT:
            yield transcript.audio, stretch
            stretch = []
        stretch.append(unit)
    if stretch:
        yield transcript.audio, stretch


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A sequence of `length` units, and the numbers of the units that its places start with."""

    length: int
    starts: list[int]
    expected: float
    score: float


def _ranked(found: Iterable[tuple[int, list[int]]], symbols: _Array, chance: NGrams) -> list[_Ranked]:
    """The highest score first; of equal ones that which stands first. chance: the bigrams of the corpus."""
    total = chance.totals.get((), 0)  # ends of stretches too, as they are among what can follow
    ranked = []
    for length, starts in found:
        sequence, count = symbols[starts[0] : starts[0] + length].tolist(), len(starts)
        logs = (math.log(chance.probability(sequence[:at], symbol)) for at, symbol in enumerate(sequence))
        log_expected = math.log(total) + sum(logs)
        score = count * (math.log(count) - log_expected)
        ranked.append(_Ranked(length, starts, math.exp(log_expected), score))
    return sorted(ranked, key=lambda one: (-one.score, one.starts[0], -one.length))


def _telling(ranked: Iterable[_Ranked], units: int, least: int) -> Iterator[_Ranked]:
    """Those with at least `least` places that do not lie within a place of one before."""
    reach = np.zeros(units, np.int64)  # of each unit, where the farthest place that it belongs to ends
    for one in ranked:
        starts = np.array(one.starts)
        if np.count_nonzero(reach[starts] < starts + one.length) >= least:
            for step in range(one.length):
                reach[starts + step] = np.maximum(reach[starts + step], starts + one.length)
            yield one


@dataclass(frozen=True, slots=True)
class _Level:
    """The sequences of one length. labels: of the one that begins at each unit, -1 for a rare one, shape (units,).

    starts: of each label that stands in enough places, where.
    """

    length: int
    labels: _Array
    starts: dict[int, list[int]]


def _closed(symbols: _Array, ends: _Array, shortest: int, longest: int, least: int) -> Iterator[tuple[int, list[int]]]:
    """The length and the starts of each closed sequence.

    Counts never grow with the length, so that what one unit more leaves as often as it was is all that is not closed.
    """
    levels = _levels(symbols, ends, shortest, longest, least)
    for level, longer in itertools.pairwise(itertools.chain(levels, [_Level(0, symbols, {})])):
        parts = [
            (int(label), len(starts))
            for starts in longer.starts.values()
            for label in level.labels[[starts[0], starts[0] + 1]]
        ]
        covered = {label for label, count in parts if count == len(level.starts[label])}
        for label, starts in level.starts.items():
            if label not in covered:
                yield level.length, starts


def _levels(symbols: _Array, ends: _Array, shortest: int, longest: int, least: int) -> Iterator[_Level]:
    """Each length in turn, its sequences made of the frequent ones of the length before and one unit more."""
    at = np.arange(len(symbols))
    labels = symbols
    for length in range(1, longest + 1):
        fits = at + length <= ends[at]
        at = at[fits]
        keys = labels[fits] * (symbols.max(initial=0) + 1) + symbols[at + length - 1]
        _, labels, counts = np.unique(keys, return_inverse=True, return_counts=True)
        often = counts[labels] >= least
        at, labels = at[often], labels[often]
        if not len(at):
            return
        if length >= shortest:
            everywhere = np.full(len(symbols), -1, np.int64)
            everywhere[at] = labels
            ranked = np.argsort(labels, kind="stable")
            borders = np.flatnonzero(np.diff(labels[ranked])) + 1
            groups = (_apart(group.tolist(), length) for group in np.split(at[ranked], borders))
            yield _Level(length, everywhere, {int(everywhere[g[0]]): g for g in groups if len(g) >= least})


def _apart(starts: list[int], length: int) -> list[int]:
    """The most places that do not overlap: always the next that begins after the last one's end."""
    found = starts[:1]
    for start in starts:
        if start >= found[-1] + length:
            found.append(start)
    return found
