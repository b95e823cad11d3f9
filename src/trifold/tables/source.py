"""Rows out of files, folders and standard input, each told by its content."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifold.errors import DataError
from trifold.tables.compression import Damage, peeked, raw_chunks, stream_of, unpacked
from trifold.tables.delimited import count_delimited, delimited_columns, read_delimited
from trifold.tables.documents import check_document, read_document, starts_with_data
from trifold.tables.jsonlines import DECODER, Reading, count_json_lines, read_json_lines
from trifold.tables.parquet import parquet_columns, parquet_count, read_parquet
from trifold.tables.rows import Row, RowFault, Unnest

__all__ = ["Source", "open_source"]

_HEAD = 1 << 16
"""Bytes, unpacked, that tell the form of a file."""
_COUNTED = 1 << 28
"""Bytes of a JSON document that is read as a whole only to count its rows."""
_ENDINGS = tuple(
    form + packed for form in (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
    for packed in ("", ".gz", ".bz2", ".xz", ".zst")
)  # fmt: skip
_FORMS = ("jsonl", "csv", "parquet", "json")
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"%PDF": "a PDF", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK\x03\x04": "a ZIP archive or an Excel file",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file", b"ARROW1": "an Arrow file", b"PARE": "an encrypted Parquet file",
    b"SQLite format 3\0": "an SQLite database", b"Obj\x01": "an Avro file", b"ORC": "an ORC file",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Input:
    """path: None for standard input. form: None where it is told only by reading. is_regular: may be read again."""

    path: Path | None
    form: str | None
    is_regular: bool

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else str(self.path)


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of all inputs, one after the other. Made by `open_source`."""

    inputs: tuple[_Input, ...]
    unnest: Unnest | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files; empty for standard input."""
        return tuple(given.path for given in self.inputs if given.path is not None)

    @property
    def resumable(self) -> bool:
        """Whether all inputs are files that can be read again."""
        return all(given.is_regular for given in self.inputs)

    def columns(self) -> list[tuple[str, tuple[str, ...]]]:
        """The names of the columns of each file that says so in advance (CSV, Parquet). Raises DataError."""
        found = []
        for given in self.inputs:
            if not given.is_regular:  # a stream can be read only once
                continue
            if given.form == "parquet" and given.path is not None:
                found.append((given.name, parquet_columns(given.path)))
            elif given.form == "csv":
                with _stream(given, "csv") as (_, stream):
                    found.append((given.name, delimited_columns(stream, given.name)))
        return found

    def count(self) -> int | None:
        """How many rows there are, to show progress; None where only reading them all would tell.

        A little off for files with stray quotes or damage.
        """
        total = 0
        for given in self.inputs:
            rows = self._count(given)
            if rows is None:
                return None
            total += rows
        return total

    def digests(self) -> list[dict[str, Any]]:
        """Name, size and SHA-256 of each file as stored; empty for streams. Raises DataError, EngineError."""
        digests = []
        for given in self.inputs:
            if given.path is None or not given.is_regular:
                return []
            digest, size = hashlib.sha256(), 0
            with raw_chunks(given.path) as chunks:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
            digests.append({"file": given.name, "bytes": size, "sha256": digest.hexdigest()})
        return digests

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """The rows in input order but for the first `skip` ones; the others keep their numbers.

        No more than a few MB are read ahead. Of a stream the rows can be had once. Raises DataError for a file that as
        a whole is not what it should be, and EngineError where reading fails.
        """
        number = 0
        for given in self.inputs:
            name = None if given.path is None else given.name
            for reading in self._readings(given, max(0, skip - number)):
                number += 1
                if reading is None:
                    continue
                place, found = reading
                if isinstance(found, RowFault):
                    yield Row(number, {}, name, place, found)
                else:
                    yield Row(number, found, name, place)

    def _readings(self, given: _Input, skip: int) -> Iterator[Reading | None]:
        if given.form == "parquet" and given.path is not None:
            yield from read_parquet(given.path, skip)
            return
        with _stream(given, given.form) as (form, stream):
            if form == "jsonl":
                yield from read_json_lines(stream, skip)
            elif form == "csv":
                yield from read_delimited(stream, given.name, skip)
            elif form == "json":
                yield from read_document(stream, given.name, self.unnest, skip)

    def _count(self, given: _Input) -> int | None:
        if not given.is_regular or given.path is None:
            return None
        if given.form == "parquet":
            return parquet_count(given.path)
        with _stream(given, given.form) as (form, stream):
            if form == "jsonl":
                return count_json_lines(stream)
            if form == "csv":
                return count_delimited(stream, given.name)
            if form == "json" and given.path.stat().st_size > _COUNTED:
                return None
        return sum(1 for _ in self._readings(given, 0))


def open_source(inputs: Sequence[str], *, form: str | None = None, unnest: Unnest | None = None) -> Source:
    """The rows of files and folders, or of standard input for exactly one "-".

    A folder stands for the files in it that end in .jsonl, .ndjson, .json, .csv, .tsv or .parquet, or in one of these
    and .gz, .bz2, .xz or .zst, sorted by name; its own folders and what is hidden are left out. form: "jsonl", "csv",
    "parquet" or "json", or None to tell it by each file's content. unnest: see `rows.Unnest`, for JSON documents.

    Raises DataError where there is no such file, a folder holds none, the only file is empty, or one is of another
    kind; MissingExtra for Parquet and zstandard without pyarrow.
    """
    if form is not None and form not in _FORMS:
        raise DataError(f"expected one of {', '.join(_FORMS)} as the form of the input, found {form}.")
    if "-" in inputs:
        if len(inputs) > 1:
            raise DataError("expected files, or - alone for standard input, found both. Give one or the other.")
        return Source((_Input(None, form, is_regular=False),), unnest)
    paths = [path for given in inputs for path in _files(given)]
    return Source(tuple(_told(path, form, is_only=len(paths) == 1) for path in paths), unnest)


def _files(given: str) -> list[Path]:
    path = Path(given)
    try:
        if not path.is_dir():
            return [path]
        found = sorted(
            entry for entry in path.iterdir()
            if entry.name.casefold().endswith(_ENDINGS) and not entry.name.startswith(".") and not entry.is_dir()
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError(f"{given}: cannot be read ({error}).") from None
    if not found:
        raise DataError(
            f"{given}: expected files that end in .jsonl, .csv, .tsv, .json or .parquet in the folder, found none "
            "(folders inside of it are not looked into). Give the names of files."
        )
    return found


def _told(path: Path, form: str | None, *, is_only: bool) -> _Input:
    """An input whose form is known, checked as far as its beginning allows."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None
    if not stat.S_ISREG(mode):  # a pipe can be read only once
        return _Input(path, form, is_regular=False)
    given = _Input(path, form, is_regular=True)
    with _stream(given, form, is_only=is_only) as (told, stream):
        if told == "json":
            check_document(stream, given.name)
        elif told == "csv":
            delimited_columns(stream, given.name)
    if told == "parquet":
        parquet_columns(path)
    return _Input(path, told, is_regular=True)


@contextmanager
def _stream(
    given: _Input, form: str | None, *, is_only: bool = False
) -> Iterator[tuple[str | None, io.BufferedIOBase]]:
    """The form of an input, None where there is nothing in it, and its bytes unpacked.

    Raises DataError for a kind of file that is not read, and where it can be read no further than its first byte.
    """
    with raw_chunks(given.path) as stored:
        try:
            packed, chunks = unpacked(stored)
            head, chunks = peeked(chunks, _is_enough)
        except Damage as damage:
            raise DataError(f"{given.name}: {damage}, from its beginning on. Get the file again.") from None
        if not head and (is_only or given.path is None):
            raise DataError(f"{given.name}: it is empty. Expected rows as JSON lines, CSV, Parquet or JSON.")
        _refuse(given.name, head)
        if form == "parquet" and head and not head.startswith(b"PAR1"):
            raise DataError(f"{given.name}: expected a Parquet file, found something else. Leave its form out.")
        told = form if form and head else _form(head)
        if told == "parquet" and (packed or not given.is_regular):
            how = f"inside of {packed}" if packed else "from a stream"
            raise DataError(f"{given.name}: Parquet cannot be read {how}. Give the Parquet file itself.")
        yield told, stream_of(chunks)


def _refuse(name: str, head: bytes) -> None:
    what = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
    if what is None and head[257:262] == b"ustar":
        what = "a tar archive"
    if what is None and head[:1] != b"\0" and head[1:4:2] == b"\0\0":
        what = "UTF-16"
    if what is not None:
        raise DataError(
            f"{name}: expected JSON lines, CSV, Parquet or JSON, found {what}. Save it as one of these, in UTF-8."
        )


def _is_enough(head: bytes) -> bool:
    """A first line that tells JSON lines is enough, so that a slow pipe is read as it comes."""
    if len(head) >= _HEAD or head.startswith(b"PAR1"):
        return True
    first = _value(_lines(head)[0]) if b"\n" in head else None
    return isinstance(first, dict) and not isinstance(first.get("data"), list)


def _form(head: bytes) -> str | None:
    """The form of a file that begins so; None where there is no text.

    Lists, objects with a list at `data`, and objects that go over several lines are documents, unless they end in the
    first line and others follow. JSON lines have a JSON object in one of their lines. The rest are tables.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        return None
    lines = _lines(head)
    if len(lines) > 1 and isinstance(_value(lines[0]), (dict, list)):
        return "jsonl"
    if text.startswith(b"[") or starts_with_data(io.BytesIO(text)):
        return "json"
    if any(isinstance(_value(line), dict) for line in lines):
        return "jsonl"
    if not text.startswith(b"{"):
        return "csv"
    if len(lines) > 1 and lines[1].startswith(b"{"):  # long rows, of which the first is broken
        return "jsonl"
    return "json" if len(lines) > 1 else "jsonl"


def _lines(head: bytes) -> list[bytes]:
    """The lines with text in them, the last one possibly cut off."""
    return head.removeprefix(_BOM).strip().split(b"\n")


def _value(line: bytes) -> Any:
    """The JSON object or list that the line is; None for anything else."""
    if not line.lstrip().startswith((b"{", b"[")):
        return None
    try:
        return DECODER.decode(line.strip().decode())
    except (ValueError, RecursionError):
        return None
