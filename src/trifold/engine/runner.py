"""Takes a stream of requests through a loaded model: check, encode, batch, compute, decode."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from trifold.engine.computing import as_item_error, compute, decode
from trifold.engine.device import CPU_BUDGET, GPU_BUDGET, device
from trifold.engine.executor import executor, threads
from trifold.engine.loaded import Loaded
from trifold.engine.planner import Budget, plan
from trifold.engine.states import states
from trifold.errors import EngineError
from trifold.task import Arrays, Limits, Progress, Unit, no_progress

__all__ = ["Runner"]

Id = TypeVar("Id")


@dataclass(slots=True)
class _Entry(Generic[Id]):
    """One request on its way: its units stand at `first` and after in the group's list."""

    id: Id
    request: Any = None
    memo: Any = None
    error: Exception | None = None
    first: int = 0
    count: int = 0


@dataclass(slots=True)
class _Group(Generic[Id]):
    """Requests that were read together and share batches."""

    entries: list[_Entry[Id]] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    broken: BaseException | None = None
    prefixes: list[Future[Any]] = field(default_factory=list)
    batches: list[tuple[list[int], Future[list[Arrays | Exception]]]] = field(default_factory=list)

    def cancel(self) -> None:
        for future in (*self.prefixes, *(future for _, future in self.batches)):
            future.cancel()


class _Source(Generic[Id]):
    """The items, with a look at the next one, which may be of another part."""

    def __init__(
        self, items: Iterator[tuple[Id, Mapping[str, Any] | Exception]], part: Callable[[Id], Hashable] | None
    ) -> None:
        self._items, self._part = items, part
        self._held: tuple[Id, Mapping[str, Any] | Exception] | None = None
        self._own: Hashable = None

    def next(self, *, same: bool) -> tuple[Id, Mapping[str, Any] | Exception] | None:
        """The next item; None at the end, or, with `same`, where the next one is of another part."""
        item = self._held or next(self._items, None)
        self._held = None
        if item is None or self._part is None:
            return item
        part = self._part(item[0])
        if same and part != self._own:
            self._held = item
            return None
        self._own = part
        return item


class Runner:
    """Runs requests through one loaded model, in bounded memory, on all cores.

    The service's queue and the batch job's journal are callers of this; neither changes what a request is.
    """

    def __init__(self, loaded: Loaded, *, limits: Limits | None = None, budget: Budget | None = None) -> None:
        """budget: by default what suits the device that models compute on."""
        self._task = loaded.task
        self._session = loaded.session
        self._limits = limits or Limits()
        self._budget = budget or (GPU_BUDGET if device() == "cuda" else CPU_BUDGET)

    def map(
        self,
        items: Iterable[tuple[Id, Mapping[str, Any] | Exception]],
        *,
        part: Callable[[Id], Hashable] | None = None,
        computed: Progress = no_progress,
    ) -> Generator[tuple[Id, Any], None, None]:
        """The reply to each (id, raw request), in order, as (id, reply) or (id, exception).

        An error belongs to its own item and never touches another. A few look-aheads of requests are held in memory;
        while one is drained, the next is already being computed. Leaving the iterator early drops what has not
        started. When the source raises, its error follows the replies to what it gave before.

        An item that is an exception already, since it could not even be read, is handed out in its place.

        part: of the items that follow each other, those of one part. What is computed together then depends on the
        items of the part alone, neither on what came before nor on the number of threads, and so does every bit of the
        replies. computed: told how many units of the requests that are waited for are done, and how many there are.
        """
        source = _Source(iter(items), part)
        waiting: deque[_Group[Id]] = deque()
        most = self._budget.lookahead
        # The first group is small and each next one larger, so that the first replies come at once.
        lookahead = min(self._budget.batch * threads(), most) if part is None else most
        ahead = max(1, 2 * self._budget.batch * threads() // most)
        try:
            group = self._read(source, lookahead)
            while group.entries:
                waiting.append(group)
                self._submit(group)
                if group.broken is not None:
                    break
                if len(waiting) > ahead:
                    yield from self._drain(waiting.popleft(), computed)
                lookahead = min(lookahead * 2, most)
                group = self._read(source, lookahead)
            while waiting:
                yield from self._drain(waiting.popleft(), computed)
            if group.broken is not None:
                raise group.broken
        finally:
            for group in waiting:
                group.cancel()

    def _read(self, source: _Source[Id], lookahead: int) -> _Group[Id]:
        """The next requests of one part, encoded, up to a total cost; none at the end.

        When the source itself fails, what it gave before is kept, and the failure waits until that is answered.
        """
        group: _Group[Id] = _Group()
        cost = 0
        while cost < lookahead:
            try:
                item = source.next(same=bool(group.entries))
                if item is None:
                    break
                identifier, raw = item
            except Exception as error:
                group.broken = error
                break
            entry = _Entry(identifier, first=len(group.units))
            group.entries.append(entry)
            if isinstance(raw, Exception):
                entry.error = raw
                cost += 1
                continue
            try:
                entry.request = self._task.check(raw, self._limits)
                encoded = self._task.encode(entry.request)
            except BaseException as error:
                entry.error = as_item_error(error)
                cost += 1
            else:
                entry.memo = encoded.memo
                entry.count = len(encoded.units)
                group.units.extend(encoded.units)
                cost += sum(unit.cost for unit in encoded.units) or 1
        return group

    def _submit(self, group: _Group[Id]) -> None:
        session = self._session
        if session is None or not group.units:
            return
        # Each shared prefix first, on whatever core is free, so that few wait for one that another core computes.
        # One that fails is computed again, and its error told, by the units that need it.
        prefixes = {unit.prefix.key: unit.prefix for unit in group.units if unit.prefix is not None}
        if prefixes and states().keeps:
            group.prefixes = [executor().submit(session.prepare, prefix) for prefix in prefixes.values()]
        for batch in plan(group.units, self._budget):
            units = [group.units[i] for i in batch]
            group.batches.append((batch, executor().submit(compute, session, units)))

    def _drain(self, group: _Group[Id], computed: Progress) -> Iterator[tuple[Id, Any]]:
        outputs = self._collect(group, computed)
        group.units.clear()
        for entry in group.entries:
            if entry.error is not None:
                yield entry.id, entry.error
                continue
            own = outputs[entry.first : entry.first + entry.count]
            yield entry.id, decode(self._task, entry.request, entry.memo, own)

    def _collect(self, group: _Group[Id], computed: Progress) -> list[Arrays | Exception]:
        """The outputs of a group's units, or the error of the unit itself."""
        outputs: list[Arrays | Exception] = [EngineError("not computed")] * len(group.units)
        done = 0
        try:
            for batch, future in group.batches:
                for index, output in zip(batch, future.result(), strict=True):
                    outputs[index] = output
                done += len(batch)
                computed(done, len(outputs))
        finally:
            group.cancel()
        return outputs
