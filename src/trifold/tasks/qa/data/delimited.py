"""CSV and TSV with a header, delimited by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trifold.errors import DataError
from trifold.tasks.qa.data.repairs import Fault
from trifold.tasks.qa.data.rows import ANSWER_NAMES, FIELD_NAMES, Entry

__all__ = ["cell_entries"]

_LARGEST_CELL = 20_000_000
"""Characters of one cell; a passage may have 10 MB."""
_LONGEST_HEADER = 10_000
_DELIMITERS = ",;\t|"
_NUMBERS = ("answer_start", "start", "answer_end", "end")


def cell_entries(path: Path, text: str) -> Iterator[Entry] | None:
    """The lines of a table as flat rows, or None where the text begins with no header of labelled questions.

    Raises DataError for a header that lacks a column, or has one twice.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_CELL))  # it is one for the whole process: never lowered
    body = text.lstrip("\r\n")
    first, _, rest = body.partition("\n")
    if first.strip().casefold().startswith("sep="):  # written for Excel
        body = rest
    skipped = text.count("\n", 0, len(text) - len(body))
    headers = {delimiter: _header(body, delimiter) for delimiter in _DELIMITERS}
    delimiter, names = max(headers.items(), key=lambda item: len(set(item[1]).intersection(FIELD_NAMES)))
    if not {"question", "context", "passage"}.intersection(names):
        return None
    _check_header(path, names)
    return _entries(body, delimiter, names, skipped)


def _header(text: str, delimiter: str) -> list[str]:
    head = io.StringIO(text[:_LONGEST_HEADER], newline="")
    try:
        cells = next(csv.reader(head, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip().casefold().replace(" ", "_") for cell in cells]


def _check_header(path: Path, names: Sequence[str]) -> None:
    found = ", ".join(name[:30] for name in names[:20])
    for wanted in (("question",), ("context", "passage"), (*ANSWER_NAMES, "verdict")):
        if not set(wanted).intersection(names):
            raise DataError(f"{path}: expected a column {' or '.join(wanted)}, found the columns {found}.")
    twice = [name for name in names if name in FIELD_NAMES and names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: the column {twice[0]} stands twice in the header. Rename or remove one of them.")


def _entries(text: str, delimiter: str, names: Sequence[str], skipped: int) -> Iterator[Entry]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    next(reader)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num + skipped
            lines = f" (lines {line} to {last} were read as one)" if last > line else ""
            yield f"line {line}", Fault(f'not valid CSV: {error}{lines}. Quote a cell as "...", quotes in it as "".')
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) == len(names):
            yield f"line {line}", _value(dict(zip(names, cells, strict=True)))
        else:
            cause = (
                f"expected {len(names)} cells as in the header, found {len(cells)}. Quote cells with a delimiter in."
            )
            yield f"line {line}", Fault(cause)


def _value(cells: dict[str, str]) -> Any:
    value: dict[str, Any] = {name: cell for name, cell in cells.items() if cell.strip() and name in FIELD_NAMES}
    named = [name for name in ANSWER_NAMES if name in cells]
    given = next((value.pop(name) for name in named if name in value), None)
    if given is not None and given.lstrip().startswith("{'"):
        return Fault("the answers are a Python object in text. Export JSON lines or Parquet instead of CSV.")
    if named:
        value["answers"] = [] if given is None else _answers(given)
    for name in _NUMBERS:
        if name in value:
            value[name] = _position(value[name])
    if "is_impossible" in value:
        value["is_impossible"] = value["is_impossible"].strip().casefold() in ("true", "1", "yes")
    return value


def _answers(cell: str) -> Any:
    """A JSON list of texts or objects, a JSON object, or else the one answer as it stands."""
    if cell.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        if isinstance(value, dict) or all(isinstance(part, str | dict) for part in value):
            return value
    return cell


def _position(cell: str) -> Any:
    """A number, or a JSON list of numbers; anything else as it stands."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell
