"""Stand-ins for what a service works with: sessions that wait to be let go on, a clock that stands still."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from trifold.engine import executor as executor_module
from trifold.engine import service as service_module
from trifold.engine.calls import Asked, Call, Outcome
from trifold.engine.loaded import Loaded
from trifold.engine.planner import Budget
from trifold.engine.service import Service
from trifold.errors import EngineError
from trifold.task import Unit

PATIENCE = 20.0
"""Seconds after which a call counts as lost."""
ONE = Budget(batch=8, padding=0, lookahead=0)
"""A unit of eight characters is a batch."""
LONG = 10_000
"""Bytes of a call that queues with the long work."""
Cores = Callable[[int], None]


class Clock:
    """Time that passes only where a test lets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Session:
    """Gives back the codes it gets, and keeps what was computed together.

    clock, seconds: how much time a batch takes. after: called with the texts of each batch, on the thread that
    computes. Units that contain a # fail when they are alone, and fail their whole batch.
    """

    def __init__(self, clock: Clock | None = None, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.began = threading.Semaphore(0)
        self.after: Callable[[list[str]], object] = lambda texts: None
        self._clock, self._seconds = clock, seconds
        self._gate = threading.Event()
        self._gate.set()

    def hold(self) -> None:
        """Let batches begin, but not end."""
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    def run(self, units: Sequence[Unit]) -> list[Any]:
        texts = ["".join(chr(code) for code in unit.arrays["codes"]) for unit in units]
        self.batches.append(texts)
        self.began.release()
        if not self._gate.wait(PATIENCE):
            raise EngineError("the test never opened the gate")
        if self._clock is not None:
            self._clock.now += self._seconds
        self.after(texts)
        if any("#" in text for text in texts):
            raise EngineError("cannot compute a #")
        return [{"echoed": unit.arrays["codes"]} for unit in units]

    @property
    def computed(self) -> list[str]:
        """The text of each unit, in the order of computation."""
        return [text for batch in self.batches for text in batch]


def model(session: Session, name: str = "echo@0", task: Any = None, digest: str | None = None) -> Loaded:
    if task is None:
        from trifold_echo import EchoTask

        task = EchoTask(name)
    return Loaded(name, task, session, None, digest or name)  # type: ignore[arg-type]


def ask(loaded: Loaded, text: Any, *, key: bool = False, size: int | None = None) -> Asked:
    return Asked(loaded, {"text": text}, len(str(text)) if size is None else size, str(text).encode() if key else None)


def outcomes(call: Call) -> list[Outcome]:
    return call.future.result(PATIENCE)


def replies(*calls: Call) -> list[Any]:
    return [outcome.reply for call in calls for outcome in outcomes(call)]


def kinds(found: Sequence[Any]) -> list[Any]:
    """Replies, with errors as what they are and say."""
    return [(type(reply), str(reply)) if isinstance(reply, Exception) else reply for reply in found]


def blocked(service: Service, loaded: Loaded, session: Session, text: str = "blocker") -> Call:
    """A call that is being computed, and goes on being so until the session is released."""
    session.hold()
    call = service.submit([ask(loaded, text)])
    assert session.began.acquire(timeout=PATIENCE)
    return call


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def assert_nothing_left(service: Service) -> None:
    assert (service.calls, service.size, service.waiting) == (0, 0, 0)
    assert service._load.wait(long=True) == pytest.approx(0, abs=1e-9)
    assert until(lambda: service._busy == 0)


def many_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cores]:
    """A fixture that gives the process so many cores, whatever this machine has."""
    pools = []

    def give(count: int) -> None:
        pool = ThreadPoolExecutor(count)
        pools.append(pool)
        monkeypatch.setenv("TRIFOLD_THREADS", str(count))
        monkeypatch.setattr(executor_module, "_executor", lambda process: pool)

    yield give
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)


def own_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A fixture: the service's clock."""
    clock = Clock()
    monkeypatch.setattr(service_module, "time", SimpleNamespace(monotonic=clock, perf_counter=clock))
    return clock


class Notes:
    """A meter that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def prepared(self, loaded: Loaded, seconds: float, units: int) -> None:
        self.told.append(("prepared", units))

    def computed(self, loaded: Loaded, seconds: float, units: int, cost: int) -> None:
        self.told.append(("computed", units, cost))

    def replied(self, outcome: Outcome) -> None:
        self.told.append(("replied", outcome.source))

    def dropped(self, loaded: Loaded, reason: str) -> None:
        self.told.append(("dropped", reason))


def texts(count: int, seed: int = 0) -> list[Any]:
    chance = random.Random(seed)
    good = ["".join(chance.choices("abcdefgh", k=chance.randrange(60))) for _ in range(count)]
    bad = [None, "encode fails", "decode fails", "a # box", "", "one unit of three with #"]
    return [*good, *bad, *good[:5]]


def asking_on(service: Service, session: Session, loaded: Loaded, most: int) -> None:
    """A new short call after each batch, so that there is always one that waits; `most` in all."""
    left = iter(range(most))

    def more(texts: list[str]) -> None:
        if (number := next(left, None)) is not None:
            service.submit([ask(loaded, f"S{number:07}")])

    session.after = more


def sources(*calls: Call) -> list[str]:
    return [outcome.source for call in calls for outcome in outcomes(call)]
