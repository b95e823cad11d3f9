"""Room on a disk, looked for before the work and named when it runs out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trifold.errors import EngineError

__all__ = ["disk_full", "readable_size", "room"]

_WORDS = ("No space left", "os error 28")
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def readable_size(count: int) -> str:
    """A number of bytes as a person reads it."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"
    return f"{count} bytes"


@contextmanager
def room(folder: Path, needed: int | None, remedy: str) -> Iterator[None]:
    """Work that writes to the disk of a folder, refused when that has less than `needed` bytes free (None: unknown).

    Raises EngineError with what is needed, what is free and the remedy, before the work or when the disk gets full.
    """
    free = shutil.disk_usage(folder).free
    if needed is not None and free < needed:
        raise EngineError(_message(folder, needed, free, remedy))
    try:
        yield
    except Exception as error:
        if not disk_full(error):
            raise
        raise EngineError(_message(folder, needed, shutil.disk_usage(folder).free, remedy)) from error


def _message(folder: Path, needed: int | None, free: int, remedy: str) -> str:
    wanted = "more than that is needed" if needed is None else f"{readable_size(needed)} are needed"
    return f"{folder}: the disk is full: {readable_size(free)} are free, {wanted}. {remedy}"


def disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, says that no space is left; libraries in Rust and C++ say it in words."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _FULL) or any(words in str(error) for words in _WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False
