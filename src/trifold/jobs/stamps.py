"""Notices an input that changes while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trifold.errors import DataError
from trifold.tables.source import Source

__all__ = ["Stamps", "check_stamps", "stamps_of"]

Stamps = Mapping[Path, tuple[int, int]]
"""Size in bytes and time of the last change in nanoseconds, by file."""


def stamps_of(source: Source) -> Stamps:
    """Size and time of the last change of each file that can be read again."""
    if not source.resumable:
        return {}
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in source.files}


def check_stamps(stamps: Stamps, source: Source) -> None:
    """Raises DataError when a file is not any more what it was when the job began."""
    try:
        same = stamps_of(source) == stamps
    except OSError:
        same = False
    if not same:
        raise DataError(
            "the input was changed while it was read. Chunks answered before are kept; bring the input back and go on "
            "with --resume, or begin with --restart."
        )
