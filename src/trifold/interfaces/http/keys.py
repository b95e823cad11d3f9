"""API keys, from a file that may change while the server runs."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trifold.errors import UsageError

__all__ = ["Holder", "Keys"]

_LINE = re.compile(r"(user|admin)\s+([A-Za-z0-9._-]{1,64})\s+([!-~]{16,512})")
_EVERY = 1.0
_LARGEST = 1_000_000

_log = logging.getLogger("trifold.serve")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key."""

    name: str
    role: Literal["user", "admin"]


class Keys:
    """The keys of a file with lines `user NAME KEY` and `admin NAME KEY`; `#` begins a comment.

    Only hashes are held in memory. The file is looked at again once a second at most; one that has become unreadable
    leaves the old keys in force.
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError when the file cannot be read as keys."""
        self._path = path
        self._seen = self._stamp()
        self._keys = _read(path)
        self._looked = time.monotonic()

    def holder(self, key: str) -> Holder | None:
        """Who holds a key. Every key is compared, in a time that does not depend on where they differ."""
        self._look()
        given = _hash(key)
        found = None
        for known, holder in self._keys:
            if hmac.compare_digest(known, given):
                found = holder
        return found

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _EVERY:
            return
        self._looked = now
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._keys = _read(self._path)
                self._seen = stamp
                _log.info("API keys read again: %d", len(self._keys))
        except UsageError as error:
            _log.warning("the API keys stay as they were: %s", error)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise UsageError(f"--api-key-file: {self._path}: {error.strerror}.") from None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _read(path: Path) -> list[tuple[bytes, Holder]]:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"--api-key-file: {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"--api-key-file: {path}: not a text file.") from None
    if len(content) > _LARGEST:
        raise UsageError(f"--api-key-file: {path}: larger than {_LARGEST // 1_000_000} MB.")
    found: list[tuple[bytes, Holder]] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:  # the line itself may hold a key, so it is not shown
            raise UsageError(
                f"--api-key-file: {path}: line {number}: expected `user NAME KEY` or `admin NAME KEY`, the key of at "
                "least 16 characters."
            )
        role: Literal["user", "admin"] = "admin" if match[1] == "admin" else "user"
        if any(known == _hash(match[3]) for known, _ in found):
            raise UsageError(f"--api-key-file: {path}: line {number}: this key stands there twice.")
        found.append((_hash(match[3]), Holder(match[2], role)))
    if not found:
        raise UsageError(f"--api-key-file: {path}: no keys in it. Add a line such as: user alice KEY")
    return found
