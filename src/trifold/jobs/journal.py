"""The journal of a job: what it is made of, and the chunks that are done.

A folder beside the output. `job.json` says what is answered with what; `chunks/000017.jsonl` holds the replies and
errors of one chunk of input rows, and is either whole or absent, whenever the process ends. The output is put together
from the chunks alone, so that it is the same however often the job was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn
from zlib import crc32

from trifold.errors import DataError, EngineError, UsageError
from trifold.jobs.tally import Tally
from trifold.jsontext import to_json
from trifold.models.locks import hold
from trifold.models.space import disk_full

__all__ = ["Chunk", "Journal", "Record"]

_FACTS = "job.json"
_OWN = {_FACTS, f".{_FACTS}.partial", "chunks", "lock", "output.partial"}

Record = tuple[Literal["row", "error"], Mapping[str, Any]]
"""A row of the output, or of the errors file."""


@dataclass(slots=True)
class Chunk:
    """What became of one chunk of input rows. records: one for each row, in input order."""

    index: int
    tally: Tally = field(default_factory=Tally)
    records: list[Record] = field(default_factory=list)


class Journal:
    """The journal of the job that writes `output`. One process at a time may have it open."""

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(output.name + ".job")
        self._chunks = self.folder / "chunks"
        self._lock: int | None = None
        self.tally = Tally()
        """Of all chunks that are done."""
        self.done: set[int] = set()

    def begin(self, facts: Mapping[str, Any], *, resume: bool, restart: bool) -> None:
        """Open the journal: go on with an earlier one, or make a new one.

        facts: everything that decides what the output is, as JSON types; each entry is named when it differs.

        Raises UsageError when an earlier job is not to be gone on with or was made of something else, EngineError when
        the folder cannot be written.
        """
        self._open()
        try:
            self._begin(facts, resume=resume, restart=restart)
        except BaseException:
            self.close(keep=True)
            raise

    def _begin(self, facts: Mapping[str, Any], *, resume: bool, restart: bool) -> None:
        earlier = self._earlier()
        if earlier is not None and earlier.get("resumable", True) and not restart:
            self._look()
            if resume:
                _compare(earlier, facts, self.folder)
                return
            if self.done:
                raise UsageError(
                    f"{self.folder}: an earlier job has answered {self.tally.rows:,} rows and was not finished. "
                    "--resume goes on with it; --restart throws its answers away."
                )
        self.done, self.tally = set(), Tally()
        try:
            (self.folder / _FACTS).unlink(missing_ok=True)
            shutil.rmtree(self._chunks, ignore_errors=True)
            self._chunks.mkdir(exist_ok=True)
            self._write(self.folder / _FACTS, to_json(facts, indent=2) + "\n")
        except OSError as error:
            raise self._explained(error) from error

    def _open(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            foreign = [path.name for path in self.folder.iterdir() if path.name not in _OWN]
            if foreign and not (self.folder / _FACTS).exists():
                raise UsageError(
                    f"{self.folder}: the journal of the job belongs there, and the folder holds something else "
                    f"({foreign[0]}). Move it away, or choose another name for the output."
                )
        except FileExistsError:
            raise UsageError(
                f"{self.folder}: the journal of the job belongs there, found a file. Move it away, or choose another "
                "name for the output."
            ) from None
        except OSError as error:
            self._refuse(error)
        try:
            self._lock = hold(self.folder / "lock", needed=False)
        except OSError as error:
            self._refuse(error)
        if self._lock is None:
            raise UsageError(f"{self.folder}: another process is working on this output. Wait for it, or stop it.")

    def _refuse(self, error: OSError) -> NoReturn:
        if not self.folder.parent.is_dir():
            raise DataError(f"{self.folder.parent}: there is no such folder for the output. Make it.") from None
        raise self._explained(error) from error

    def close(self, *, keep: bool = False) -> None:
        """Let others open the journal; of one that holds nothing, leave nothing behind unless it is to be kept."""
        if self._lock is None:
            return
        if not keep and not self.done and self.folder.is_dir():
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        self._lock = None

    def remove(self) -> None:
        """The output is there: nothing is left to go on with."""
        (self.folder / _FACTS).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.done.clear()

    def save(self, chunk: Chunk) -> None:
        """Keep a chunk for good. Raises EngineError, naming the remedy."""
        lines = [to_json({kind: record}) for kind, record in chunk.records]
        body = "".join(f"{line}\n" for line in lines)
        head = to_json({"chunk": chunk.index, "crc32": crc32(body.encode()), "tally": chunk.tally.to_dict()})
        try:
            self._write(self._path(chunk.index), f"{head}\n{body}")
        except OSError as error:
            raise self._explained(error) from error
        self.done.add(chunk.index)
        self.tally.add(chunk.tally)

    def records(self) -> Iterator[Record]:
        """The records of all chunks, in input order. Raises EngineError for a chunk that cannot be read."""
        for index in sorted(self.done):
            path = self._path(index)
            try:
                with path.open(encoding="utf-8") as stream:
                    next(stream)
                    for line in stream:
                        ((kind, record),) = json.loads(line).items()
                        yield kind, record
            except (OSError, ValueError, StopIteration) as error:
                raise EngineError(
                    f"{path}: the answers of this chunk cannot be read again ({error}). Remove the file; --resume "
                    "answers the chunk anew."
                ) from error

    def first_missing(self) -> int:
        """The first chunk that is not done."""
        index = 0
        while index in self.done:
            index += 1
        return index

    def _earlier(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self.folder / _FACTS).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self.folder / _FACTS}: what the earlier job was made of cannot be read ({error}). --restart begins "
                "anew."
            ) from None
        return found if isinstance(found, dict) else {}

    def _look(self) -> None:
        """Find the chunks that are done and whole."""
        for path in self._chunks.glob("*.jsonl"):
            try:
                with path.open("rb") as stream:
                    first = stream.readline()
                    head = json.loads(first)
                    whole = crc32(stream.read()) == head["crc32"]
                if whole and path == self._path(head["chunk"]):
                    self.tally.add(Tally.from_dict(head["tally"]))
                    self.done.add(head["chunk"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # it will be computed again

    def _path(self, index: int) -> Path:
        return self._chunks / f"{index:06d}.jsonl"

    def _write(self, path: Path, text: str) -> None:
        """Write a file as a whole or not at all, and so that it outlives a loss of power."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if os.name == "posix":
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _explained(self, error: OSError) -> EngineError:
        kept = f"{self.tally.rows:,} answered rows are kept there" if self.tally.rows else "nothing was lost"
        if disk_full(error):
            what, remedy = "the disk is full", "Free some space"
        elif not self.folder.is_dir():
            what, remedy = "the folder has vanished", "Bring it back"
        else:
            what, remedy = f"it cannot be written ({error.strerror})", "Mend that"
        return EngineError(f"{self.folder}: {what}; {kept}. {remedy}, and go on with --resume.")


def _compare(earlier: Mapping[str, Any], facts: Mapping[str, Any], folder: Path) -> None:
    """Raise UsageError when an earlier job was made of something else, naming what."""
    differs = list(_differences(earlier, json.loads(to_json(facts)), ""))
    if differs:
        shown = "; ".join(differs[:5]) + ("; and more" if len(differs) > 5 else "")
        raise UsageError(
            f"--resume: the job in {folder} was begun with something else: {shown}. Give what it was begun with, or "
            "begin anew with --restart."
        )


def _differences(was: Any, now: Any, name: str) -> Iterator[str]:
    if was == now:
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from _differences(was.get(key), now.get(key), f"{name} {key}".strip())
    elif _is_list(was) and _is_list(now) and len(was) == len(now):
        for before, after in zip(was, now, strict=True):
            label = before.get("file", "") if isinstance(before, dict) else ""
            yield from _differences(before, after, f"{name} {label}".strip())
    else:
        yield f"{name} was {_brief(was)}, is {_brief(now)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _brief(value: Any) -> str:
    if value is None:
        return "not given"
    text = value if isinstance(value, str) else to_json(value)
    return text if len(text) <= 60 else f"{text[:12]}..."
