"""CSV and TSV files with a header, delimited by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from itertools import chain

from trifold.errors import DataError
from trifold.printable import printable
from trifold.tables.compression import Damage
from trifold.tables.jsonlines import Reading, numbered_lines, undecodable
from trifold.tables.rows import RowFault

__all__ = ["count_delimited", "delimited_columns", "read_delimited"]

_DELIMITERS = ",;\t|"
_LARGEST_RECORD = 16_000_000
_LONGEST_RECORD = 10_000
"""Bytes and lines of one record: a quotation that nobody closes is given up there."""
_QUOTING = 'Write the cell as "...", with each quote in it twice.'
_UNCLOSED = "the quoted cell that begins here is not closed as it should be"


class _Lines:
    """Numbered lines, of which some can be given back to be read once more."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._fresh = numbered_lines(stream, _LARGEST_RECORD)
        self._again: deque[tuple[int, bytes | None]] = deque()
        self.last = 0

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        return self

    def __next__(self) -> tuple[int, bytes | None]:
        item = self._again.popleft() if self._again else next(self._fresh)
        self.last = item[0]
        return item

    def give_back(self, items: list[tuple[int, bytes | None]]) -> None:
        if items:
            self._again.extendleft(reversed(items))
            self.last = items[0][0] - 1


def read_delimited(stream: io.BufferedIOBase, name: str, skip: int = 0) -> Iterator[Reading | None]:
    """The rows by their first line; None for each of the first `skip` ones.

    Lines and rows without any text in them are passed over. Raises DataError for a header that cannot be used.
    """
    lines = _Lines(stream)
    passed, began = 0, 1
    try:
        header = _header(lines, name)
        if header is None:
            return
        delimiter, names = header
        while True:
            began = lines.last + 1
            cells = _record(lines, delimiter)
            if cells is None:
                return
            if not isinstance(cells, RowFault) and not any(cell and not cell.isspace() for cell in cells):
                continue
            if passed < skip:
                passed += 1
                yield None
            elif isinstance(cells, RowFault):
                yield began, cells
            elif len(cells) == len(names):
                yield began, dict(zip(names, cells, strict=True))
            else:
                reason = f"expected {len(names)} cells as in the header, found {len(cells)}"
                yield began, RowFault(reason, "Put a cell that holds the delimiter between double quotes.")
    except Damage as damage:
        yield None if passed < skip else (began, damage.fault())


def delimited_columns(stream: io.BufferedIOBase, name: str) -> tuple[str, ...]:
    """The names in the header; empty where there is none. Raises DataError as `read_delimited` does."""
    try:
        header = _header(_Lines(stream), name)
    except Damage as damage:
        raise DataError(f"{name}: the header cannot be read ({damage}). Get the file again.") from None
    return header[1] if header else ()


def count_delimited(stream: io.BufferedIOBase, name: str) -> int:
    """How many rows there are; a little off where quotes stand inside of cells. Raises DataError for the header."""
    lines = _Lines(stream)
    rows = quotes = 0
    try:
        header = _header(lines, name)
        blanks = (header[0] if header else "").encode() + b" \r\n"
        for _, line in lines:
            quotes += line.count(b'"') if line else 0
            rows += quotes % 2 == 0 and (line is None or bool(line.strip(blanks)))
    except Damage:
        rows += 1
    return rows


def _header(lines: _Lines, name: str) -> tuple[str, tuple[str, ...]] | None:
    """The delimiter and the names of the columns; None where there is no text."""
    told = None
    for number, line in lines:
        if line is None:
            raise DataError(f"{name}: expected a header with the names of the columns, found one line of over 16 MB.")
        text = line.decode("utf-8", "surrogateescape").strip("\r\n")
        if not text.strip():
            continue
        if text.casefold().startswith("sep=") and len(text) == 5:  # written for Excel
            told = text[4]
            continue
        lines.give_back([(number, line)])
        delimiter = told or max(_DELIMITERS, key=lambda d: len(next(csv.reader([text.replace("\r", "")], delimiter=d))))
        cells = _record(lines, delimiter)
        if isinstance(cells, RowFault):
            raise DataError(f"{name}, line {number}: the header cannot be read: {cells.reason}. {cells.remedy}")
        return delimiter, _names(name, [cell.strip() for cell in cells or ()])
    return None


def _names(name: str, cells: list[str]) -> tuple[str, ...]:
    if any("\r" in cell for cell in cells):
        raise DataError(f"{name}: expected lines that end in LF or CRLF, found CR alone. Save the file again.")
    names = tuple(cell or f"column {number}" for number, cell in enumerate(cells, 1))
    twice = next((cell for cell in names if names.count(cell) > 1), None)
    if twice is not None:
        shown = printable(twice[:60])
        raise DataError(f"{name}: the column {shown} stands twice in the header. Rename or remove one of them.")
    return names


def _record(lines: _Lines, delimiter: str) -> list[str] | RowFault | None:
    """The cells of the next record, or why it has none; None at the end. Of a broken one the first line is used up."""
    first = next(lines, None)
    if first is None:
        return None
    number, line = first
    if line is None:
        return RowFault(f"the line is longer than {_LARGEST_RECORD // 1_000_000} MB", "Cut the passage.")
    if b'"' in line:
        return _quoted(lines, number, line, delimiter)
    try:
        return line.decode().rstrip("\r\n").split(delimiter)
    except UnicodeDecodeError as error:
        return undecodable(error)


def _quoted(lines: _Lines, number: int, line: bytes, delimiter: str) -> list[str] | RowFault:
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_RECORD))  # it is one for the whole process: never lowered
    taken: list[tuple[int, bytes | None]] = []

    def texts() -> Iterator[str]:
        size = 0
        for item in chain([(number, line)], lines):
            taken.append(item)
            size += len(item[1] or b"")
            if item[1] is None or size > _LARGEST_RECORD or len(taken) > _LONGEST_RECORD:
                return
            yield item[1].decode("utf-8", "surrogateescape")

    try:
        cells = next(csv.reader(texts(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        lines.give_back(taken[1:])
        is_open = len(taken) > 1 or "unexpected end" in str(error)
        cause = _UNCLOSED if is_open else f"not CSV: {str(error).partition(' - ')[0]}"
        return RowFault(cause, _QUOTING)
    try:
        b"".join(part for _, part in taken if part).decode()
    except UnicodeDecodeError as error:
        return undecodable(error, number, f"line {number}" if len(taken) > 1 else "the line")
    return cells
