"""Transcripts as one table for all recordings, which spreadsheets, R and pandas read.

Tabs part the columns; a field with a tab, a line end or a quotation mark stands in quotation marks, as spreadsheets
write it. The table has neither the length of a recording, its model nor its warnings, and no line for a recording in
which nothing was heard; JSON lines keep these.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from trifold.errors import DataError
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.plaintext import heard, write_text

__all__ = ["COLUMNS", "read_tsv", "tsv_lines", "write_tsv"]

COLUMNS = ("audio", "tier", "start", "end", "text", "confidence")
_TIERS = ("phone", "word")


def write_tsv(transcripts: Iterable[Transcript], path: Path) -> None:
    """Write the table of all the transcripts; a file that is there is replaced. Errors as of `write_text`."""
    write_text(tsv_lines(transcripts), path)


def tsv_lines(transcripts: Iterable[Transcript]) -> Iterator[str]:
    """The lines of the table with their ends, its header first. Seconds and confidences have three decimals."""
    yield _line(COLUMNS)
    for transcript in transcripts:
        for tier, found in zip(_TIERS, (transcript.phones, transcript.words), strict=True):
            for item in found:
                start, end, confidence = (f"{value:.3f}" for value in (item.start, item.end, item.confidence))
                yield _line((transcript.audio, tier, start, end, item.text, confidence))


def read_tsv(path: Path) -> list[Transcript]:
    """The recordings of a table, in the order of their first lines; `seconds` is the end of the last thing heard.

    The columns may stand in any order with others between them, the lines too. Raises DataError for a table that lacks
    a column, or with a line that is no phone and no word.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter="\t", strict=True)
    found: dict[str, tuple[list[Heard], list[Heard]]] = {}
    try:
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise DataError(
                f"{path}: expected the columns {', '.join(COLUMNS)}, parted by tabs; found no {', '.join(missing)}."
            )
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if row["tier"] not in _TIERS:
                raise DataError(f"{place}: expected the tier phone or word, found {row['tier']!r:.60}.")
            if not row["audio"]:
                raise DataError(f"{place}: expected the name of a recording as audio, found none.")
            item = heard(place, row["text"], row["start"], row["end"], row["confidence"])
            found.setdefault(row["audio"], ([], []))[_TIERS.index(row["tier"])].append(item)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: expected columns parted by tabs ({error}).") from None
    return [_transcript(audio, *tiers) for audio, tiers in found.items()]


def _transcript(audio: str, phones: list[Heard], words: list[Heard]) -> Transcript:
    seconds = max(item.end for item in (*phones, *words))
    return Transcript(audio, seconds, _ordered(phones), _ordered(words))


def _ordered(found: list[Heard]) -> tuple[Heard, ...]:
    return tuple(sorted(found, key=lambda item: (item.start, item.end)))


def _line(fields: Iterable[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, delimiter="\t", lineterminator="\n").writerow(fields)
    return line.getvalue()
