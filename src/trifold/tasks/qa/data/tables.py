"""Parquet and Arrow files, and the folders that Hugging Face's `Dataset.save_to_disk` writes.

Only columns of text, numbers, lists and structs are touched; extension types, which can carry code, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trifold.errors import DataError, MissingExtra
from trifold.tasks.qa.data.rows import FIELD_NAMES, Entry

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["folder_entries", "table_entries", "table_kind"]

_LARGEST = 1_000_000_000
"""Bytes of one file, and of what it unpacks to."""
_LARGEST_STATE = 1_000_000
_BATCH = 256
"""Rows that are unpacked at a time; a passage may have 10 MB."""
_KINDS = {b"PAR1": "Parquet", b"ARRO": "Arrow", b"\xff\xff\xff\xff": "Arrow"}


def table_kind(path: Path) -> str | None:
    """`Parquet` or `Arrow` by the first bytes of a regular file; None for anything else, or what cannot be opened."""
    if not path.is_file():  # a pipe can be read only once
        return None
    try:
        with path.open("rb") as stream:
            return _KINDS.get(stream.read(4))
    except OSError:
        return None


def table_entries(path: Path, kind: str) -> Iterator[Entry]:
    """The rows of a table. Raises DataError where it is damaged, too large or lacks a column, and MissingExtra."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(f"reading {kind}", "data") from None
    number = size = 0
    try:
        if path.stat().st_size > _LARGEST:
            _too_large(path)
        for batch in _parquet(path) if kind == "Parquet" else _arrow(path):
            batch.validate(full=True)
            for value in batch.to_pylist():
                number += 1
                size += sum(len(cell) for cell in value.values() if isinstance(cell, str))
                if size > _LARGEST:
                    _too_large(path)
                yield f"row {number}", value
    except (pa.ArrowException, OSError, ValueError, MemoryError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: the {kind} file cannot be read ({reason}). Get or write it again.") from None


def folder_entries(path: Path) -> Iterator[Entry]:
    """The rows of a folder that `Dataset.save_to_disk` wrote.

    Raises DataError for any other folder, naming the splits of a DatasetDict.
    """
    splits = _state(path, "dataset_dict.json").get("splits")
    if isinstance(splits, list):
        named = ", ".join(str(path / str(name)) for name in splits[:20])
        raise DataError(f"{path}: found a folder of several splits, expected one of them. Give one of: {named}.")
    state = _state(path, "state.json")
    files = state.get("_data_files")
    if not isinstance(files, list) or not files:
        raise DataError(
            f"{path}: expected a file, or a folder written by Dataset.save_to_disk, found a folder without state.json."
        )
    if state.get("_indices_data_files"):
        raise DataError(
            f"{path}: its rows are a selection that an old version wrote. Save it with datasets 2 or newer."
        )
    number = 0
    for entry in files:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or Path(name).name != name or "\0" in name:
            raise DataError(f"{path}: state.json names a data file outside of the folder. Save the data set again.")
        if not (path / name).is_file():
            raise DataError(f"{path}: the data file {name} is missing. Save or copy the data set again.")
        for _, value in table_entries(path / name, "Arrow"):
            number += 1
            yield f"row {number}", value


def _state(path: Path, name: str) -> dict[str, Any]:
    """One of the small JSON files of a folder; empty where there is none."""
    try:
        with (path / name).open("rb") as stream:
            state = json.loads(stream.read(_LARGEST_STATE))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path / name}: cannot be read ({error}).") from None
    return state if isinstance(state, dict) else {}


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        if sum(group.total_byte_size for group in groups) > _LARGEST:
            _too_large(path)
        columns = _columns(path, file.schema_arrow)
        yield from file.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False)


def _arrow(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a stream, as Hugging Face writes them, or of a file."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:
        is_file = source.read(4) == b"ARRO"
        source.seek(0)
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        columns = _columns(path, reader.schema)
        batches: Iterable[pa.RecordBatch] = (
            (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
        )
        for batch in batches:
            yield batch.select(columns)


def _columns(path: Path, schema: pa.Schema) -> list[str]:
    """The names of the columns that are read, all of them of plain types."""
    names = [name for name in schema.names if name in FIELD_NAMES]
    if "question" not in names or not {"context", "passage"}.intersection(names):
        found = ", ".join(name[:30] for name in schema.names[:20]) or "none"
        raise DataError(f"{path}: expected columns question and context or passage, found {found}.")
    for name in names:
        if schema.names.count(name) > 1:
            raise DataError(f"{path}: the column {name} stands twice. Remove one of them.")
        if not _is_plain(schema.field(name).type):
            kind = str(schema.field(name).type)[:60]
            raise DataError(
                f"{path}: column {name}: expected text, numbers, or lists or structs of them, found {kind}."
            )
    return names


def _is_plain(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_plain(kind.value_type)
    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    if types.is_struct(kind):
        return all(_is_plain(kind.field(i).type) for i in range(kind.num_fields))
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating,
             types.is_boolean, types.is_null)  # fmt: skip
    return any(test(kind) for test in tests)


def _too_large(path: Path) -> None:
    raise DataError(f"{path}: expected at most {_LARGEST / 1e6:,.10g} MB of data, found more. Split it.")
