"""Bytes on their way into a file, compressed so that equal contents give equal files.

Nothing of a file depends on its name or on when it was written, and the levels are fixed.
"""

from __future__ import annotations

import bz2
import importlib
import io
import lzma
import zlib
from collections.abc import Iterable
from typing import BinaryIO, Protocol

from trifold.errors import MissingExtra
from trifold.tables.forms import Compression

__all__ = ["Compressor", "compressor", "write_lines"]

_PIECE = 1 << 16
"""Characters that are gathered before they are compressed and written."""


class Compressor(Protocol):
    """Takes bytes bit by bit and gives those that stand for them; `flush` gives the last of them."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compressor(kind: Compression | None) -> Compressor:
    """A new one of that kind; None leaves the bytes alone. Raises MissingExtra where zstd needs a package."""
    if kind == "gzip":
        return zlib.compressobj(6, wbits=31)  # zlib's own gzip header has neither time nor name
    if kind == "bz2":
        return bz2.BZ2Compressor(9)
    if kind == "xz":
        return lzma.LZMACompressor(preset=6)
    return _zstd() if kind == "zstd" else _Plain()


def write_lines(stream: BinaryIO, compression: Compression | None, lines: Iterable[str]) -> None:
    """Write texts one after another, in UTF-8, holding few of them at a time. The stream is left open."""
    through = compressor(compression)
    held: list[str] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _PIECE:
            stream.write(through.compress("".join(held).encode()))
            held.clear()
            size = 0
    stream.write(through.compress("".join(held).encode()))
    stream.write(through.flush())


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Kept(io.BytesIO):
    """Stays readable when what writes to it closes it."""

    def close(self) -> None:
        pass

    def drain(self) -> bytes:
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data


class _ArrowZstd:
    """pyarrow's zstd: one frame, because some readers stop after the first."""

    def __init__(self) -> None:
        import pyarrow as pa

        self._kept = _Kept()
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._kept, "w"), "zstd")

    def compress(self, data: bytes, /) -> bytes:
        self._stream.write(data)
        return self._kept.drain()

    def flush(self) -> bytes:
        self._stream.close()
        return self._kept.drain()


def _zstd() -> Compressor:
    try:
        found: Compressor = importlib.import_module("compression.zstd").ZstdCompressor(3)  # since Python 3.14
        return found
    except ImportError:
        pass
    try:
        return _ArrowZstd()
    except ImportError:
        raise MissingExtra("zstandard files", "data") from None
