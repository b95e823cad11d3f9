"""Rows as a Parquet file, read twice where the types of columns have to be found out first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Literal

from trifold.errors import MissingExtra
from trifold.tables.forms import Column
from trifold.tables.write_cells import cell_text, whole_text

__all__ = ["require_parquet", "write_parquet"]

_GROUP_ROWS = 16_384
_GROUP_CHARACTERS = 64_000_000
"""What a row group holds at most: both bound the memory, and both depend on the rows alone."""
_EXACT = 2**53
"""Whole numbers up to here are the same as float64."""

_Type = Literal["text", "integer", "number", "json", "boolean"]


def require_parquet() -> None:
    """Raises MissingExtra where Parquet cannot be written."""
    try:
        import pyarrow
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtra("Parquet files", "data") from None


def write_parquet(stream: BinaryIO, rows: Callable[[], Iterator[Mapping[str, Any]]], columns: Sequence[Column]) -> int:
    """Write all rows and return how many; the stream is left open. Raises MissingExtra.

    Lists and objects are JSON text. A column of the kind "any" has the narrowest type that holds all its values
    unaltered: int64, float64, bool, or else text, in which what is no text stands as JSON. Numbers that int64 or
    float64 would alter are text too.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = _types(rows, columns)
    arrow = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    schema = pa.schema([(whole_text(name), arrow.get(kind, pa.string())) for name, kind in types.items()])
    count = 0
    writer = pq.ParquetWriter(stream, schema, compression="zstd", compression_level=3, version="2.6")
    try:
        for group in _groups(rows(), types):
            arrays = [pa.array(cells, type=field.type) for cells, field in zip(group, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=_GROUP_ROWS)
            count += len(arrays[0])
        writer.close()
    except BaseException:
        with suppress(Exception):  # or it would be tried again when the writer is collected
            writer.close()
        raise
    return count


def _types(rows: Callable[[], Iterator[Mapping[str, Any]]], columns: Sequence[Column]) -> dict[str, _Type]:
    """The type of each column; the rows are read only where a column's kind is not given."""
    unknown = {column.name: _Seen() for column in columns if column.kind == "any"}
    if unknown:
        for row in rows():
            for name, seen in unknown.items():
                seen.add(row.get(name))
    return {column.name: unknown[column.name].fits() if column.kind == "any" else column.kind for column in columns}


class _Seen:
    """What kinds of values a column has."""

    __slots__ = ("kinds", "largest", "smallest")

    def __init__(self) -> None:
        self.kinds: set[type] = set()
        self.smallest = self.largest = 0

    def add(self, value: Any) -> None:
        if value is None:
            return
        self.kinds.add(type(value))
        if type(value) is int:
            self.smallest, self.largest = min(self.smallest, value), max(self.largest, value)

    def fits(self) -> _Type:
        if self.kinds == {bool}:
            return "boolean"
        if self.kinds == {int} and self.smallest >= -(2**63) and self.largest < 2**63:
            return "integer"
        if self.kinds == {float}:
            return "number"
        if self.kinds == {int, float} and self.smallest >= -_EXACT and self.largest <= _EXACT:
            return "number"
        return "text"


def _groups(rows: Iterator[Mapping[str, Any]], types: Mapping[str, _Type]) -> Iterator[list[list[Any]]]:
    """The cells of each row group, column by column."""
    held: list[list[Any]] = [[] for _ in types]
    count = size = 0
    for row in rows:
        for cells, (name, kind) in zip(held, types.items(), strict=True):
            value = row.get(name)
            if kind in ("text", "json"):
                value = cell_text(value, as_json=kind == "json")
                size += len(value or "")
            cells.append(value)
        count += 1
        if count == _GROUP_ROWS or size >= _GROUP_CHARACTERS:
            yield held
            held = [[] for _ in types]
            count = size = 0
    if count:
        yield held
