"""Reads zip archives from anywhere: nothing large is held, no size and no name is believed, a fault is one error."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trifold.errors import DataError, ModelDamaged
from trifold.models.space import readable_size

__all__ = ["CHUNK", "MOST_HELD", "chunks", "entries", "opened", "safe_names"]

CHUNK = 2**20
MOST_HELD = 4 * 2**20
"""Bounds the parts that are held as a whole: the manifest and the zip directory."""

_MOST_FILES = 10_000
_LONGEST_NAME = 400
_PART = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@=-]{0,199}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    OSError,
)


class _Bounded(io.FileIO):
    """zipfile would load a zip directory of any size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MOST_HELD:
            raise zipfile.BadZipFile(f"a part of {readable_size(size)} would have to be held as a whole")
        return super().read(size) or b""


@contextmanager
def opened(path: Path) -> Iterator[io.FileIO]:
    """The file of an archive. Raises DataError when there is none, or it is no file, or may not be read."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file.")
    if not path.is_file():
        raise DataError(f"{path}: expected an archive, found {'a folder' if path.is_dir() else 'a device'}.")
    try:
        stream = _Bounded(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    with stream:
        yield stream


@contextmanager
def entries(path: Path, stream: io.FileIO) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """The archive and its entries, all of them plain files under the names as they are written there.

    Raises ModelDamaged for anything that is no archive, and for links, encryption and rare ways of packing.
    """
    with _reading(path):
        archive = zipfile.ZipFile(stream)
    with archive:
        for info in archive.infolist():
            name = info.orig_filename[:80]
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise ModelDamaged(
                    f"{path}: expected only files in it, found {name!r}, which is a folder, a link or the like."
                )
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                raise ModelDamaged(f"{path}: {name!r} is packed or encrypted in a way that is not read here.")
        yield archive, archive.infolist()


def chunks(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The contents of an entry, never more than it declares. Raises ModelDamaged when they are not just that long."""
    with _reading(path):
        member = archive.open(info)
    with member:
        left = info.file_size
        while True:
            with _reading(path):
                chunk = member.read(CHUNK)
            left -= len(chunk)
            if not chunk or left < 0:
                break
            yield chunk
    if left:
        raise ModelDamaged(f"{path}: {info.orig_filename[:80]!r} has another size than it declares. Get it again.")


def safe_names(source: str, names: Iterable[str], *, taken: str) -> None:
    """See that files of these names stay in their folder, and apart from each other and from `taken`, on every system.

    Raises ModelDamaged, beginning with the source.
    """
    seen = {taken}
    for name in names:
        if len(name) > _LONGEST_NAME or not all(_plain(part) for part in name.split("/")):
            raise ModelDamaged(
                f"{source}: the file name {name[:80]!r} leads elsewhere, or not every system can have it."
            )
        if name.lower() in seen:
            raise ModelDamaged(f"{source}: two files are called {name[:80]!r} where case does not count.")
        seen.add(name.lower())
    if len(seen) > _MOST_FILES:
        raise ModelDamaged(f"{source}: expected at most {_MOST_FILES:,} files, found {len(seen):,}.")
    for name in seen:
        if any(name.rsplit("/", depth)[0] in seen for depth in range(1, name.count("/") + 1)):
            raise ModelDamaged(f"{source}: the file name {name[:80]!r} takes another file for a folder.")


def _plain(part: str) -> bool:
    return bool(_PART.fullmatch(part)) and not part.endswith(".") and not _DEVICES.fullmatch(part.lower())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What zipfile and zlib raise for bytes that are no archive, as one error."""
    try:
        yield
    except _UNREADABLE as error:
        found = str(error) or type(error).__name__
        raise ModelDamaged(
            f"{path}: expected an archive that trifold wrote, found something else or a part of one ({found[:120]}). "
            "Get it again."
        ) from None
