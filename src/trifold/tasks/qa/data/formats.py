"""Tells by its content what a data file is, and reads its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from trifold.errors import DataError
from trifold.tasks.qa.data.delimited import cell_entries
from trifold.tasks.qa.data.haystack import is_label, label_rows, merged
from trifold.tasks.qa.data.labelstudio import is_export, is_task, task_rows
from trifold.tasks.qa.data.repairs import Fault
from trifold.tasks.qa.data.rows import Entry, Row, entry_faults, flat_row
from trifold.tasks.qa.data.squad import article_rows
from trifold.tasks.qa.data.tables import folder_entries, table_entries, table_kind
from trifold.tasks.qa.data.textfiles import read_text

__all__ = ["read_rows"]

_LARGEST = 1_000_000_000
"""Bytes of one file, uncompressed; a bomb is refused instead of filling the memory."""
_HEAD = 1000
"""So many characters tell SQuAD JSON from JSON lines."""
_LOOKED_AT = 100
"""The format is told by the first object among so many lines."""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file of any format that `docs/data.md` describes, faulty ones included.

    Raises DataError when the file as a whole is missing, empty, of another kind, or of another shape; MissingExtra for
    Parquet and Arrow without pyarrow.
    """
    empty = True
    for row in _rows(path):
        empty = False
        yield row
    if empty:
        raise DataError(f"{path}: there is no question in it.")


def _rows(path: Path) -> Iterator[Row]:
    if path.is_dir():
        return _from_objects(path, folder_entries(path))
    kind = table_kind(path)
    if kind is not None:
        return _from_objects(path, table_entries(path, kind))
    text = read_text(str(path), _LARGEST)
    if not text.strip():
        raise DataError(f"{path}: the file is empty. Expected SQuAD JSON, one JSON object a line, or CSV.")
    if text.lstrip()[0] not in "{[":
        cells = cell_entries(path, text)
        if cells is not None:
            return _from_objects(path, cells)
    document = _as_document(path, text)
    if isinstance(document, dict) and "data" in document and not (is_task(document) or is_label(document)):
        return _from_data(path, document["data"])
    if isinstance(document, list):
        return _from_objects(path, ((f"row {i}", value) for i, value in enumerate(document, 1)))
    if isinstance(document, dict) and "\n" in text.strip():  # one object, written over several lines
        return _from_objects(path, [("row 1", document)])
    return _from_objects(path, _lines(path, text))


def _from_data(path: Path, data: Any) -> Iterator[Row]:
    """What stands under `data`: the articles of SQuAD, or flat rows."""
    if isinstance(data, list) and data and isinstance(data[0], dict) and "question" in data[0]:
        return _from_objects(path, ((f"data[{i}]", value) for i, value in enumerate(data)))
    if not isinstance(data, list):
        raise DataError(
            f"{path}: expected SQuAD JSON with a list at data, found {type(data).__name__}. "
            "The shape is data > paragraphs > qas."
        )
    return chain.from_iterable(article_rows(path, f"data[{a}]", article) for a, article in enumerate(data))


def _from_objects(path: Path, entries: Iterable[Entry]) -> Iterator[Row]:
    """Rows of objects that are all of the format of the first one."""
    entries = iter(entries)
    head = list(islice(entries, _LOOKED_AT))
    first: dict[str, Any] = next((value for _, value in head if isinstance(value, dict)), {})
    objects = entry_faults(chain(head, entries))
    if "paragraphs" in first:
        return _each(objects, lambda place, value: article_rows(path, place, value))
    if is_export(first):
        return _each(objects, task_rows)
    if is_label(first):
        return merged(_each(objects, label_rows))
    return _each(objects, lambda place, value: [flat_row(place, value)])


def _each(
    objects: Iterable[Row | tuple[str, dict[str, Any]]], read: Callable[[str, dict[str, Any]], Iterable[Row]]
) -> Iterator[Row]:
    for item in objects:
        if isinstance(item, Row):
            yield item
        else:
            yield from read(*item)


def _as_document(path: Path, text: str) -> Any:
    """The file as one JSON value, or None where it is none (JSON lines)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if '"paragraphs"' in text[:_HEAD] and '"data"' in text[:_HEAD]:
            raise DataError(f"{path}: broken SQuAD JSON ({error}). Get the file again.") from None
        return None


def _lines(path: Path, text: str) -> Iterator[Entry]:
    lines = text.split("\n")
    if not any(line.lstrip().startswith("{") for line in lines):
        raise DataError(
            f"{path}: expected SQuAD JSON or one JSON object a line, found neither, nor CSV with the columns question "
            'and context. An object needs {"question": ..., "context": ..., '
            '"answers": {"text": [...], "answer_start": [...]}}.'
        )
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                yield f"line {number}", Fault(f"the line is not JSON ({error}).")
