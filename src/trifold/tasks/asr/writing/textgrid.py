"""Transcripts as TextGrids, a file for each recording, which Praat, ELAN and forced aligners read.

A TextGrid has neither confidences, the model nor warnings; JSON lines keep these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from trifold.errors import DataError, UsageError
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.naming import recording_name
from trifold.tasks.asr.writing.plaintext import heard, write_text
from trifold.tasks.asr.writing.praat import Tier, parse, render

__all__ = ["PHONES", "SUFFIX", "WORDS", "read_textgrid", "textgrid", "textgrid_paths", "write_textgrid"]

PHONES, WORDS, SUFFIX = "asr-phones", "asr-words", ".TextGrid"


def textgrid_paths(audios: Sequence[str], folder: Path) -> list[Path]:
    """Where the TextGrid of each recording goes: the recording's name without its folder, with another suffix.

    Raises UsageError for two recordings of one name, of which one would overwrite the other's.
    """
    named: dict[str, str] = {}
    for audio in audios:
        # Some file systems take names that differ in case for the same.
        if (other := named.setdefault(recording_name(audio).lower(), audio)) != audio:
            raise UsageError(
                f"{audio}: its TextGrid would have the name of that of {other}. Rename one of the recordings, or "
                "transcribe their folders one by one."
            )
    return [folder / (recording_name(audio) + SUFFIX) for audio in audios]


def write_textgrid(transcript: Transcript, path: Path) -> None:
    """Write one recording's TextGrid; a file that is there is replaced. Errors as of `write_text`."""
    write_text([textgrid(transcript)], path)


def textgrid(transcript: Transcript) -> str:
    """The long text form: the tier asr-phones and, where there are words, asr-words, each tiling the recording.

    Times have six decimals at most; a pause is an interval without a label.
    """
    tiers = [(PHONES, transcript.phones)] + ([(WORDS, transcript.words)] if transcript.words else [])
    seconds = max([transcript.seconds, *(item.end for _, found in tiers for item in found)])
    return render(seconds, [Tier(name, _tiled(found, seconds)) for name, found in tiers])


def read_textgrid(path: Path, *, phones: str | None = None, words: str | None = None) -> Transcript:
    """A TextGrid in long or short text form; `audio` is its name without the suffix, every confidence 1.

    phones, words: names of tiers; where none is given, those that `textgrid` writes, else those with "phone" or "word"
    in their names, and an only tier without either is one of phones. Intervals without a label are left out, points
    too. Raises DataError where it is none, or it is not clear which tier has the phones.
    """
    place = str(path)
    seconds, tiers = parse(read_text(path), place)
    of_words = _chosen(place, tiers, words, WORDS, "word")
    others = [tier for tier in tiers if tier is not of_words]
    of_phones = _chosen(place, others, phones, PHONES, "phone")
    if of_phones is None and len(others) == 1:
        of_phones = others[0]
    if of_phones is None and others:
        raise DataError(
            f"{place}: expected a tier of phones called {PHONES} or phones, found {_names(tiers)}. Rename the one that "
            "has the phones."
        )
    if of_phones is None and of_words is None:
        raise DataError(f"{place}: expected a tier of intervals, found none.")
    return Transcript(
        path.stem if path.suffix.lower() == SUFFIX.lower() else path.name,
        seconds,
        _labelled(place, of_phones),
        _labelled(place, of_words),
    )


def _chosen(place: str, tiers: Iterable[Tier], name: str | None, own: str, like: str) -> Tier | None:
    if name is not None:
        for tier in tiers:
            if tier.name == name:
                return tier
        raise DataError(f"{place}: expected a tier of intervals called {name}, found {_names(tiers)}.")
    exact = [tier for tier in tiers if tier.name == own]
    similar = exact or [tier for tier in tiers if like in tier.name.lower()]
    if len(similar) > 1:
        raise DataError(
            f"{place}: expected one tier of {like}s, found {_names(similar)}. Rename all but one, or take them out."
        )
    return similar[0] if similar else None


def _names(tiers: Iterable[Tier]) -> str:
    return ", ".join(repr(tier.name) for tier in tiers) or "none"


def _labelled(place: str, tier: Tier | None) -> tuple[Heard, ...]:
    if tier is None:
        return ()
    return tuple(
        heard(f"{place}, tier {tier.name!r}", label.strip(), max(start, 0.0), end, 1.0)
        for start, end, label in tier.intervals
        if label.strip()
    )


def _tiled(found: Sequence[Heard], seconds: float) -> tuple[tuple[float, float, str], ...]:
    """Intervals from 0 to the end, with a pause wherever nothing was heard."""
    tiles: list[tuple[float, float, str]] = []
    at = 0.0
    for item in found:
        start, end = max(round(item.start, 6), at), round(item.end, 6)
        if end <= start:  # nothing is left of it that Praat could show
            continue
        if start > at:
            tiles.append((at, start, ""))
        tiles.append((start, end, item.text))
        at = end
    if round(seconds, 6) > at or not tiles:
        tiles.append((at, seconds, ""))
    return tuple(tiles)
