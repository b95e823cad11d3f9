"""Answers a stream of rows, chunk by chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trifold.engine.runner import Runner
from trifold.errors import InvalidInput
from trifold.jobs.journal import Chunk
from trifold.jobs.requests import ID, Shape, fault_of, key_of
from trifold.tables.rows import Row, RowFault
from trifold.task import Progress, Tabular, no_progress

__all__ = ["CHUNK", "Stopped", "answers"]

CHUNK = 1024
"""Rows of a chunk. Nothing is shared between chunks, so that each can be answered anew, alone, to the same bytes."""


class Stopped(Exception):
    """More rows could not be answered than were allowed. chunks: those that were under way, as far as they went."""

    def __init__(self) -> None:
        super().__init__("more rows could not be answered than were allowed")
        self.chunks: list[Chunk] = []


@dataclass(slots=True)
class _Slot:
    """One row on its way. key: of what it asks."""

    id: str | int
    file: str | None
    line: int | str
    kept: dict[str, Any]
    key: bytes


@dataclass(slots=True)
class _Open:
    """A chunk on its way. replies: by what was asked, cells or why there are none."""

    index: int
    slots: list[_Slot] = field(default_factory=list)
    asked: set[bytes] = field(default_factory=set)
    replies: dict[bytes, Mapping[str, Any] | RowFault] = field(default_factory=dict)
    closed: bool = False

    @property
    def complete(self) -> bool:
        return self.closed and len(self.replies) == len(self.asked)


def answers(
    runner: Runner,
    task: Tabular,
    shape: Shape,
    rows: Iterable[Row],
    *,
    done: Container[int] = (),
    failed: int = 0,
    max_errors: int | None = None,
    advance: Progress = no_progress,
    unseen: set[str] | None = None,
) -> Iterator[Chunk]:
    """The chunks of all rows but those of `done`, in order, each as soon as it is complete.

    failed: rows of earlier chunks that could not be answered. advance: told how many rows are dealt with and how many
    of these could not be answered, both of this run. unseen: names of columns; those that a row has are taken out.

    Raises Stopped, and what `rows` raises.
    """
    return _Answering(runner, task, shape, done, failed, max_errors, advance, unseen).run(rows)


class _Answering:
    def __init__(
        self,
        runner: Runner,
        task: Tabular,
        shape: Shape,
        done: Container[int],
        failed: int,
        max_errors: int | None,
        advance: Progress,
        unseen: set[str] | None,
    ) -> None:
        self._runner, self._task, self._shape = runner, task, shape
        self._done, self._failed, self._max_errors = done, failed, max_errors
        self._advance, self._unseen = advance, unseen
        self._open: deque[_Open] = deque()
        self._seen = self._errors = 0

    def run(self, rows: Iterable[Row]) -> Generator[Chunk, None, None]:
        try:
            self._count_errors(0)  # an earlier run may have met more than are allowed now
            yield from self._run(rows)
        except Stopped as error:
            error.chunks = [self._finished(chunk) for chunk in self._open]
            raise

    def _run(self, rows: Iterable[Row]) -> Generator[Chunk, None, None]:
        for (index, key), reply in self._runner.map(self._requests(rows), part=lambda ticket: ticket[0]):
            chunk = next(chunk for chunk in self._open if chunk.index == index)
            if isinstance(reply, Exception):
                chunk.replies[key] = fault_of(reply)
                times = sum(slot.key == key for slot in chunk.slots)
                self._count_errors(times)
            else:
                chunk.replies[key] = self._task.cells(reply)
            self._advance(self._seen - self._waiting(), self._errors)
            while self._open and self._open[0].complete:
                yield self._finished(self._open.popleft())
        for chunk in self._open:
            chunk.closed = True
        while self._open:
            yield self._finished(self._open.popleft())
        self._advance(self._seen, self._errors)

    def _requests(self, rows: Iterable[Row]) -> Iterator[tuple[tuple[int, bytes], Mapping[str, Any] | Exception]]:
        """What is to be computed: every row that asks what no other row of its chunk has asked.

        Rows that cannot be read pass through the runner too, so that a long run of them is dealt with as it comes.
        """
        for row in rows:
            index = (row.number - 1) // CHUNK
            if index in self._done:
                continue
            if not self._open or self._open[-1].index != index:
                if self._open:
                    self._open[-1].closed = True
                self._open.append(_Open(index))
            chunk = self._open[-1]
            self._seen += 1
            if self._unseen:
                self._unseen.difference_update(row.fields)
            raw: Mapping[str, Any] | Exception
            fault = self._shape.fault(row)
            if fault is not None:
                readable = {name: cell for name, cell in row.fields.items() if not isinstance(cell, RowFault)}
                row = Row(row.number, readable, row.file, row.line, fault)
                raw, key = InvalidInput(fault.reason, fault.remedy), str(row.number).encode()
            else:
                raw = self._shape.request(row)
                key = key_of(raw)
            chunk.slots.append(self._slot(row, key))
            if key not in chunk.asked:
                chunk.asked.add(key)
                yield (index, key), raw
            elif isinstance(chunk.replies.get(key), RowFault):
                self._count_errors(1)

    def _slot(self, row: Row, key: bytes) -> _Slot:
        shape = self._shape
        return _Slot(shape.identifier(row), row.file, row.line, shape.kept(row), key)

    def _count_errors(self, times: int) -> None:
        self._errors += times
        if self._max_errors is not None and self._failed + self._errors > self._max_errors:
            raise Stopped

    def _waiting(self) -> int:
        return sum(len(chunk.asked) - len(chunk.replies) for chunk in self._open)

    def _finished(self, chunk: _Open) -> Chunk:
        """The records of a chunk; rows without a reply yet are left out."""
        done = Chunk(chunk.index)
        done.tally.computed = sum(not isinstance(reply, RowFault) for reply in chunk.replies.values())
        columns = self._shape.columns
        for slot in chunk.slots:
            found = chunk.replies.get(slot.key)
            if isinstance(found, RowFault):
                done.tally.count_failed()
                done.records.append(("error", _error(slot, found)))
            elif found is not None:
                score = found[columns.score] if columns.score else None
                answered = found[columns.answer] not in ("", None)
                done.tally.count(answered=answered, score=score, warnings=found.get("warnings", ()))
                cells = {name: found[name] for name in columns.reply}
                done.records.append(("row", {ID: slot.id, **cells, **slot.kept}))
        return done


def _error(slot: _Slot, fault: RowFault) -> dict[str, Any]:
    reason = fault.reason if fault.reason.endswith(".") else f"{fault.reason}."
    return {ID: slot.id, "file": slot.file, "line": slot.line, "reason": reason, "remedy": fault.remedy}
