"""Locks between processes that end with their holder, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hold", "locked"]

_PAUSE = 0.05


def hold(path: Path, *, needed: bool = True) -> int | None:
    """Lock a file, made if need be, until the descriptor is closed or this process ends.

    Returns the descriptor; None when another holds the lock, or when the lock is needed and the file system knows none.
    """
    descriptor = _open(path)
    try:
        _lock(descriptor)
    except OSError as error:
        if needed or isinstance(error, BlockingIOError | PermissionError):
            os.close(descriptor)
            return None
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock of a file and hold it. On a file system without locks, this goes on without."""
    descriptor = _open(path)
    try:
        while True:
            try:
                _lock(descriptor)
                break
            except (BlockingIOError, PermissionError):
                time.sleep(_PAUSE)
            except OSError:
                break
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
