"""A file that appears under its name whole, or not at all."""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from trifold.errors import DataError, EngineError

__all__ = ["check_target", "disk_errors", "publishing"]

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def check_target(path: Path) -> None:
    """Look at a place before the work. Raises DataError where `publishing` could not write there."""
    if path.is_dir():
        raise DataError(f"{path}: expected the name of a file, found a folder.")
    if _written_directly(path):
        return
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise DataError(f"{path}: its folder does not exist. Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"{path}: nothing can be written to its folder. Allow it, or choose another place.")


@contextmanager
def publishing(path: Path, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """A stream whose contents stand at `path` once the block has ended without an error; until then nothing changes.

    They are written to a partial file in the same folder, which goes when the block fails. scratch: name of that file
    instead, where it lies on the same file system; one left there by a killed process is overwritten. Of a symbolic
    link the file that it leads to is replaced. The permission bits of an existing file are kept. What is no regular
    file (a pipe, a device, /dev/stdout) is written as it is.

    Raises DataError for a folder, EngineError with what to do when the disk is full or the folder has gone.
    """
    if path.is_dir():
        raise DataError(f"{path}: expected the name of a file, found a folder.")
    if _written_directly(path):
        with disk_errors(path):
            descriptor = _opened(path)
        with _writing(path, descriptor) as stream:
            yield stream
        return
    target = Path(os.path.realpath(path))
    with disk_errors(path):
        mode = _mode(target)
        partial = _partial(target, scratch)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
    try:
        with _writing(path, descriptor) as stream:
            if mode is not None:
                os.fchmod(descriptor, mode)
            yield stream
            stream.flush()
            with disk_errors(path):
                os.fsync(descriptor)
        with disk_errors(path):
            partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    _keep_name(target.parent)


@contextmanager
def disk_errors(what: Path | str) -> Iterator[None]:
    """Turns what the system says while something is written into EngineError with what to do about it.

    A broken pipe stays what it is: it says that nobody reads on.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            message = f"{what}: the disk is full. Free some space, then go on with --resume."
        elif error.errno in _GONE:
            message = f"{what}: its folder has gone. Restore the folder, then go on with --resume."
        else:
            message = f"{what}: cannot be written ({error.strerror or error}). Mend that, then go on with --resume."
        raise EngineError(message) from error


class _Watched(io.FileIO):
    """A file that says what to do when it cannot be written."""

    def __init__(self, descriptor: int, what: Path) -> None:
        super().__init__(descriptor, "wb")
        self._what = what

    def write(self, data: object, /) -> int:
        with disk_errors(self._what):
            return super().write(data)  # type: ignore[arg-type]

    def close(self) -> None:
        with disk_errors(self._what):
            super().close()


@contextmanager
def _writing(what: Path, descriptor: int) -> Iterator[BinaryIO]:
    """A buffered stream into an open file, closed at the end whatever happens."""
    stream = io.BufferedWriter(_Watched(descriptor, what), 1 << 17)
    try:
        yield stream
        stream.close()
    except BaseException:
        with suppress(OSError, EngineError):  # what is left in the buffer fails again
            stream.close()
        raise


def _written_directly(path: Path) -> bool:
    if _own_descriptor(path) is not None:
        return True
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _own_descriptor(path: Path) -> int | None:
    """Which of this process's open files a path stands for, such as /dev/stdout."""
    found = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", str(path))
    return int(found[1]) if found else _STREAMS.get(str(path))


def _opened(path: Path) -> int:
    """Open what is no regular file; an own stream goes on where it is, as `>>` in a shell wants it."""
    own = _own_descriptor(path)
    return os.open(path, os.O_WRONLY) if own is None else os.dup(own)


def _mode(target: Path) -> int | None:
    """The permission bits of a file; None where there is none."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return None


def _partial(target: Path, scratch: Path | None) -> Path:
    """Where to write until the contents are whole: a name that is free."""
    if scratch is not None and scratch.parent.stat().st_dev == target.parent.stat().st_dev:
        scratch.unlink(missing_ok=True)
        return scratch
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.partial")


def _keep_name(folder: Path) -> None:
    """Make the new name outlast a power cut, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
