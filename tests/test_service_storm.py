"""Everything at once and at random: every call ends once, and nothing is left behind."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

import service_doubles
from service_doubles import (
    LONG,
    PATIENCE,
    Cores,
    Session,
    ask,
    assert_nothing_left,
    model,
    outcomes,
    replies,
)
from trifold.engine.calls import Asked, Call, Outcome
from trifold.engine.loaded import Loaded
from trifold.engine.planner import Budget
from trifold.engine.service import Bounds, Service
from trifold.errors import DeadlineExceeded, EngineError, InvalidInput, Overloaded
from trifold.task import Unit

pytestmark = pytest.mark.usefixtures("echo_plugin")
cores = pytest.fixture(service_doubles.many_cores)


class Flaky(Session):
    """Takes a moment now and then."""

    def run(self, units: Sequence[Unit]) -> list[Any]:
        if random.random() < 0.2:
            time.sleep(0.0005)
        return super().run(units)


class Caller(threading.Thread):
    """Asks, leaves, sets deadlines and asks nonsense, at random; keeps the calls that it did not leave in time.

    told: futures that have ended. hints: when it was told to try again.
    """

    def __init__(self, service: Service, models: Sequence[Loaded], seed: int, count: int) -> None:
        super().__init__()
        self.service, self.models, self.count = service, models, count
        self.chance = random.Random(seed)
        self.kept: list[tuple[Call, list[Asked]]] = []
        self.told: list[Future[Any]] = []
        self.hints: list[float] = []

    def asked(self) -> Asked:
        chance = self.chance
        text: Any = "".join(chance.choices("abcd", k=chance.choice([0, 1, 2, 8, 9, 30])))
        if chance.random() < 0.15:
            text = chance.choice([None, "encode fails", "decode fails", "a # box", "#" * 20])
        size = chance.choice([None, None, None, LONG])
        return ask(chance.choice(self.models), text, key=chance.random() < 0.7, size=size)

    def run(self) -> None:
        chance = self.chance
        for _ in range(self.count):
            asked = [self.asked() for _ in range(chance.choice([1, 1, 1, 2, 5, 30]))]
            due = chance.choice([None, None, 60.0, 0.01, 0.001, 0.0, -1.0])
            try:
                call = self.service.submit(asked, deadline=None if due is None else time.monotonic() + due)
            except Overloaded as refused:
                self.hints.append(refused.retry_after)
                time.sleep(0.001)
                continue
            call.future.add_done_callback(self.told.append)
            if chance.random() < 0.3:
                if chance.random() < 0.5:
                    time.sleep(chance.choice([0, 0.0003, 0.002]))
                for _ in range(chance.choice([1, 1, 2])):
                    self.service.cancel(call)
                if call.future.cancelled():
                    continue
            self.kept.append((call, asked))
            if chance.random() < 0.3:
                wait([call.future], timeout=PATIENCE)


def fits(asked: Asked, outcome: Outcome, *, hurried: bool) -> bool:
    """Whether an outcome is the right one."""
    text, reply = asked.raw["text"], outcome.reply
    if isinstance(reply, DeadlineExceeded):
        return hurried
    if text is None:
        return isinstance(reply, InvalidInput)
    if text in ("encode fails", "decode fails") or "#" in text:
        return isinstance(reply, EngineError)
    return bool(reply == text) and outcome.loaded.digest == asked.loaded.digest


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_every_call_ends_once_and_nothing_is_left(cores: Cores, seed: int) -> None:
    cores(1 + seed % 4)
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        sessions = [Flaky(), Flaky()]
        models = [model(sessions[0], "a@0"), model(sessions[1], "b@0"), model(sessions[0], "a@0")]
        budget = Budget(24, seed % 2, 0)
        service = Service(budget=budget, bounds=Bounds(12, 40 * LONG), recent=(0, 2000)[seed // 2])
        callers = [Caller(service, models, 100 * seed + i, 150) for i in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        for caller in callers:
            for call, asked in caller.kept:
                found = outcomes(call)
                hurried = call.deadline is not None
                unfit = [
                    (one.raw, own.reply)
                    for one, own in zip(asked, found, strict=True)
                    if not fits(one, own, hurried=hurried)
                ]
                assert unfit == []
    finally:
        sys.setswitchinterval(switching)
    assert_nothing_left(service)
    for caller in callers:
        assert len(caller.told) == len(set(caller.told)) == caller.count - len(caller.hints)
        assert all(1 <= hint < 3600 for hint in caller.hints)  # sizes here are far above what is computed
        assert caller.kept
    for batch in sessions[0].batches + sessions[1].batches:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= budget.batch
    # Every core still works.
    slow = Session()
    slow.hold()
    calls = [service.submit([ask(model(slow, f"m{i}"), "working")]) for i in range(1 + seed % 4)]
    assert all(slow.began.acquire(timeout=PATIENCE) for _ in calls)
    slow.release()
    assert replies(*calls) == ["working"] * len(calls)


def test_many_equal_questions_from_many_threads_all_get_the_answer(cores: Cores) -> None:
    """Some join what is in flight at its very end, some find it remembered."""
    cores(2)
    session = Session()
    loaded = model(session)
    service = Service(recent=100_000)
    start = threading.Barrier(4)

    def questions(_: int) -> list[Any]:
        found = []
        start.wait()
        for i in range(300):
            found += replies(service.submit([ask(loaded, f"{i}", key=True)]))
        return found

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(questions, range(4)):
            assert found == [f"{i}" for i in range(300)]
    assert 300 <= len(session.computed) < 600
    assert_nothing_left(service)
