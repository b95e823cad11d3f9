"""Rows into a file, in any form; the bytes are a function of the rows and the form alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO, TypeVar

from trifold.errors import DataError
from trifold.tables.forms import Column, Form
from trifold.tables.write_cells import cell_text, json_text
from trifold.tables.write_compressed import compressor, write_lines
from trifold.tables.write_parquet import require_parquet, write_parquet

__all__ = ["Column", "RowWriter", "check_form", "stream_rows", "write_rows"]

_T = TypeVar("_T")


def check_form(form: Form) -> None:
    """Raises MissingExtra where a package is missing that the form needs: before the work rather than after it."""
    if form.kind == "parquet":
        require_parquet()
    compressor(form.compression)


def write_rows(
    stream: BinaryIO,
    form: Form,
    rows: Callable[[], Iterator[Mapping[str, Any]]],
    columns: Sequence[Column],
    *,
    headline: str | None = None,
) -> int:
    """Write all rows and return how many; the stream is left open, and few rows are held at a time.

    rows: gives the same rows each time it is called, which happens twice for Parquet with a column of the kind "any".
    columns: of CSV and Parquet; what a row lacks of them is null. JSON lines hold each row's own fields in their own
    order. In `predictions` the first column is the id and `headline` the answer: a row without an id is left out and
    not counted, and an answer that is null is "", which says that there is none.

    NaN and infinities are null but in Parquet columns of numbers. Halves of surrogate pairs are written as escapes.
    Raises MissingExtra, and DataError where two rows of `predictions` have one id.
    """
    if form.kind == "parquet":
        return write_parquet(stream, rows, columns)
    count = _Count()
    if form.kind == "predictions":
        if headline is None:
            raise ValueError("predictions: name the column of the answers as headline")
        lines = _predictions(count.of(_answers(rows(), columns[0].name, headline)))
    else:
        lines = chain(_head(form, columns), map(_liner(form, columns), count.of(rows())))
    write_lines(stream, form.compression, lines)
    return count.value


class RowWriter:
    """Writes rows one by one, each of them out at once where the form is not compressed; see `stream_rows`."""

    def __init__(self, stream: BinaryIO, form: Form, columns: Sequence[Column]) -> None:
        self._stream = stream
        self._through = compressor(form.compression)
        self._line = _liner(form, columns)
        for head in _head(form, columns):
            self._put(head)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        self._put(self._line(row))

    def close(self) -> None:
        """Write what is left; the stream itself stays open."""
        self._stream.write(self._through.flush())
        self._stream.flush()

    def _put(self, text: str) -> None:
        self._stream.write(self._through.compress(text.encode()))
        self._stream.flush()


def stream_rows(stream: BinaryIO, form: Form, columns: Sequence[Column]) -> RowWriter:
    """A writer of rows as they come, for standard output; uncompressed, its bytes are those of `write_rows`.

    Raises DataError for Parquet and predictions, which are not written row by row, and MissingExtra.
    """
    if form.kind not in ("jsonl", "csv"):
        raise DataError(
            f"standard output takes jsonl or csv, which are written row by row, not {form.kind}. "
            "Name a file for it, or choose another --format."
        )
    return RowWriter(stream, form, columns)


class _Count:
    """Counts what passes."""

    def __init__(self) -> None:
        self.value = 0

    def of(self, items: Iterator[_T]) -> Iterator[_T]:
        for item in items:
            self.value += 1
            yield item


def _head(form: Form, columns: Sequence[Column]) -> list[str]:
    """The lines before the first row."""
    return [_record([cell_text(column.name) for column in columns], form.delimiter)] if form.kind == "csv" else []


def _liner(form: Form, columns: Sequence[Column]) -> Callable[[Mapping[str, Any]], str]:
    """What makes a line, its end included, of a row."""
    if form.kind == "jsonl":
        return lambda row: json_text(row) + "\n"
    wanted = [(column.name, column.kind == "json") for column in columns]
    return lambda row: _record([cell_text(row.get(name), as_json=json) for name, json in wanted], form.delimiter)


def _record(cells: Sequence[str | None], delimiter: str) -> str:
    """A record as RFC 4180 has it but for a bare line feed; quoted alike by every Python, as the csv module is not."""
    line = delimiter.join(_quoted(cell or "", delimiter) for cell in cells)
    return (line or '""') + "\n"  # most readers skip an empty line


def _quoted(cell: str, delimiter: str) -> str:
    if delimiter in cell or '"' in cell or "\n" in cell or "\r" in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _answers(rows: Iterator[Mapping[str, Any]], key: str, headline: str) -> Iterator[tuple[str, str]]:
    """The id and the answer of each row that has an id, as text."""
    seen: set[str] = set()
    for row in rows:
        if row.get(key) is None:
            continue
        name = _as_text(row[key])
        if name in seen:
            raise DataError(
                f"column {key[:60]}: expected another id in each row, found {name[:60]!r} twice; predictions are "
                "answers by id. Make the ids different, or write jsonl, csv or parquet."
            )
        seen.add(name)
        yield name, _as_text(row.get(headline) or "")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _predictions(answers: Iterator[tuple[str, str]]) -> Iterator[str]:
    """One JSON object, an answer a line."""
    yield "{"
    comma = "\n"
    for name, answer in answers:
        yield f"{comma}{json_text(name)}: {json_text(answer)}"
        comma = ",\n"
    yield "\n}\n"
