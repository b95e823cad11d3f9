"""Text files as we write them, and the numbers in those that come back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trifold.errors import DataError
from trifold.tables.publishing import publishing
from trifold.tasks.asr.transcripts import Heard

__all__ = ["heard", "write_text"]


def write_text(parts: Iterable[str], path: Path) -> None:
    r"""Write a file in UTF-8, which stands at `path` once it is whole; one that is there is replaced.

    Halves of surrogate pairs, which file names that are no UTF-8 bring, are written as `\udcff`. Raises DataError for
    a folder, EngineError where the disk is full.
    """
    with publishing(path) as stream:
        for part in parts:
            stream.write(part.encode("utf-8", "backslashreplace"))


def heard(place: str, text: object, start: object, end: object, confidence: object) -> Heard:
    """A phone or a word that a file tells of, its numbers as numbers or as text.

    Raises DataError, which begins with `place`, where they are none that a time or a confidence can have.
    """
    if not isinstance(text, str):
        raise DataError(f"{place}: expected a phone or a word as text, found {text!r:.60}.")
    since, until, sure = _number(place, start), _number(place, end), _number(place, confidence)
    if not 0 <= since <= until < float("inf"):
        raise DataError(
            f"{place}: expected a start from 0 seconds on and an end not before it, found {since:g} to {until:g}."
        )
    if not 0 <= sure <= 1:
        raise DataError(f"{place}: expected a confidence from 0 to 1, found {sure:g}.")
    return Heard(text, since, until, sure)


def _number(place: str, value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise DataError(f"{place}: expected a number, found {value!r:.60}.")
