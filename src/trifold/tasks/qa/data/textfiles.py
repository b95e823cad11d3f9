"""Files and standard input as text, or one clear line about why they are none."""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

from trifold.errors import DataError

__all__ = ["read_bytes", "read_text", "text_in", "write_text"]

_GZIP = b"\x1f\x8b"
_KINDS = {b"%PDF": "a PDF", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
          b"PK\x03\x04": "a ZIP archive or an Excel file"}  # fmt: skip


def read_text(source: str, limit: int) -> str:
    """The text of a file, or of standard input for `-`; gzip is unpacked, a byte order mark dropped.

    Line ends stay as they are. limit: bytes of text at most, unpacked. Raises DataError.
    """
    return text_in(read_bytes(source, limit), source, limit)


def text_in(content: bytes, source: str, limit: int) -> str:
    """The text of what such a file holds: see `read_text`."""
    name = _called(source)
    if content[:2] == _GZIP:
        content = _unpack(name, content, limit)
    if len(content) > limit:
        raise DataError(f"{name}: expected at most {limit / 1e6:,.10g} MB of text, found more. Split it.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "binary data" if b"\0" in content[:4096] else f"byte 0x{content[error.start]:02X}"
        what = next((name for start, name in _KINDS.items() if content.startswith(start)), what)
        raise DataError(
            f"{name}, line {line}: expected text in UTF-8, found {what}. Extract its text, or save it as UTF-8."
        ) from None


def write_text(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file as a whole or not at all; a device or a pipe is written to as it is. Raises DataError."""
    if not replace and (path.exists() or path.is_symlink()):
        raise DataError(f"{path}: it exists already, and is not overwritten. Choose another name.")
    target = path.resolve()
    partial = target.with_name(f".{os.getpid()}.partial")
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}).") from None


def _called(source: str) -> str:
    return "standard input" if source == "-" else source


def read_bytes(source: str, limit: int) -> bytes:
    """What a file or standard input holds; at most one byte more than the limit, so that nothing larger is ever held.

    Raises DataError.
    """
    name = _called(source)
    try:
        if source == "-":
            if sys.stdin is None:
                raise OSError("it is closed")
            return sys.stdin.buffer.read(limit + 1)
        with Path(source).open("rb") as stream:
            return stream.read(limit + 1)
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{name}: expected a file, found a folder.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{name}: cannot be read ({error}).") from None


def _unpack(name: str, content: bytes, limit: int) -> bytes:
    """Every member of a gzip file, up to one byte more than the limit."""
    text = bytearray()
    try:
        while content and len(text) <= limit:
            member = zlib.decompressobj(wbits=31)
            text += member.decompress(content, limit + 1 - len(text))
            if not member.eof and len(text) <= limit:
                raise EOFError("it ends too early")
            content = member.unused_data.lstrip(b"\0")
    except (zlib.error, EOFError) as error:
        raise DataError(f"{name}: the gzip file is damaged ({error}). Get it again.") from None
    return bytes(text)
