"""Many callers at once: right answers, full batches, and errors that stay with their own request."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import service_doubles
from conftest import ECHO
from doubles import EXAMPLES
from service_doubles import (
    ONE,
    Clock,
    Cores,
    Notes,
    Session,
    ask,
    asking_on,
    assert_nothing_left,
    blocked,
    kinds,
    model,
    outcomes,
    replies,
    texts,
    until,
)
from trifold import Reply
from trifold.engine.calls import Asked
from trifold.engine.loaded import open_model
from trifold.engine.planner import Budget
from trifold.engine.runner import Runner
from trifold.engine.service import Service
from trifold.errors import DeadlineExceeded, EngineError, InvalidInput
from trifold.models.registry import find
from trifold.task import Encoded, Unit

pytestmark = pytest.mark.usefixtures("echo_plugin")
cores = pytest.fixture(service_doubles.many_cores)
clock = pytest.fixture(service_doubles.own_clock)


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


@pytest.mark.parametrize("fault", ["too few outputs", "no arrays", "no encoding", "exits"])
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
            return None if fault == "no encoding" else encoded  # type: ignore[return-value]

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
