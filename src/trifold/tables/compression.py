"""The bytes of a file or of standard input as a stream, unpacked where they are packed."""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, cast

from trifold.errors import DataError, EngineError, MissingExtra
from trifold.tables.rows import RowFault

__all__ = ["Damage", "peeked", "raw_chunks", "stream_of", "unpacked"]

_READ = 1 << 16
_PIECE = 1 << 13
"""Bytes unpacked at a time; an error in the packed data takes at most so many good bytes before it along."""
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
_LONGEST_MAGIC = max(map(len, _MAGIC))


class Damage(Exception):
    """The packed bytes of a file cannot be read any further."""

    def fault(self) -> RowFault:
        return RowFault(
            f"the rest of the file cannot be read: {self}", "Get the file again; its rows from here on are missing."
        )


@contextmanager
def raw_chunks(path: Path | None) -> Iterator[Iterator[bytes]]:
    """The bytes of a file as stored, or of standard input for None, piece by piece as they come.

    Raises DataError where it cannot be opened; the pieces raise EngineError where reading fails on the way.
    """
    if path is None:
        if sys.stdin is None:
            raise DataError("standard input: it is closed. Give the name of a file.")
        yield _pieces(cast(io.BufferedReader, sys.stdin.buffer), "standard input")
        return
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None
    with stream:
        yield _pieces(stream, str(path))


def peeked(chunks: Iterator[bytes], enough: Callable[[bytes], bool]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, as few as are enough, and everything once more.

    Damage after at least one byte is raised only where everything is read.
    """
    head = b""
    while not enough(head):
        try:
            chunk = next(chunks, b"")
        except Damage as damage:
            if not head:
                raise
            return head, _broken_off(head, damage)
        if not chunk:
            return head, iter([head])
        head += chunk
    return head, chain([head], chunks)


def unpacked(chunks: Iterator[bytes]) -> tuple[str | None, Iterator[bytes]]:
    """The name of the compression, told by the first bytes, and the bytes without it.

    The bytes raise Damage where the packed ones are broken or end too early. Raises MissingExtra.
    """
    head, chunks = peeked(chunks, _is_told)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind is None:
        return None, chunks
    if kind == "zstandard":
        return kind, _checked(kind, _zstandard(chunks))
    if kind == "gzip":
        return kind, _checked(kind, _gzip(chunks))
    return kind, _checked(kind, _members(chunks, bz2.BZ2Decompressor if kind == "bzip2" else lzma.LZMADecompressor))


def stream_of(chunks: Iterator[bytes]) -> io.BufferedIOBase:
    """Pieces of bytes as a stream to read lines from."""
    return io.BufferedReader(_Chunks(chunks), buffer_size=_READ)


class _Chunks(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def _pieces(stream: io.BufferedReader, name: str) -> Iterator[bytes]:
    try:
        while piece := stream.read1(_READ):
            yield piece
    except OSError as error:
        raise EngineError(
            f"{name}: reading it failed on the way ({error.strerror or error}). Make it readable again, then go on."
        ) from None


def _is_told(head: bytes) -> bool:
    return len(head) >= _LONGEST_MAGIC or not any(magic.startswith(head[: len(magic)]) for magic in _MAGIC)


def _broken_off(head: bytes, damage: Damage) -> Iterator[bytes]:
    yield head
    raise damage


def _checked(kind: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Damage(f"the {kind} data is damaged ({error})") from None


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        rest = chunk
        while rest:
            if unpacker.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                unpacker = zlib.decompressobj(wbits=31)
            piece = unpacker.decompress(rest, _PIECE)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if piece:
                yield piece
    if not unpacker.eof:
        yield unpacker.flush()
        raise EOFError("it breaks off")


def _members(chunks: Iterator[bytes], new: Callable[[], Any]) -> Iterator[bytes]:
    """new: makes a decompressor of the standard library, which reads one member of possibly several."""
    unpacker = new()
    for chunk in chunks:
        rest = chunk
        while rest or not (unpacker.eof or unpacker.needs_input):
            if unpacker.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                unpacker = new()
            piece = unpacker.decompress(rest, _PIECE)
            rest = unpacker.unused_data if unpacker.eof else b""
            if piece:
                yield piece
    if not unpacker.eof:
        raise EOFError("it breaks off")


def _zstandard(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtra("reading zstandard files", "data") from None
    with pa.CompressedInputStream(pa.PythonFile(stream_of(chunks), mode="r"), "zstd") as stream:
        while piece := stream.read(_PIECE):
            yield piece
