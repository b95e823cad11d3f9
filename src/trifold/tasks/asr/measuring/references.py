"""What was really said in recordings, from tables that only scoring may read."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trifold.errors import DataError
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.writing.naming import recording_name

__all__ = [
    "SILENCES",
    "Reference",
    "composed",
    "is_silence",
    "read_folds",
    "read_references",
    "with_alignments",
]

SILENCES = frozenset({"", "sil", "<sil>", "sp", "spn", "pau", "h#", "<p:>"})
"""What tables and aligners write where nothing is said, in lower case."""

_PHONES, _WORDS = "reference_phones", "transcript"
_PAUSE = 1e-3


@dataclass(frozen=True, slots=True)
class Reference:
    """One recording. name: of its file, without folder and suffix. id: of its line in the table.

    phones: without silences; none where it is not known what was said. words: as they are written, None where that is
    not known. starts: of the phones, in seconds. edges: boundaries in seconds, in order: where phones start, and with
    `ends`, where one ends before a pause, too. None where times are not known.
    """

    name: str
    id: str
    phones: tuple[str, ...]
    words: str | None = None
    speaker: str = ""
    edges: tuple[float, ...] | None = None
    ends: bool = False


def read_references(
    path: Path, *, phones: str = _PHONES, words: str = _WORDS, split: str | None = None
) -> list[Reference]:
    """The references of a table whose columns are parted by tabs, its first line their names.

    id or audio: which recording. phones: the column of phones, separated by spaces. words: of the words. Where there
    are columns of these names, starts: where the phones start, seconds separated by spaces; speaker; split, of which
    only lines with the given one are read. Lines without phones and words are left out.

    Raises DataError for a table without what is asked for, with two lines of one recording, or with times that do not
    fit their phones.
    """
    rows = list(_rows(path))
    names = set(rows[0][1]) if rows else set()
    for column, usual in ((phones, _PHONES), (words, _WORDS)):
        if rows and column not in names and (column != usual or not {phones, words} & names):
            raise DataError(
                f"{path}: expected the column {column}, found {', '.join(sorted(names))}. Name the right one."
            )
    if split is not None:
        splits = sorted({row.get("split", "") for _, row in rows} - {""})
        rows = [(number, row) for number, row in rows if row.get("split") == split]
        if not rows:
            raise DataError(f"{path}: expected lines of the split {split}, found {', '.join(splits) or 'no splits'}.")
    found: dict[str, Reference] = {}
    for number, row in rows:
        reference = _reference(f"{path}, line {number}", row, phones, words)
        if reference.name in found:
            raise DataError(f"{path}, line {number}: {reference.name} has a line before. Keep one of the two.")
        found[reference.name] = reference
    known = [reference for reference in found.values() if reference.phones or reference.words]
    if not known:
        raise DataError(f"{path}: expected references, found no line with phones or words.")
    return known


def with_alignments(references: Sequence[Reference], path: Path) -> list[Reference]:
    """The references with the boundaries of a table with the columns id, start_s, end_s (seconds) and phone.

    Only boundaries are taken from it, not the phones. References that are not in it keep what they had. Raises
    DataError where none is in it, or a line has no times.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    rows = list(_rows(path))
    if rows and (missing := [name for name in ("id", "start_s", "end_s", "phone") if name not in rows[0][1]]):
        raise DataError(f"{path}: expected the columns id, start_s, end_s and phone, found no {', '.join(missing)}.")
    for number, row in rows:
        if is_silence(row["phone"]):
            continue
        start, end = _times(f"{path}, line {number}", f"{row['start_s']} {row['end_s']}")
        spans.setdefault(composed(row["id"]), []).append((start, end))
    if not any(reference.id in spans for reference in references):
        raise DataError(
            f"{path}: expected the ids of the references, found none of them. See that both belong together."
        )
    return [
        replace(reference, edges=edges(spans[reference.id]), ends=True) if reference.id in spans else reference
        for reference in references
    ]


def edges(spans: Sequence[tuple[float, float]], *, ends: bool = True) -> tuple[float, ...]:
    """Boundaries of phones with these (start, end): where each starts and, with `ends`, where a pause follows.

    The beginning of the recording is none: nobody has to find it.
    """
    found = set()
    ordered = sorted(spans)
    for i, (start, end) in enumerate(ordered):
        found.add(start)
        if ends and (i + 1 == len(ordered) or ordered[i + 1][0] - end > _PAUSE):
            found.add(end)
    return tuple(sorted(time for time in found if time > 0))


def read_folds(path: Path) -> dict[str, str]:
    """A table of phones and the phone that each counts as, parted by a tab or spaces; `#` alone begins a comment.

    A phone alone on its line counts as nothing. Raises DataError for a line with more than two, and for two lines of
    one phone.
    """
    folds: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = composed(line).split()
        if "#" in fields:
            fields = fields[: fields.index("#")]
        if not fields:
            continue
        if len(fields) > 2:
            raise DataError(
                f"{path}, line {number}: expected a phone and what it counts as, found {len(fields)} phones."
            )
        target = fields[1] if len(fields) == 2 else ""
        if folds.setdefault(fields[0], target) != target:
            raise DataError(
                f"{path}, line {number}: {fields[0]} counts as something else before. Keep one of the lines."
            )
    if not folds:
        raise DataError(f"{path}: expected a phone and the phone it counts as on each line, found no such line.")
    return folds


def is_silence(phone: str) -> bool:
    return phone.strip().lower() in SILENCES


def composed(text: str) -> str:
    """NFC, so that the same phone is the same code points whoever wrote it."""
    return unicodedata.normalize("NFC", text)


def _reference(place: str, row: Mapping[str, str], phones: str, words: str) -> Reference:
    identity, audio = row.get("id", ""), row.get("audio", "")
    if not (audio or identity):
        raise DataError(f"{place}: expected the name of a recording in a column audio or id, found none.")
    said = composed(row.get(phones, "")).split()
    times: tuple[float, ...] | None = None
    if row.get("starts") and said:
        times = _times(place, row["starts"])
        if len(times) != len(said):
            raise DataError(f"{place}: expected a start for each of {len(said)} phones, found {len(times)}.")
        spoken = [time for time, phone in zip(times, said, strict=True) if not is_silence(phone)]
        times = edges([(time, time) for time in spoken], ends=False)
    return Reference(
        name=recording_name(audio or identity),
        id=composed(identity),
        phones=tuple(phone for phone in said if not is_silence(phone)),
        words=row.get(words, "").strip() or None,
        speaker=row.get("speaker", ""),
        edges=times,
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Numbered lines as columns. Quotation marks mean nothing: transcripts have them."""
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    header = [name.strip() for name in lines[0].split("\t")]
    if len(header) < 2:
        raise DataError(f"{path}: expected a table with the names of its columns in the first line, parted by tabs.")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) > len(header):
            raise DataError(f"{path}, line {number}: expected {len(header)} columns, found {len(fields)}.")
        yield number, {name: fields[i] if i < len(fields) else "" for i, name in enumerate(header)}


def _times(place: str, text: str) -> tuple[float, ...]:
    try:
        times = tuple(float(field) for field in text.split())
    except ValueError:
        times = (math.nan,)
    if not all(0 <= time < math.inf for time in times) or list(times) != sorted(times):
        raise DataError(f"{place}: expected times in seconds from 0 on, in order, found {text!r:.60}.")
    return times
