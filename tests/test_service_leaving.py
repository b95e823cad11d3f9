"""Deadlines, and callers that leave: no work that nobody waits for."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import CancelledError, wait
from typing import Any

import pytest

import service_doubles
from service_doubles import (
    LONG,
    ONE,
    PATIENCE,
    Clock,
    Cores,
    Notes,
    Session,
    ask,
    assert_nothing_left,
    blocked,
    model,
    outcomes,
    replies,
    until,
)
from trifold.engine.calls import Asked, Call
from trifold.engine.service import Service
from trifold.errors import DeadlineExceeded
from trifold.task import Encoded

pytestmark = pytest.mark.usefixtures("echo_plugin")
cores = pytest.fixture(service_doubles.many_cores)
clock = pytest.fixture(service_doubles.own_clock)


def test_what_is_late_is_not_computed(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    notes = Notes()
    service = Service(meter=notes)
    first = blocked(service, loaded, session)
    late = service.submit([ask(loaded, "late one"), ask(loaded, "late two")], deadline=clock() + 0.5)
    in_time = service.submit([ask(loaded, "in time!")], deadline=clock() + 1.5)
    session.release()
    assert replies(first, in_time) == ["blocker", "in time!"]
    assert [type(reply) for reply in replies(late)] == [DeadlineExceeded, DeadlineExceeded]
    assert session.computed == ["blocker", "in time!"]
    assert notes.told.count(("dropped", "deadline")) == 2
    assert_nothing_left(service)


def test_what_has_become_late_is_left_out_of_a_batch(cores: Cores, clock: Clock) -> None:
    cores(1)
    from trifold_echo import EchoTask

    class Slow(EchoTask):
        def check(self, raw: Mapping[str, Any], limits: Any) -> str:
            clock.now += 2.0 if raw["text"] == "slow" else 0.0
            return super().check(raw, limits)

    session = Session(clock)
    loaded = model(session, task=Slow("echo@0"))
    service = Service()
    blocked(service, loaded, session)
    late = service.submit([ask(loaded, "late one")], deadline=clock() + 1)
    calls = [service.submit([ask(loaded, text)], deadline=clock() + 10) for text in ("in time!", "slow")]
    session.release()
    assert replies(*calls) == ["in time!", "slow"]
    assert isinstance(replies(late)[0], DeadlineExceeded)
    assert session.batches == [["blocker"], ["in time!"], ["slow"]]
    assert_nothing_left(service)


def test_the_rest_of_a_long_document_is_not_computed_when_its_time_is_up(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    call = service.submit([ask(loaded, "D" * 80, size=LONG)], deadline=clock() + 3.5)
    assert isinstance(replies(call)[0], DeadlineExceeded)
    assert len(session.batches) == 4
    assert_nothing_left(service)


def test_what_somebody_else_still_waits_for_is_computed(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    hasty = service.submit([ask(loaded, "the same", key=True)], deadline=clock() + 0.5)
    patient = service.submit([ask(loaded, "the same", key=True)], deadline=clock() + 5)
    session.release()
    assert replies(patient) == ["the same"]
    outcomes(hasty)
    assert_nothing_left(service)


def test_what_waits_is_never_computed_when_its_caller_leaves(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    notes = Notes()
    service = Service(meter=notes)
    first = blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, f"waits {i}"), ask(loaded, f"also {i}")]) for i in range(4)]
    document = service.submit([ask(loaded, "D" * 80, size=LONG)])
    for call in (calls[1], calls[3], document):
        service.cancel(call)
    assert (service.calls, service.waiting) == (3, 4)
    session.release()
    assert replies(first, calls[0], calls[2]) == ["blocker", "waits 0", "also 0", "waits 2", "also 2"]
    assert_nothing_left(service)
    assert sorted(session.computed) == ["also 0", "also 2", "blocker", "waits 0", "waits 2"]
    assert notes.told.count(("dropped", "left")) == 5
    with pytest.raises(CancelledError):
        document.future.result(0)


def test_cancelling_twice_or_after_the_end_changes_nothing(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(recent=10_000)
    call = service.submit([ask(loaded, "done", key=True)])
    assert replies(call) == ["done"]
    service.cancel(call)
    assert replies(call) == ["done"]
    known = service.submit([ask(loaded, "done", key=True)])
    service.cancel(known)
    assert replies(known) == ["done"]
    blocked(service, loaded, session)
    gone = service.submit([ask(loaded, "gone")])
    service.cancel(gone)
    service.cancel(gone)
    session.release()
    assert until(lambda: service.calls == 0)
    assert_nothing_left(service)
    assert "gone" not in session.computed


def test_the_rest_of_a_long_document_is_not_computed_when_its_caller_leaves(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(budget=ONE)
    calls: list[Call] = []
    session.after = lambda texts: service.cancel(calls[0]) if len(session.batches) == 3 else None
    session.hold()
    calls.append(service.submit([ask(loaded, "D" * 80, size=LONG)]))
    session.release()
    with pytest.raises(CancelledError):
        outcomes(calls[0])
    assert replies(service.submit([ask(loaded, "next")])) == ["next"]
    assert session.computed == ["DDDDDDDD"] * 3 + ["next"]
    assert_nothing_left(service)


@pytest.mark.parametrize("long", [False, True])
def test_leaving_while_it_is_prepared(cores: Cores, long: bool) -> None:
    from trifold_echo import EchoTask

    cores(1)
    began, go_on = threading.Event(), threading.Event()

    class Held(EchoTask):
        def encode(self, request: str) -> Encoded:
            if request == "left":
                began.set()
                assert go_on.wait(PATIENCE)
            return super().encode(request)

    session = Session()
    loaded = model(session, task=Held("echo@0"))
    service = Service()
    call = service.submit([ask(loaded, "left", size=LONG if long else None)])
    assert began.wait(PATIENCE)
    service.cancel(call)
    assert (service.calls, service.waiting, service.size) == (0, 0, 0)
    go_on.set()
    assert replies(service.submit([ask(loaded, "next", size=LONG)])) == ["next"]
    assert session.computed == ["next"]
    assert_nothing_left(service)


def test_work_that_another_caller_shares_goes_on_when_one_leaves(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    first, second = (service.submit([ask(loaded, "the same", key=True)]) for _ in range(2))
    service.cancel(first)
    assert service.calls == 2
    third = service.submit([ask(loaded, "the same", key=True)])
    session.release()
    assert replies(second, third) == ["the same", "the same"]
    assert session.computed == ["blocker", "the same"]
    assert_nothing_left(service)


def test_after_all_have_left_the_same_question_is_computed_anew(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    service.cancel(service.submit([ask(loaded, "the same", key=True)]))
    again = service.submit([ask(loaded, "the same", key=True)])
    session.release()
    assert replies(again) == ["the same"]
    assert session.computed == ["blocker", "the same"]
    assert_nothing_left(service)


def test_who_waits_for_several_futures_hears_of_a_cancelled_one(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    call = service.submit([ask(loaded, "left")])
    service.cancel(call)
    assert wait([call.future], timeout=1).done
    session.release()


def test_the_memory_of_what_was_cancelled_is_free(cores: Cores) -> None:
    """Room that counts as free is free, even while the processor is busy with others for long."""

    class Raw(dict[str, str]):
        pass

    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    first = blocked(service, loaded, session)
    seen = []
    for size in (10, LONG):
        raw = Raw(text="a passage")
        seen.append(weakref.ref(raw))
        service.cancel(service.submit([Asked(loaded, raw, size)]))
        del raw
    gc.collect()
    assert [ref() for ref in seen] == [None, None]
    session.release()
    outcomes(first)
