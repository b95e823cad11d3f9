"""Parquet files, row group by row group."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trifold.errors import DataError, MissingExtra
from trifold.printable import printable
from trifold.tables.jsonlines import Reading
from trifold.tables.rows import RowFault

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["parquet_columns", "parquet_count", "read_parquet"]

_ROWS = 64
_BYTES = 4_000_000
"""Rows unpacked at a time, and bytes of them in the file's own reckoning; a passage may have 10 MB."""
_BUFFER = 1 << 20
"""Bytes of a column read at a time; without it and with `pre_buffer` the whole row group would be."""
_EPOCH = datetime.datetime(1970, 1, 1)


def parquet_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns. Raises DataError for a file that cannot be read, MissingExtra without pyarrow."""
    with _opened(path) as file:
        return tuple(file.schema_arrow.names)


def parquet_count(path: Path) -> int:
    """How many rows there are. Raises as `parquet_columns` does."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read_parquet(path: Path, skip: int = 0) -> Iterator[Reading | None]:
    """The rows by their number in the file, from 1; None for each of the first `skip` ones.

    Where a row group is damaged, each of its rows that cannot be read is faulty. Raises as `parquet_columns` does.
    """
    with _opened(path) as file:
        began = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            for number, row in enumerate(_group(file, group, size, skip - began), began + 1):
                yield None if row is None else (number, row)
            began += size


def _opened(path: Path) -> pq.ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("reading Parquet files", "data") from None
    try:
        file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (pa.ArrowException, OSError, ValueError, MemoryError, NotImplementedError) as error:
        raise DataError(f"{path}: the Parquet file cannot be read ({_reason(error)}). Get or write it again.") from None
    names = file.schema_arrow.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        file.close()
        raise DataError(f"{path}: the column {printable(twice[:60])} stands twice. Rename or remove one of them.")
    return file


def _group(file: pq.ParquetFile, group: int, size: int, skip: int) -> Iterator[Mapping[str, Any] | RowFault | None]:
    """As many rows as the group says it has; None for the first `skip` ones."""
    import pyarrow as pa

    if skip >= size:
        yield from (None for _ in range(size))
        return
    average = file.metadata.row_group(group).total_byte_size // max(size, 1)
    rows = max(1, min(_ROWS, _BYTES // max(average, 1)))
    batches = file.iter_batches(batch_size=rows, row_groups=[group], use_threads=False)
    done, cause = 0, "it holds fewer rows than it says"
    while done < size:
        try:
            batch = next(batches, None)
            if batch is None:
                break
            batch.validate()
            batch = _readable(batch)
        except (pa.ArrowException, OSError, ValueError, MemoryError, NotImplementedError) as error:
            cause = _reason(error)
            break
        batch = batch.slice(0, size - done)
        passed = min(batch.num_rows, max(0, skip - done))
        yield from (None for _ in range(passed))
        step = max(1, batch.num_rows * _BYTES // max(batch.nbytes, 1))  # a passage that is stored once may stand in all
        for at in range(passed, batch.num_rows, step):
            yield from _fields(batch.slice(at, step))
        done += batch.num_rows
    for number in range(done, size):
        reason = f"row group {group + 1} of the file is damaged ({cause})"
        yield None if number < skip else RowFault(reason, "Get or write the file again; its other row groups are fine.")


def _readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its top columns in types that turn into Python values with nothing else installed."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        if isinstance(column.type, pa.BaseExtensionType) and column.type.extension_name != "arrow.uuid":
            column = column.storage
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        kind = column.type
        if pa.types.is_timestamp(kind):
            column = _iso(column, kind)
        elif pa.types.is_time64(kind):
            column = column.cast(pa.time64("us"), safe=False)
        elif pa.types.is_duration(kind):
            column = column.cast(pa.duration("us"), safe=False)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _iso(column: pa.Array, kind: pa.TimestampType) -> pa.Array:
    """Timestamps as text in ISO 8601 to the last digit; those with a zone in UTC, as they are stored."""
    import pyarrow as pa

    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
    texts: list[str | None] = []
    for ticks in column.cast(pa.int64()).to_pylist():
        if ticks is None:
            texts.append(None)
            continue
        seconds, rest = divmod(ticks, 10**digits)
        try:
            text = (_EPOCH + datetime.timedelta(seconds=seconds)).isoformat()
        except OverflowError:  # before the year 1 or after 9999
            texts.append(f"{ticks} {kind.unit} after 1970-01-01")
            continue
        fraction = f".{rest:0{digits}}".rstrip("0") if rest else ""
        texts.append(text + fraction + ("+00:00" if kind.tz else ""))
    return pa.array(texts, pa.string())


def _fields(batch: pa.RecordBatch) -> Iterator[Mapping[str, Any] | RowFault]:
    import pyarrow as pa

    try:
        batch.validate(full=True)
        rows = batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        for number in range(batch.num_rows):  # one by one: a cell that is no text harms its own row only
            yield _row((name, batch[name].slice(number, 1)) for name in batch.schema.names)
        return
    for fields in rows:
        yield _row(fields.items())


def _row(cells: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    """The columns of a row out of Python values or of arrays of one cell; a cell that is no text is a fault."""
    import pyarrow as pa

    row: dict[str, Any] = {}
    for name, cell in cells:
        try:
            if isinstance(cell, pa.Array):
                row[name] = _plain(cell.to_pylist()[0])
                cell.validate(full=True)
            else:
                row[name] = _plain(cell)
        except UnicodeDecodeError as error:
            cause = f"expected text in UTF-8, found byte 0x{error.object[error.start]:02X}"
        except (pa.ArrowException, ValueError, OverflowError) as error:
            cause = _reason(error)
        else:
            continue
        reason = f"column {printable(name[:60])}: {cause}"
        row[name] = RowFault(reason, "Save its text as UTF-8, or leave the column out.")
    return row


def _plain(value: Any) -> Any:
    """A value in JSON's own types: text, numbers, true, false, null, lists and objects."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else ("Infinity", "-Infinity")[value < 0]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _reason(error: BaseException) -> str:
    return printable(" ".join(str(error).split())[:200])
