"""Many callers at once: right answers, fair turns, bounded room, and no work that nobody waits for."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import ECHO
from doubles import EXAMPLES
from trifold import Reply
from trifold.engine import executor as executor_module
from trifold.engine import service as service_module
from trifold.engine.calls import Asked, Call, Outcome
from trifold.engine.loaded import Loaded, open_model
from trifold.engine.planner import Budget
from trifold.engine.runner import Runner
from trifold.engine.service import Bounds, Service
from trifold.errors import DeadlineExceeded, EngineError, InvalidInput, Overloaded
from trifold.models.registry import find
from trifold.task import Encoded, Unit

pytestmark = pytest.mark.usefixtures("echo_plugin")

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


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cores]:
    """Gives the process so many cores, whatever this machine has."""
    pools = []

    def give(count: int) -> None:
        pool = ThreadPoolExecutor(count)
        pools.append(pool)
        monkeypatch.setenv("TRIFOLD_THREADS", str(count))
        monkeypatch.setattr(executor_module, "_executor", lambda process: pool)

    yield give
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The service's clock."""
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


# Replies


def texts(count: int, seed: int = 0) -> list[Any]:
    chance = random.Random(seed)
    good = ["".join(chance.choices("abcdefgh", k=chance.randrange(60))) for _ in range(count)]
    bad = [None, "encode fails", "decode fails", "a # box", "", "one unit of three with #"]
    return [*good, *bad, *good[:5]]


def test_replies_and_errors_are_those_of_the_runner_in_order(cores: Cores) -> None:
    cores(2)
    loaded = model(Session())
    asked = texts(150)
    wanted = kinds([reply for _, reply in Runner(loaded).map((i, {"text": t}) for i, t in enumerate(asked))])
    service = Service()
    together = service.submit([ask(loaded, text) for text in asked])
    alone = [service.submit([ask(loaded, text)]) for text in asked]
    assert kinds(replies(together)) == wanted
    assert kinds(replies(*alone)) == wanted
    assert_nothing_left(service)


def test_the_embedded_model_answers_as_the_runner() -> None:
    loaded = open_model(find("default"))
    text = (EXAMPLES / "lighthouse.txt").read_text(encoding="utf-8")
    sentences = text.split(". ")
    raws: list[dict[str, Any]] = [
        {"question": question, "passage": ". ".join(sentences[i : i + 1 + i % 5])}
        for question in ("Who built the lighthouse?", "How tall is it?")
        for i in range(12)
    ]
    raws += [{"question": "", "passage": "nothing"}, {"question": "When was it built?", "passage": text}]
    service = Service()
    calls = [service.submit([Asked(loaded, raw, len(str(raw)))]) for raw in raws[::2]]
    calls.append(service.submit([Asked(loaded, raw, len(str(raw))) for raw in raws]))
    found = replies(*calls)
    wanted = [reply for _, reply in Runner(loaded).map(enumerate(raws))]
    for ours, theirs in zip(found, wanted[::2] + wanted, strict=True):
        if isinstance(theirs, Exception):
            assert kinds([ours]) == kinds([theirs])
            continue
        assert isinstance(ours, Reply)
        assert [(a.text, a.start, a.end) for a in ours.answers] == [(a.text, a.start, a.end) for a in theirs.answers]
        assert ours.score == pytest.approx(theirs.score, abs=1e-3)


def test_a_call_of_nothing_is_answered_at_once() -> None:
    service = Service()
    assert replies(service.submit([])) == []
    assert service.calls == 0


Panic = type("PanicException", (BaseException,), {})


def failing_task(place: str, error: BaseException) -> Any:
    from trifold_echo import EchoTask

    class Failing(EchoTask):
        def check(self, raw: Mapping[str, Any], limits: Any) -> str:
            if place == "check" and raw["text"] == "bad text":
                raise error
            return super().check(raw, limits)

        def encode(self, request: str) -> Encoded:
            if place == "encode" and request == "bad text":
                raise error
            return super().encode(request)

        def decode(self, request: str, memo: int, outputs: Any) -> str:
            if place == "decode" and request == "bad text":
                raise error
            return super().decode(request, memo, outputs)

    return Failing("echo@0")


@pytest.mark.parametrize("error", [RuntimeError("as asked"), InvalidInput("as asked"), Panic("as asked")])
@pytest.mark.parametrize("place", ["check", "encode", "decode"])
def test_an_error_stays_with_its_own_request(cores: Cores, place: str, error: BaseException) -> None:
    cores(1)
    session = Session()
    loaded = model(session, task=failing_task(place, error))
    service = Service()
    blocker = blocked(service, loaded, session)
    before, bad, after = (service.submit([ask(loaded, text)]) for text in ("before..", "bad text", "after..."))
    both = service.submit([ask(loaded, "bad text"), ask(loaded, "together")])
    session.release()
    assert replies(before, after, blocker) == ["before..", "after...", "blocker"]
    (failed,) = replies(bad)
    assert isinstance(failed, InvalidInput if isinstance(error, InvalidInput) else EngineError)
    assert "as asked" in str(failed)
    assert kinds(replies(both)) == [*kinds([failed]), "together"]
    assert_nothing_left(service)


def test_a_batch_that_fails_costs_only_the_units_that_fail_alone(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service()
    blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, text)]) for text in ("fine one", "a # is..", "fine two", "12345678more")]
    session.release()
    found = replies(*calls)
    assert (found[0], found[2], found[3]) == ("fine one", "fine two", "12345678more")
    assert isinstance(found[1], EngineError)
    assert_nothing_left(service)


def test_a_request_of_which_one_unit_fails_is_not_computed_further(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded = model(session)
    service = Service(budget=ONE)
    call = service.submit([ask(loaded, "12345678#2345678" + "more of it" * 20)])
    assert isinstance(replies(call)[0], EngineError)
    assert session.computed == ["12345678", "#2345678"]
    assert_nothing_left(service)


@pytest.mark.parametrize("fault", ["too few outputs", "no arrays", "units without a length", "exits"])
def test_a_model_that_breaks_its_contract_costs_an_error_not_the_service(cores: Cores, fault: str) -> None:
    """A plugin is somebody else's code: whatever it does, its callers hear of it and the others are served."""
    from trifold_echo import EchoTask

    cores(1)

    class Strange(EchoTask):
        def encode(self, request: str) -> Encoded:
            encoded = super().encode(request)
            if fault == "exits":
                raise SystemExit(1)
            if fault == "no arrays":
                return Encoded([Unit({}, 1)], 1)
            return Encoded(iter(encoded.units), 1) if fault == "units without a length" else encoded  # type: ignore[arg-type]

    session = Session()
    if fault == "too few outputs":
        session.run = lambda units: []  # type: ignore[method-assign]
    service = Service()
    strange = [service.submit([ask(model(session, "strange@0", Strange("strange@0")), "hello")]) for _ in range(3)]
    for call in strange:
        assert isinstance(call.future.result(2)[0].reply, EngineError)
    assert replies(service.submit([ask(model(Session()), "still here")])) == ["still here"]
    assert_nothing_left(service)


@pytest.mark.parametrize("word", ["prepared", "computed", "replied", "dropped"])
def test_a_meter_that_fails_costs_nobody_a_reply(cores: Cores, word: str) -> None:
    cores(1)
    notes = Notes()

    def fail(*args: Any) -> None:
        raise ValueError("the meter is broken")

    setattr(notes, word, fail)
    session = Session()
    loaded = model(session)
    service = Service(meter=notes, recent=1000)
    first = blocked(service, loaded, session, "first")
    late = service.submit([ask(loaded, "too late")], deadline=time.monotonic() + 0.01)
    time.sleep(0.02)
    session.release()
    assert first.future.result(2)[0].reply == "first"
    assert isinstance(late.future.result(2)[0].reply, DeadlineExceeded)
    assert replies(service.submit([ask(loaded, "third", key=True)])) == ["third"]
    assert replies(service.submit([ask(loaded, "third", key=True)])) == ["third"]
    assert_nothing_left(service)


# Batches


def test_an_idle_service_begins_at_once(cores: Cores) -> None:
    cores(1)
    loaded = model(Session())
    service = Service()
    seconds = []
    for number in range(30):
        began = time.perf_counter()
        replies(service.submit([ask(loaded, f"{number}")]))
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.01


def test_a_busy_service_computes_together_what_waits(cores: Cores) -> None:
    cores(1)
    session = Session()
    loaded, other = model(session), model(session, "other@0")
    service = Service()
    blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, f"call {i}")]) for i in range(5)]
    calls += [service.submit([ask(other, f"other{i}")]) for i in range(2)]
    calls += [service.submit([ask(loaded, "longer text")])]
    session.release()
    assert replies(*calls) == [*(f"call {i}" for i in range(5)), "other0", "other1", "longer text"]
    together = sorted([sorted(batch) for batch in session.batches])
    assert together == sorted(
        [["blocker"], [f"call {i}" for i in range(5)], ["other0", "other1"], ["longer t"], ["ext"]]
    )


def test_no_batch_is_over_the_budget(cores: Cores) -> None:
    cores(2)
    session = Session()
    loaded = model(session)
    service = Service(budget=Budget(20, 2, 0))
    asked = [text for text in texts(200) if isinstance(text, str)]
    calls = [service.submit([ask(loaded, text) for text in asked[i::20]]) for i in range(20)]
    calls.append(service.submit([ask(loaded, text, size=1000) for text in asked]))
    for call in calls:
        outcomes(call)
    lengths = [[len(text) for text in batch] for batch in session.batches]
    assert all(len(own) * max(own) <= 20 and max(own) - min(own) <= 2 for own in lengths)
    assert max(len(own) for own in lengths) > 1


# Fairness. A clock that only batches move makes the order certain.


def asking_on(service: Service, session: Session, loaded: Loaded, most: int) -> None:
    """A new short call after each batch, so that there is always one that waits; `most` in all."""
    left = iter(range(most))

    def more(texts: list[str]) -> None:
        if (number := next(left, None)) is not None:
            service.submit([ask(loaded, f"S{number:07}")])

    session.after = more


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


# Bounds


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


def known_pace(service: Service, *models: Loaded) -> None:
    for loaded in models:
        for i in range(3):
            replies(service.submit([ask(loaded, f"warmup {i}")]))


def test_a_call_that_would_be_begun_too_late_is_refused_at_once(cores: Cores, clock: Clock) -> None:
    cores(1)
    session = Session(clock, seconds=1.0)
    loaded = model(session)
    service = Service(budget=ONE)
    known_pace(service, loaded)
    blocked(service, loaded, session)
    calls = [service.submit([ask(loaded, f"q{i:07}" * 8)]) for i in range(10)]
    with pytest.raises(Overloaded, match="may not wait so long") as refused:
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
    known_pace(service, busy, idle)
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


# Deadlines


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


# Cancelling


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


# Equal requests, and recent ones


def sources(*calls: Call) -> list[str]:
    return [outcome.source for call in calls for outcome in outcomes(call)]


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
    assert len(session.computed) == 101


# Everything at once


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
                assert [one for one, own in zip(asked, found, strict=True) if not fits(one, own, hurried=hurried)] == []
    finally:
        sys.setswitchinterval(switching)
    assert_nothing_left(service)
    for caller in callers:
        assert len(caller.told) == len(set(caller.told)) == caller.count - len(caller.hints)
        assert all(1 <= hint < 60 for hint in caller.hints)
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


# The executor, and the end


@pytest.mark.parametrize("count", [1, 2])
def test_a_runner_advances_beside_a_busy_service_and_the_service_beside_a_runner(cores: Cores, count: int) -> None:
    cores(count)
    session = Session()
    loaded, other = model(session, "served@0"), model(Session(), "batch@0")
    service = Service(budget=ONE)
    stop = threading.Event()
    asking_on(service, session, loaded, 10**9)
    for i in range(2 * count):
        service.submit([ask(loaded, f"busy {i}")])
    rows = Runner(other, budget=Budget(8, 0, 64)).map((i, {"text": f"row {i:04}"}) for i in range(1000))
    for i in range(100):
        assert next(rows) == (i, f"row {i:04}")
    before = len(session.batches)
    assert replies(service.submit([ask(loaded, "in the middle")])) == ["in the middle"]
    for i in range(100, 200):
        assert next(rows) == (i, f"row {i:04}")
    assert len(session.batches) > before
    rows.close()
    stop.set()
    session.after = lambda texts: None
    assert until(lambda: service.calls == 0)
    assert_nothing_left(service)


WAITING = """
import sys, threading, time
from trifold.engine.calls import Asked
from trifold.engine.loaded import Loaded
from trifold.engine.service import Service
from trifold_echo import EchoTask

class Slow:
    def run(self, units):
        time.sleep(0.05)
        return [{"echoed": unit.arrays["codes"]} for unit in units]

loaded = Loaded("echo@0", EchoTask("echo@0"), Slow(), None, "echo")
service = Service()
calls = [service.submit([Asked(loaded, {"text": "x" * i}, i)]) for i in range(1, 30)]
if "waiter" in sys.argv:
    threading.Thread(target=calls[-1].future.exception).start()
print("the end")
"""


@pytest.mark.parametrize("waits", ["nobody", "waiter"])
def test_a_program_may_end_with_work_that_waits(tmp_path: Path, waits: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(WAITING)
    path = [str(ECHO), *sys.path]
    done = subprocess.run(
        [sys.executable, str(program), waits],
        capture_output=True,
        text=True,
        timeout=8,
        env={"PYTHONPATH": ":".join(filter(None, path))},
    )
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr


def test_the_meter_is_told_what_is_done(cores: Cores) -> None:
    cores(1)
    notes = Notes()
    service = Service(meter=notes)
    outcomes(service.submit([ask(model(Session()), "twelve chars")]))
    assert notes.told == [("prepared", 2), ("computed", 1, 8), ("computed", 1, 4), ("replied", "computed")]


def test_an_outcome_says_how_long_each_part_took(cores: Cores, clock: Clock) -> None:
    cores(1)
    from trifold_echo import EchoTask

    class Slow(EchoTask):
        def encode(self, request: str) -> Encoded:
            clock.now += 0.5
            return super().encode(request)

    session = Session(clock, seconds=2.0)
    loaded = model(session, task=Slow("echo@0"))
    service = Service()
    blocked(service, loaded, session)
    waits = service.submit([ask(loaded, "two that")]), service.submit([ask(loaded, "share it")])
    session.release()
    for call in waits:
        (outcome,) = outcomes(call)
        assert (outcome.preparing, outcome.computing) == (0.5, 1.0)
        assert outcome.waiting == pytest.approx(2.5)  # for the blocker, and for the other to be prepared
