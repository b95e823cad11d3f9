"""Equal requests are computed once, and recent answers come from memory."""

from __future__ import annotations

import threading
from collections import Counter

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
    sources,
    until,
)
from trifold.engine.calls import Outcome
from trifold.engine.service import Bounds, Service
from trifold.errors import EngineError

pytestmark = pytest.mark.usefixtures("echo_plugin")
cores = pytest.fixture(service_doubles.many_cores)
clock = pytest.fixture(service_doubles.own_clock)


def test_equal_requests_in_flight_are_computed_once(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    same, other = ask(loaded, "the same", key=True), ask(loaded, "another!", key=True)
    one = service.submit([same])
    two = service.submit([other, same, same])
    without_key = service.submit([ask(loaded, "the same")])
    session.release()
    assert replies(one, two, without_key) == ["the same", "another!", "the same", "the same", "the same"]
    assert sources(one, two, without_key) == ["computed", "computed", "shared", "shared", "computed"]
    assert Counter(session.computed) == {"blocker": 1, "the same": 2, "another!": 1}
    assert_nothing_left(service)


def test_an_error_is_shared_too(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(recent=10_000)
    blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, "a # is..", key=True)]) for _ in range(2)]
    session.release()
    assert [type(reply) for reply in replies(*calls)] == [EngineError, EngineError]
    assert session.computed.count("a # is..") == 1
    outcomes(service.submit([ask(loaded, "a # is..", key=True)]))  # and not remembered
    assert session.computed.count("a # is..") == 2
    assert service.remembered == (0, 0)


def test_models_share_nothing_unless_they_are_the_same(cores: Cores) -> None:
    cores(1)
    session = Session()
    one, other, twin = model(session, "one@0"), model(session, "two@0"), model(session, "twin@0", digest="one@0")
    service = Service(recent=10_000)
    blocked(service, one, session)
    calls = [service.submit([ask(loaded, "the same", key=True)]) for loaded in (one, other, twin)]
    session.release()
    assert sources(*calls) == ["computed", "computed", "shared"]
    again = [service.submit([ask(loaded, "the same", key=True)]) for loaded in (other, twin, model(session, "new@0"))]
    assert sources(*again) == ["recent", "recent", "computed"]


def test_recent_answers_come_from_memory(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    notes = Notes()
    service = Service(recent=100_000, bounds=Bounds(calls=1), meter=notes)
    asked = [ask(loaded, f"question {i}", key=True) for i in range(3)]
    assert sources(service.submit(asked)) == ["computed"] * 3
    computed = list(session.computed)
    assert service.remembered[0] == 3
    blocked(service, loaded, session)
    again = service.submit(asked[::-1])  # needs no room
    assert replies(again) == ["question 2", "question 1", "question 0"]
    assert sources(again) == ["recent"] * 3
    assert notes.told.count(("replied", "recent")) == 3
    session.release()
    assert until(lambda: service.calls == 0)
    mixed = service.submit([asked[0], ask(loaded, "new", key=True), asked[0], ask(loaded, "question 1")])
    assert sources(mixed) == ["recent", "computed", "recent", "computed"]
    assert replies(mixed) == ["question 0", "new", "question 0", "question 1"]
    assert Counter(session.computed) == Counter([*computed, "blocker", "new", "question", " 1"])


def test_memory_is_bounded_in_bytes_and_the_oldest_goes_first(cores: Cores) -> None:
    cores(1)
    loaded = model(Session())
    service = Service(recent=20_000)
    for i in range(50):
        outcomes(service.submit([ask(loaded, f"{i} " + "a" * 1000, key=True)]))
        assert service.remembered[1] <= 20_000
    assert 10 <= service.remembered[0] < 20
    assert sources(service.submit([ask(loaded, "49 " + "a" * 1000, key=True)])) == ["recent"]
    assert sources(service.submit([ask(loaded, "0 " + "a" * 1000, key=True)])) == ["computed"]


def test_without_a_memory_nothing_is_remembered() -> None:
    session = Session()
    loaded = model(session)
    service = Service()
    for _ in range(2):
        assert sources(service.submit([ask(loaded, "again", key=True)])) == ["computed"]
    assert service.remembered == (0, 0)
    assert session.computed == ["again", "again"]


def test_a_call_that_is_partly_remembered_leaves_nothing_behind(cores: Cores) -> None:
    """Even where its new part is computed before the remembered part has been handed over."""
    cores(2)
    computed = threading.Event()

    class Waiting(Notes):
        def replied(self, outcome: Outcome) -> None:
            super().replied(outcome)
            if outcome.source == "recent":
                computed.wait(0.2)
            elif outcome.reply == "new":
                computed.set()

    loaded = model(Session())
    service = Service(recent=10_000, meter=Waiting())
    known = [ask(loaded, text, key=True) for text in ("one", "two")]
    outcomes(service.submit(known))
    assert replies(service.submit([*known, ask(loaded, "new")])) == ["one", "two", "new"]
    assert_nothing_left(service)


def test_a_short_call_does_not_wait_as_long_as_the_long_one_it_shares_with(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    blocked(service, loaded, session)
    long = service.submit([ask(loaded, f"item{i:04}", key=True, size=LONG) for i in range(100)])
    short = service.submit([ask(loaded, "item0080", key=True, size=8)])
    session.release()
    outcomes(long)
    assert replies(short) == ["item0080"]
    assert session.computed.index("item0080") <= 10
    assert session.computed.count("item0080") == 1
    assert len(session.computed) == 101


def test_short_calls_that_share_with_a_long_one_share_with_each_other(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(budget=ONE, recent=10_000)
    blocked(service, loaded, session)
    long = service.submit([ask(loaded, f"item{i:04}", key=True, size=LONG) for i in range(20)])
    short = [service.submit([ask(loaded, "item0019", key=True, size=8)]) for _ in range(10)]
    session.release()
    assert replies(*short) == ["item0019"] * 10
    assert sources(service.submit([ask(loaded, "item0019", key=True)])) == ["recent"]
    assert replies(long) == [f"item{i:04}" for i in range(20)]
    assert session.computed.count("item0019") == 1
    assert_nothing_left(service)


@pytest.mark.parametrize("leaving", ["short", "long"])
def test_what_a_short_and_a_long_call_share_stays_for_the_one_that_stays(cores: Cores, leaving: str) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(budget=ONE)
    blocked(service, loaded, session)
    calls = {"long": service.submit([ask(loaded, f"item{i:04}", key=True, size=LONG) for i in range(5)])}
    calls["short"] = service.submit([ask(loaded, "item0004", key=True, size=8)])
    service.cancel(calls.pop(leaving))
    session.release()
    (left,) = calls.values()
    assert replies(left) == ([f"item{i:04}" for i in range(5)] if leaving == "short" else ["item0004"])
    assert_nothing_left(service)


def test_a_short_call_that_comes_while_the_long_one_is_computed_gets_its_answer(cores: Cores) -> None:
    cores(2)
    session = Session()
    loaded = model(session)
    service = Service(budget=ONE)
    session.hold()
    long = service.submit([ask(loaded, "item0000", key=True, size=LONG)])
    assert session.began.acquire(timeout=PATIENCE)
    short = service.submit([ask(loaded, "item0000", key=True, size=8)])
    session.release()
    assert replies(long, short) == ["item0000"] * 2
    assert_nothing_left(service)
