"""One file that is a data set of corrections at every moment, whoever changes it.

Whoever changes it, in this process or another, holds a lock, reads what others have written, and exchanges the file for
a new one. A file that somebody edited is read again; one that does not fit any more is left as it is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from trifold.correction import Correction, CorrectionForm
from trifold.errors import DataError, EngineError, InvalidInput, Overloaded
from trifold.jsontext import to_json
from trifold.models.locks import hold
from trifold.models.space import disk_full, readable_size
from trifold.tables.documents import read_document
from trifold.tables.publishing import publishing
from trifold.tables.rows import RowFault

__all__ = ["DataSet", "Full", "State"]

_PAUSE = 0.01
_PATIENCE = 10.0
"""Seconds in which another process must have done with the file."""
_TRIES = 5

T = TypeVar("T")
_Stamp = tuple[int, int, int]


class Full(InvalidInput):
    """The data set holds as much as it may."""


class _Overtaken(Exception):
    """The file was changed by somebody without the lock while it was written anew."""


@dataclass(frozen=True, slots=True)
class State:
    """What the file held when it had this stamp; None: there was none. kept: by id, in the order of the file."""

    stamp: _Stamp | None = None
    size: int = 0
    kept: Mapping[str, Correction] = field(default_factory=dict)


class DataSet:
    """The file. Safe to share between threads, and with other processes.

    Every method raises DataError for a file that does not fit, EngineError for one that cannot be read or written.
    """

    def __init__(self, path: Path, form: CorrectionForm, most: int) -> None:
        """most: bytes of the file. Nothing is touched on the disk yet."""
        self.path = path
        self.most = most
        self._form = form
        self._state = State()
        self._changing = threading.Lock()
        self._reading = threading.Lock()

    def load(self) -> State:
        """What the file holds now."""
        with self._reading:
            if self._seen() == self._state.stamp:
                return self._state
            try:
                with self._target.open("rb") as stream:
                    facts = os.fstat(stream.fileno())
                    self._state = State(_stamp(facts), facts.st_size, self._read(stream))
            except FileNotFoundError:
                self._state = State()
            except OSError as error:
                raise self._unreadable(error) from None
            return self._state

    def change(self, work: Callable[[dict[str, Correction]], T | None]) -> T | None:
        """Let `work` change what is kept, and write that; where it returns None nothing is written."""
        with self._changing, self._alone():
            for _ in range(_TRIES):
                state = self.load()
                kept = dict(state.kept)
                done = work(kept)
                if done is None:
                    return None
                try:
                    self._write(kept, state)
                    return done
                except _Overtaken:
                    continue
        raise Overloaded(f"{self.path} is being changed by others all the time. Try again.", retry_after=1)

    def opened(self) -> tuple[BinaryIO, int] | None:
        """The data set as it stands on the disk, open, and its size; None where nothing was ever kept."""
        self.load()
        try:
            stream = self._target.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from None
        return stream, os.fstat(stream.fileno()).st_size

    @property
    def empty(self) -> bytes:
        """The data set without a correction."""
        return b"".join(self._pieces(()))

    @property
    def _target(self) -> Path:
        """The file itself, where the path is a link."""
        return Path(os.path.realpath(self.path))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process changes the file."""
        lock = self._target.with_name(f".{self._target.name}.lock")
        limit = time.monotonic() + _PATIENCE
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            while (held := hold(lock, needed=False)) is None:
                if time.monotonic() > limit:
                    raise Overloaded(f"{self.path} is in use by another process. Try again.", retry_after=1)
                time.sleep(_PAUSE)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            os.close(held)

    def _write(self, kept: Mapping[str, Correction], state: State) -> None:
        target, size = self._target, 0
        try:
            with publishing(target, target.with_name(f".{target.name}.partial")) as stream:
                for piece in self._pieces(kept.values()):
                    size += len(piece)
                    if size > max(self.most, state.size):  # what makes a file smaller is always possible
                        raise Full(
                            f"the corrections may take {readable_size(self.most)}, and do.",
                            "Delete some, or move the file elsewhere once it was learnt from, or raise "
                            "--max-corrections-mb.",
                        )
                    stream.write(piece)
                stream.flush()
                stamp = _stamp(os.fstat(stream.fileno()))
                if self._seen() != state.stamp:
                    raise _Overtaken
        except EngineError as error:
            raise self._unwritable(error.__cause__ or error) from error
        self._state = State(stamp, size, kept)

    def _pieces(self, kept: Iterable[Correction]) -> Iterator[bytes]:
        """The data set, one element a line, in pieces: no other thread runs while a piece is encoded."""
        head = to_json({**self._form.head, "data": []})
        yield head.removesuffix("]}").encode()
        before = "\n"
        for element in self._form.elements(kept):
            yield f"{before}{to_json(element)}".encode()
            before = ",\n"
        yield b"]}\n" if before == "\n" else b"\n]}\n"

    def _read(self, stream: BinaryIO) -> dict[str, Correction]:
        kept: dict[str, Correction] = {}
        texts: dict[str, str] = {}
        try:
            for reading in read_document(stream, self.path.name):  # type: ignore[arg-type]
                assert reading is not None
                place, element = reading
                if isinstance(element, RowFault):
                    raise DataError(f"{place}: {element.reason}")
                for one in self._form.read(str(place), element):
                    if one.id in kept:
                        raise DataError(f"{place}: the id {one.id[:80]!r} stands there twice.")
                    kept[one.id] = replace(one, about=texts.setdefault(one.about, one.about))
        except DataError as error:
            raise DataError(
                f"{self.path} does not fit as a data set of corrections: {str(error).rstrip('.')}. It is left as it "
                "is, and nothing is added: mend it, or move it elsewhere to begin anew."
            ) from None
        return kept

    def _seen(self) -> _Stamp | None:
        try:
            return _stamp(self._target.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> EngineError:
        return EngineError(f"{self.path}: cannot be read ({error.strerror or error}). Mend that.")

    def _unwritable(self, error: BaseException) -> EngineError:
        if disk_full(error):
            return EngineError(f"{self.path}: the disk is full; nothing was changed. Free some space.")
        reason = error.strerror if isinstance(error, OSError) else None
        return EngineError(
            f"{self.path}: cannot be written ({reason or error}). Mend that, or let --corrections name another folder."
        )


def _stamp(facts: os.stat_result) -> _Stamp:
    """What changes whenever somebody writes to a file."""
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
