"""One queue for everybody who asks at the same time: bounded, fair, and without work that nobody waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from trifold.engine.admission import admit
from trifold.engine.calls import SHORT, Asked, Bounds, Call, Flight, Outcome
from trifold.engine.computing import as_item_error, compute, decode
from trifold.engine.device import GPU_BUDGET, SERVICE_BUDGET, device
from trifold.engine.executor import executor, threads
from trifold.engine.load import Load
from trifold.engine.meter import Careful, Meter, Unmetered
from trifold.engine.planner import Budget, shape
from trifold.engine.recent import Recent, footprint
from trifold.engine.schedule import Compute, Job, Prepare, Schedule, Step
from trifold.errors import DeadlineExceeded, EngineError, NotReady
from trifold.task import Limits

__all__ = ["Bounds", "Service"]


class Service:
    """Answers many callers at once with any number of models, on the process's executor.

    A step of work (preparing a request, computing a batch) starts as soon as a core is free; what is batched is what
    waits by then, so an idle service answers at once and a busy one in full batches.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
        budget: Budget | None = None,
        recent: int = 0,
        meter: Meter | None = None,
    ) -> None:
        """budget: by default what suits the device. recent: bytes of answers to remember; with 0 none are."""
        self._limits = limits or Limits()
        self._bounds = bounds or Bounds()
        self._meter: Meter = Unmetered() if meter is None else Careful(meter)
        self._cores = threads()
        self._lock = threading.Lock()
        suits = GPU_BUDGET if device() == "cuda" else SERVICE_BUDGET
        self._schedule = Schedule(budget or suits, heavy=max(1, self._cores - 1))
        self._load = Load(self._cores)
        self._recent: Recent[tuple[str, bytes], Any] = Recent(recent)
        self._flights: dict[Job, Flight] = {}
        self._keys: dict[tuple[str, bytes], Job] = {}
        self._calls: dict[Call, set[Job]] = {}
        self._size = 0
        self._busy = 0

    @property
    def calls(self) -> int:
        """Calls that wait or are worked on."""
        return len(self._calls)

    @property
    def waiting(self) -> int:
        """Requests that wait for their first computation."""
        with self._lock:
            return sum(job.started is None for job in self._flights)

    @property
    def size(self) -> int:
        """Bytes of text of the calls that wait or are worked on."""
        return self._size

    @property
    def remembered(self) -> tuple[int, int]:
        """How many answers are remembered, and their bytes."""
        return len(self._recent), self._recent.size

    def submit(self, asked: Sequence[Asked], *, deadline: float | None = None) -> Call:
        """Queue the requests of a call. Errors of single requests come as their outcomes.

        deadline: on the clock of `time.monotonic`. Raises Overloaded when the queue is full, or when the call
        would not be done before its deadline.
        """
        call = Call(asked, deadline)
        known = {i: reply for i, one in enumerate(asked) if (reply := self._remembered(one)) is not None}
        fresh = [i for i in range(len(asked)) if i not in known]
        outcomes = [(i, Outcome(asked[i].loaded, reply, "recent")) for i, reply in known.items()]
        for index, outcome in outcomes:
            call.settle(index, outcome)
        if fresh:
            with self._lock:
                new = [asked[i] for i in fresh]
                now = time.monotonic()
                admit(call, new, now, calls=self.calls, size=self._size, bounds=self._bounds, load=self._load)
                self._queue(call, fresh)
        for _, outcome in outcomes:
            self._meter.replied(outcome)
        if not fresh:
            self._publish([call])
        return call

    def cancel(self, call: Call, reason: str = "left") -> None:
        """Nobody waits for this call any more: what is not computed yet will not be."""
        with self._lock:
            for job in self._calls.pop(call, ()):
                flight = self._flights[job]
                flight.waiters = [(c, i) for c, i in flight.waiters if c is not call]
                if not flight.waiters:
                    self._remove(job)
                    self._meter.dropped(job.loaded, reason)
            self._schedule.purge()
            self._recount()
        call.abandon()

    def _remembered(self, one: Asked) -> Any:
        return None if one.key is None else self._recent.get((one.loaded.digest, one.key))

    def _queue(self, call: Call, fresh: Sequence[int]) -> None:
        jobs = self._calls[call] = set()
        self._recount()
        size = 0
        for index in fresh:
            one = call.asked[index]
            key = None if one.key is None else (one.loaded.digest, one.key)
            job = None if key is None else self._keys.get(key)
            long = size + one.size > SHORT
            if job is None:
                size += one.size
                job = self._fly(Job(one.loaded, one.raw, call, long, 0, time.monotonic()), Flight(one.size, key))
            elif job.long and not long:
                size += one.size
                job = self._hasten(job, call)
            self._flights[job].waiters.append((call, index))
            jobs.add(job)

    def _fly(self, job: Job, flight: Flight) -> Job:
        """Have a job done, for all who wait for it."""
        job.owed = self._load.estimate(job.loaded.version, flight.size)
        self._flights[job] = flight
        if flight.key is not None:
            self._keys[flight.key] = job
        self._load.add(job)
        self._schedule.add(job)
        self._wake()
        return job

    def _hasten(self, job: Job, call: Call) -> Job:
        """A short call waits for what a long one brought: do it with the short work, once for all."""
        flight = self._remove(job)
        short = Job(job.loaded, job.raw, call, False, 0, time.monotonic())
        for waiting, _ in flight.waiters:
            self._calls[waiting].discard(job)
            self._calls[waiting].add(short)
        return self._fly(short, flight)

    def _wake(self) -> None:
        """Have one more core at work, where there is one."""
        if self._busy < self._cores and self._schedule:
            self._busy += 1
            executor().submit(self._turn)

    def _turn(self) -> None:
        """One step; then whatever else waits for the executor has its turn."""
        late: list[Call] = []
        with self._lock:
            step = self._next(late)
            if step is None:
                self._busy -= 1
        self._publish(late)
        if step is None:
            return
        began = time.perf_counter()
        try:
            if isinstance(step, Prepare):
                self._prepare(step.job)
            else:
                self._compute(step)
        except BaseException as error:  # nobody may wait for ever, whatever happened
            wrapped = EngineError(f"this request could not be processed ({type(error).__name__}: {error}).")
            wrapped.__cause__ = error
            for job in [step.job] if isinstance(step, Prepare) else [job for job, _ in step.parts]:
                self._finish(job, wrapped)
        finally:
            with self._lock:
                self._schedule.done(step, time.perf_counter() - began)
                self._wake()
            try:
                executor().submit(self._turn)
            except RuntimeError:  # the interpreter is ending, and whoever still waits would keep it from that
                self._give_up()

    def _give_up(self) -> None:
        with self._lock:
            ended = [call for job in list(self._flights) for call in self._settle(job, NotReady("the program ends."))]
        self._publish(ended)

    def _next(self, late: list[Call]) -> Step | None:
        """The next step that somebody waits for. Calls whose last request ended because of the time go to `late`."""
        while (step := self._schedule.take()) is not None:
            now = time.monotonic()
            jobs = [step.job] if isinstance(step, Prepare) else [job for job, _ in step.parts]
            for job in jobs:
                if not job.dropped and all(call.expired(now) for call, _ in self._flights[job].waiters):
                    late += self._settle(job, DeadlineExceeded("not answered within the time that was given."))
                    self._meter.dropped(job.loaded, "deadline")
            if any(not job.dropped for job in jobs):
                if isinstance(step, Prepare):
                    return step
                live = Compute([(job, n) for job, n in step.parts if not job.dropped])
                for job, _ in live.parts:
                    job.started = job.started or now
                return live
            self._schedule.done(step, 0.0)
        return None

    def _prepare(self, job: Job) -> None:
        task = job.loaded.task
        began = time.perf_counter()
        try:
            request = task.check(job.raw, self._limits)
            encoded = task.encode(request)
            for unit in encoded.units:
                shape(unit)  # what breaks the contract is found here, where it costs this request alone
        except BaseException as error:
            self._finish(job, as_item_error(error))
            return
        seconds = time.perf_counter() - began
        self._meter.prepared(job.loaded, seconds, len(encoded.units))
        with self._lock:
            if job.dropped:
                return
            job.prepared, job.preparing_seconds = True, seconds
            job.request, job.memo, job.units = request, encoded.memo, encoded.units
            job.outputs = [EngineError("not computed")] * len(job.units)
            job.left = len(job.units)
            self._load.prepared(job, sum(unit.cost for unit in job.units), self._flights[job].size)
            if job.left:
                self._schedule.add(job)
        if not job.left:
            self._finish(job, decode(task, request, job.memo, ()))

    def _compute(self, step: Compute) -> None:
        loaded, units = step.parts[0][0].loaded, step.units
        began = time.perf_counter()
        outputs = compute(loaded.session, units)
        seconds = time.perf_counter() - began
        cost = sum(unit.cost for unit in units)
        self._meter.computed(loaded, seconds, len(units), cost)
        ended: list[Job] = []
        failed: list[tuple[Job, Exception]] = []
        with self._lock:
            self._load.took(loaded.version, cost, seconds)
            for (job, n), unit, output in zip(step.parts, units, outputs, strict=True):
                if job.dropped:
                    continue
                self._load.computed(job, unit.cost)
                job.computing_seconds += seconds / len(units)
                job.outputs[n] = output
                job.left -= 1
                if isinstance(output, Exception):
                    failed.append((job, output))
                elif not job.left:
                    ended.append(job)
        for job, error in failed:
            self._finish(job, error)
        for job in ended:
            self._finish(job, decode(loaded.task, job.request, job.memo, job.outputs))

    def _finish(self, job: Job, reply: Any) -> None:
        """Give the reply to all who wait for it, and remember it."""
        with self._lock:
            flight = self._flights.get(job)
            if flight is None:
                return
            if flight.key is not None and not isinstance(reply, Exception):
                self._recent.put(flight.key, reply, footprint(reply))
            ended = self._settle(job, reply)
        self._publish(ended)

    def _settle(self, job: Job, reply: Any) -> list[Call]:
        """Give a reply to all who wait for it; the calls of which it was the last."""
        flight = self._remove(job)
        waiting = max(0.0, (job.started or time.monotonic()) - job.arrived - job.preparing_seconds)
        seconds = (job.preparing_seconds, waiting, job.computing_seconds)
        ended = []
        for number, (call, index) in enumerate(flight.waiters):
            outcome = Outcome(job.loaded, reply, "shared" if number else "computed", *seconds)
            self._meter.replied(outcome)
            self._calls[call].discard(job)
            if call.settle(index, outcome):
                ended.append(call)
        for call in ended:
            del self._calls[call]
        self._recount()
        return ended

    def _remove(self, job: Job) -> Flight:
        job.dropped = True
        self._load.drop(job)
        flight = self._flights.pop(job)
        if flight.key is not None:
            del self._keys[flight.key]
        return flight

    def _recount(self) -> None:
        self._size = sum(call.size for call in self._calls)

    @staticmethod
    def _publish(calls: Sequence[Call]) -> None:
        for call in calls:
            call.publish()
