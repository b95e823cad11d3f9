"""Text files as they come from editors, spreadsheets and Praat: one reader for all of them."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path

from trifold.errors import DataError

__all__ = ["read_text"]

_GZIP = b"\x1f\x8b"
_LARGEST = 1 << 30


def read_text(path: Path) -> str:
    """A file in UTF-8, or in UTF-16 that begins with its mark; gzip is unpacked. Line ends stay as they are.

    Raises DataError where it cannot be read, is larger than 1 GiB or is no such text.
    """
    content = _content(path)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8 or UTF-16, found something else after {error.start:,} bytes. "
            "Save it as plain text in UTF-8."
        ) from None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: expected text packed by gzip, found a damaged file. Pack it anew.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(content) > _LARGEST:
        raise DataError(f"{path}: expected at most {_LARGEST >> 30} GiB of text. Take a part of it.")
    return content
