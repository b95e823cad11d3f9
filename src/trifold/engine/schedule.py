"""Decides what is computed next: fair between models, and between short work and long."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from trifold.engine.planner import Budget, fits_beside
from trifold.engine.turns import Turns
from trifold.task import Arrays, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trifold.engine.loaded import Loaded

__all__ = ["Compute", "Job", "Prepare", "Schedule", "Step"]

SHORT_SHARE = 3.0
"""Where both wait, short work gets this many times the seconds of long work."""

_NEIGHBOURS = 64
"""How far down the queue units are looked for that fit into a batch."""


class _Size(Enum):
    SHORT = auto()
    LONG = auto()


@dataclass(eq=False, slots=True)
class Job:
    """One distinct request on its way.

    call: whatever it came with; the jobs of one call take turns with other calls as one. long: whether it queues with
    the long work. owed: cost that is not computed yet, an estimate until it is prepared. planned: units handed out to
    be computed. left: units not computed yet. dropped: nobody waits for it any more. Times are in seconds.
    """

    loaded: Loaded
    raw: Mapping[str, Any]
    call: Hashable
    long: bool
    owed: int
    arrived: float
    prepared: bool = False
    request: Any = None
    memo: Any = None
    units: Sequence[Unit] = ()
    outputs: list[Arrays | Exception] = field(default_factory=list)
    planned: int = 0
    left: int = 0
    dropped: bool = False
    preparing_seconds: float = 0.0
    started: float | None = None
    computing_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Prepare:
    """Check and encode a request."""

    job: Job


@dataclass(frozen=True, slots=True)
class Compute:
    """Compute units, each the n-th of its job; all of one model."""

    parts: list[tuple[Job, int]]

    @property
    def units(self) -> list[Unit]:
        return [job.units[n] for job, n in self.parts]


Step = Prepare | Compute


class _Lane:
    """The waiting work of one model."""

    def __init__(self) -> None:
        self._fresh: deque[Job] = deque()
        self._ready: deque[tuple[Job, int]] = deque()
        self._calls: OrderedDict[Hashable, deque[Job]] = OrderedDict()
        self._turns: Turns[_Size] = Turns()

    def add(self, job: Job) -> None:
        if job.long:
            self._append_long(job)
        elif job.prepared:
            self._ready.extend((job, n) for n in range(len(job.units)))
        else:
            self._fresh.append(job)
        self._turns.enter(_Size.LONG if job.long else _Size.SHORT)

    def take(self, budget: Budget, *, heavy: bool) -> tuple[Step, _Size] | None:
        """The next step. heavy: whether a long request may be prepared now."""
        for size in self._turns.order(_Size):
            step = self._take_short(budget) if size is _Size.SHORT else self._take_long(budget, heavy=heavy)
            if step is not None:
                self._turns.serve(size)
            if not self._waits(size):
                self._turns.leave(size)
            if step is not None:
                return step, size
        return None

    def purge(self) -> None:
        """Let go of what nobody waits for."""
        self._fresh = deque(job for job in self._fresh if not job.dropped)
        self._ready = deque(part for part in self._ready if not part[0].dropped)
        kept = ((call, deque(job for job in queue if not job.dropped)) for call, queue in self._calls.items())
        self._calls = OrderedDict((call, queue) for call, queue in kept if queue)

    def charge(self, size: _Size, seconds: float) -> None:
        self._turns.charge(size, seconds, SHORT_SHARE if size is _Size.SHORT else 1.0)

    def waits(self) -> bool:
        return any(self._waits(size) for size in _Size)

    def idle(self) -> bool:
        """Whether nothing waits and nothing is being done."""
        return self._turns.idle()

    def _waits(self, size: _Size) -> bool:
        return bool(self._calls) if size is _Size.LONG else bool(self._fresh or self._ready)

    def _append_long(self, job: Job) -> None:
        queue = self._calls.setdefault(job.call, deque())
        # What has been prepared goes before what has not, so that a call holds few prepared requests at a time.
        queue.appendleft(job) if job.prepared else queue.append(job)

    def _take_short(self, budget: Budget) -> Step | None:
        while self._fresh:
            if not (job := self._fresh.popleft()).dropped:
                return Prepare(job)
        while self._ready:
            job, n = self._ready.popleft()
            if not job.dropped:
                return self._batch(job, n, budget)
        return None

    def _batch(self, job: Job, n: int, budget: Budget) -> Compute:
        """A unit with those of the next in the queue that fit beside it."""
        parts = [(job, n)]
        job.planned += 1
        cost = job.units[n].cost
        passed: list[tuple[Job, int]] = []
        for _ in range(min(len(self._ready), _NEIGHBOURS)):
            if (len(parts) + 1) * cost > budget.batch:
                break
            other, m = self._ready.popleft()
            if other.dropped:
                continue
            if fits_beside(job.units[n], other.units[m], budget):
                parts.append((other, m))
                other.planned += 1
            else:
                passed.append((other, m))
        self._ready.extendleft(reversed(passed))
        return Compute(parts)

    def _take_long(self, budget: Budget, *, heavy: bool) -> Step | None:
        for _ in range(len(self._calls)):
            call, queue = self._calls.popitem(last=False)
            step = self._from_call(queue, budget, heavy=heavy)
            if queue:
                self._calls[call] = queue
            if step is not None:
                return step
        return None

    def _from_call(self, queue: deque[Job], budget: Budget, *, heavy: bool) -> Step | None:
        while queue and queue[0].dropped:
            queue.popleft()
        if not queue:
            return None
        job = queue[0]
        if not job.prepared:
            if not heavy:
                return None
            queue.popleft()
            return Prepare(job)
        units = job.units
        first = units[job.planned]
        parts: list[tuple[Job, int]] = []
        while job.planned < len(units) and (not parts or (len(parts) + 1) * first.cost <= budget.batch):
            unit = units[job.planned]
            if not fits_beside(first, unit, budget):
                break
            parts.append((job, job.planned))
            job.planned += 1
        if job.planned == len(units):
            queue.popleft()
        return Compute(parts)


class Schedule:
    """What waits to be computed, of all models. The caller sees to it that one thread at a time uses it.

    Models that wait share the seconds of the processor equally. Within a model, short work (a call that takes a batch
    or so) goes in the order of arrival, and long work in turns, a batch of each call: where both wait, short work gets
    three quarters of the time, so that neither starves the other.
    """

    def __init__(self, budget: Budget, *, heavy: int = 1) -> None:
        """heavy: how many long requests may be prepared at once, since preparing cannot be interrupted."""
        self._budget = budget
        self._heavy = heavy
        self._preparing = 0
        self._lanes: dict[Loaded, _Lane] = {}
        self._turns: Turns[Loaded] = Turns()

    def add(self, job: Job) -> None:
        """A job that waits to be prepared, or that was prepared and waits to be computed."""
        self._lanes.setdefault(job.loaded, _Lane()).add(job)
        self._turns.enter(job.loaded)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return any(lane.waits() for lane in self._lanes.values())

    def take(self) -> Step | None:
        """What to do next; None when nothing can be done now. `done` must follow."""
        for loaded in self._turns.order(self._lanes):
            lane = self._lanes[loaded]
            taken = lane.take(self._budget, heavy=self._preparing < self._heavy)
            if taken is not None:
                self._turns.serve(loaded)
            if not lane.waits():
                self._turns.leave(loaded)
                self._close(loaded)
            if taken is None:
                continue
            step, size = taken
            if isinstance(step, Prepare) and size is _Size.LONG:
                self._preparing += 1
            return step
        return None

    def purge(self) -> None:
        """Let go of the jobs that were dropped, so that their memory is free at once."""
        for lane in self._lanes.values():
            lane.purge()

    def done(self, step: Step, seconds: float) -> None:
        """A step has taken so long on one core."""
        job = step.job if isinstance(step, Prepare) else step.parts[0][0]
        if isinstance(step, Prepare) and job.long:
            self._preparing -= 1
        self._turns.charge(job.loaded, seconds)
        self._lanes[job.loaded].charge(_Size.LONG if job.long else _Size.SHORT, seconds)
        self._close(job.loaded)

    def _close(self, loaded: Loaded) -> None:
        """Let go of a model that has nothing to do."""
        if self._lanes[loaded].idle():
            del self._lanes[loaded]
