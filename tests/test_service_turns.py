"""Fair turns and bounded room. A clock that only batches move makes the order certain."""

from __future__ import annotations

from contextlib import suppress

import pytest

import service_doubles
from service_doubles import (
    LONG,
    ONE,
    Clock,
    Cores,
    Session,
    ask,
    asking_on,
    assert_nothing_left,
    blocked,
    model,
    outcomes,
    replies,
)
from trifold.engine.calls import Call
from trifold.engine.loaded import Loaded
from trifold.engine.service import Bounds, Service
from trifold.errors import Overloaded

pytestmark = pytest.mark.usefixtures("echo_plugin")
cores = pytest.fixture(service_doubles.many_cores)
clock = pytest.fixture(service_doubles.own_clock)


@pytest.mark.parametrize("items", [1, 40], ids=["a long document", "many items"])
def test_short_calls_and_a_long_one_share_the_processor_three_to_one(cores: Cores, clock: Clock, items: int) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    blocked(service, loaded, session)
    asking_on(service, session, loaded, 150)
    long = service.submit([ask(loaded, "L" * (8 * 40 // items), size=LONG) for _ in range(items)])
    for i in range(3):
        service.submit([ask(loaded, f"first {i}")])
    session.release()
    assert replies(long) == ["L" * (8 * 40 // items)] * items
    order = "".join("L" if text[0] == "L" else "s" for text in session.computed)
    assert 8 <= order[:40].count("L") <= 12
    assert order.index("LLLL") >= 150 if "LLLL" in order else order.rindex("L") <= 165


def test_a_short_call_is_next_whatever_else_is_in_work(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    blocked(service, loaded, session)
    many = service.submit([ask(loaded, f"item{i:04}", size=100) for i in range(300)])
    document = service.submit([ask(loaded, "D" * 800, size=LONG)])
    later: list[Call] = []

    def interrupt(texts: list[str]) -> None:
        if len(session.batches) == 200:
            later.append(service.submit([ask(loaded, "urgent!!")]))

    session.after = interrupt
    session.release()
    outcomes(many), outcomes(document)
    assert 200 <= session.computed.index("urgent!!") <= 202
    assert replies(*later) == ["urgent!!"]


def test_long_calls_take_turns(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, letter * 80, size=LONG)]) for letter in "AB"]
    calls.append(service.submit([ask(loaded, "C" * 8, size=LONG) for _ in range(10)]))
    session.release()
    for call in calls:
        outcomes(call)
    order = [text[0] for text in session.computed[1:]]
    assert all(abs(order[:n].count("A") - order[:n].count("B")) <= 1 for n in range(30))
    # Preparing takes turns too, so that a call of many items comes to its batches half as often.
    assert 5 <= order[:25].count("C") <= 10


@pytest.mark.parametrize("many", ["quick", "slow"])
def test_models_share_the_seconds_whoever_asks_more(cores: Cores, clock: Clock, many: str) -> None:
    cores(1)
    seconds = {"quick": 1.0, "slow": 5.0}
    sessions = {name: Session(clock, seconds[name]) for name in seconds}
    models = {name: model(session, name) for name, session in sessions.items()}
    service = Service(budget=ONE)
    blocked(service, models["quick"], sessions["quick"])
    calls = []
    for name, loaded in models.items():
        calls += [service.submit([ask(loaded, f"{name[0]}{i:07}")]) for i in range(100 if name == many else 15)]
    shares: list[float] = []
    for session in sessions.values():
        session.after = lambda texts: shares.append(
            len(sessions["quick"].batches) - 5.0 * len(sessions["slow"].batches)
        )
    sessions["quick"].release()
    for call in calls:
        outcomes(call)
    # The first 15 batches of each, at least, stand against each other.
    assert all(abs(share) <= 7.0 for share in shares[:15])


def test_a_model_that_is_asked_one_thing_at_a_time_gets_no_more_than_its_half(cores: Cores, clock: Clock) -> None:
    cores(1)
    busy, single = Session(clock, 1.0), Session(clock, 5.0)
    often, seldom = model(busy, "often@0"), model(single, "seldom@0")
    service = Service(budget=ONE)
    blocked(service, often, busy)
    calls = [service.submit([ask(often, f"q{i:07}")]) for i in range(100)]
    waiting: list[Call] = []

    def ask_again(texts: list[str]) -> None:
        if len(busy.batches) <= 90 and all(call.future.done() for call in waiting):
            waiting.append(service.submit([ask(seldom, "heavy...")]))

    busy.after = ask_again
    busy.release()
    for call in calls:
        outcomes(call)
    assert 60 <= 5 * len(single.batches) <= 110


def test_a_model_that_idled_has_no_claims(cores: Cores, clock: Clock) -> None:
    cores(1)
    sessions = [Session(clock, 1.0), Session(clock, 1.0)]
    busy, idle = model(sessions[0], "busy@0"), model(sessions[1], "idle@0")
    service = Service(budget=ONE)
    for i in range(50):
        replies(service.submit([ask(busy, f"{i:08}")]))
    blocked(service, busy, sessions[0])
    calls = [service.submit([ask(busy, f"b{i:07}")]) for i in range(30)]
    calls += [service.submit([ask(idle, f"i{i:07}")]) for i in range(30)]
    counts: list[tuple[int, int]] = []
    for session in sessions:
        session.after = lambda texts: counts.append((len(sessions[0].batches) - 51, len(sessions[1].batches)))
    sessions[0].release()
    for call in calls:
        outcomes(call)
    assert all(abs(one - two) <= 2 for one, two in counts[:40])


def test_calls_over_the_bound_are_refused_and_room_is_free_again_when_one_ends(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(bounds=Bounds(calls=3, size=10**6))
    first = blocked(service, loaded, session)
    second, third = (service.submit([ask(loaded, text)]) for text in ("second", "third"))
    assert (service.calls, service.waiting, service.size) == (3, 2, len("blockersecondthird"))
    with pytest.raises(Overloaded, match="queue is full") as refused:
        service.submit([ask(loaded, "fourth")])
    assert 1 <= refused.value.retry_after <= 60
    service.cancel(second)
    fourth = service.submit([ask(loaded, "fourth")])
    with pytest.raises(Overloaded):
        service.submit([ask(loaded, "fifth")])
    session.release()
    assert replies(first, third, fourth) == ["blocker", "third", "fourth"]
    assert replies(service.submit([ask(loaded, "fifth")])) == ["fifth"]
    assert "second" not in session.computed
    assert_nothing_left(service)


def test_bytes_over_the_bound_are_refused_but_a_call_alone_is_always_taken(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(bounds=Bounds(calls=100, size=1000))
    session.hold()
    huge = service.submit([ask(loaded, "huge", size=5000)])
    with pytest.raises(Overloaded):
        service.submit([ask(loaded, "small", size=1)])
    session.release()
    assert replies(huge) == ["huge"]
    blocked(service, loaded, session)
    fits = service.submit([ask(loaded, "fits", size=600), ask(loaded, "fits too", size=393)])
    assert service.size == 1000
    with pytest.raises(Overloaded):
        service.submit([ask(loaded, "small", size=1)])
    session.release()
    assert replies(fits) == ["fits", "fits too"]
    assert_nothing_left(service)


def test_a_call_of_which_a_part_failed_keeps_its_room_until_it_ends(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    call = service.submit([ask(loaded, None, size=50), ask(loaded, "good", size=50)])
    session.release()
    outcomes(call)
    assert_nothing_left(service)


def test_when_to_try_again_is_computed_from_the_work(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=2.0)
    loaded = model(session)
    service = Service(budget=ONE, bounds=Bounds(calls=41))
    for i in range(3):
        replies(service.submit([ask(loaded, f"warm-up{i}"[:8])]))
    blocked(service, loaded, session)
    # What waits is known exactly once it is prepared: the last one to be prepared asks.
    found: list[float] = []

    def look(texts: list[str]) -> None:
        if len(session.batches) == 6:
            service.submit([ask(loaded, "fits....")])
            service.submit([ask(loaded, "fits too")])
            with pytest.raises(Overloaded) as refused:
                service.submit([ask(loaded, "refused!")])
            found.append(refused.value.retry_after)

    session.after = look
    calls = [service.submit([ask(loaded, f"q{i:07}")]) for i in range(40)]
    session.release()
    for call in calls:
        outcomes(call)
    assert found
    assert 0.7 * 80 <= found[0] <= 1.3 * 80  # forty batches of two seconds


def known_pace(service: Service, *models: Loaded, size: int | None = None) -> None:
    for loaded in models:
        for i in range(3):
            replies(service.submit([ask(loaded, f"warmup {i}", size=size)]))


def test_a_call_that_would_be_begun_too_late_is_refused_at_once(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    known_pace(service, loaded)
    blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, f"q{i:07}" * 8)]) for i in range(10)]
    with pytest.raises(Overloaded, match="would not be answered in its time") as refused:
        service.submit([ask(loaded, "in haste")], deadline=clock() + 5)
    assert refused.value.retry_after >= 5
    patient = service.submit([ask(loaded, "patient!")], deadline=clock() + 500)
    session.release()
    assert replies(patient) == ["patient!"]
    for call in calls:
        outcomes(call)
    assert "in haste" not in session.computed


@pytest.mark.parametrize(("other", "size"), [(True, 10), (True, LONG), (False, LONG)])
def test_who_would_be_served_in_time_is_not_refused_for_the_work_of_others(
    cores: Cores, clock: Clock, other: bool, size: int
) -> None:
    """Models share the processor, and long calls take turns: what another waits for is not all in front."""
    cores(1)
    sessions = [Session(clock, 1.0), Session(clock, 1.0)]
    busy, idle = model(sessions[0], "busy@0"), model(sessions[1], "idle@0")
    service = Service(budget=ONE)
    known_pace(service, busy, idle, size=size)
    blocked(service, busy, sessions[0])
    large = service.submit([ask(busy, f"item{i:04}" * 20, size=LONG) for i in range(50)])
    began = clock()
    call = service.submit([ask(idle if other else busy, "in haste", size=size)], deadline=began + 200)
    ended: list[float] = []
    call.future.add_done_callback(lambda future: ended.append(clock() - began))
    sessions[0].release()
    assert replies(call) == ["in haste"]
    assert ended[0] < 200
    service.cancel(large)


def test_where_not_all_can_be_answered_in_time_most_of_the_work_is_not_in_vain(cores: Cores, clock: Clock) -> None:
    """Forty documents want 800 seconds and have 300: about 15 can be answered, rather than all come too late."""
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    for i in range(3):
        outcomes(service.submit([ask(loaded, f"{i}" * 160, size=LONG)]))
    blocked(service, loaded, session)
    calls = []
    for i in range(40):
        with suppress(Overloaded):
            calls.append(service.submit([ask(loaded, f"{i:08}" * 20, size=LONG)], deadline=clock() + 300))
    session.release()
    answered = [reply for reply in replies(*calls) if isinstance(reply, str)]
    assert len(answered) >= 8
