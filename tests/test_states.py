"""What the first stage made of prefixes is computed once, shared, and bounded in bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trifold.engine import states as module
from trifold.engine.graph import Named
from trifold.engine.states import States, states
from trifold.errors import UsageError


def made(size: int = 100) -> Named:
    return {"states": np.zeros((1, size), np.int8)}


def test_what_was_made_is_not_made_again() -> None:
    kept = States(10_000)
    first = kept.get("a", made)
    assert kept.get("a", lambda: pytest.fail("computed twice")) is first
    assert (kept.hits, kept.misses) == (1, 1)


def test_bytes_are_bounded_and_what_was_used_least_goes() -> None:
    kept = States(5_000)
    for key in ("a", "b", "c"):
        kept.get(key, lambda: made(1_000))
    kept.get("a", lambda: pytest.fail("a was dropped"))
    kept.get("d", lambda: made(1_000))
    assert kept.size <= 5_000
    kept.get("a", lambda: pytest.fail("a was dropped, though it was used last"))
    before = kept.misses
    kept.get("b", made)
    assert kept.misses == before + 1


def test_without_room_nothing_is_kept() -> None:
    kept = States(0)
    for _ in range(2):
        kept.get("a", made)
    assert kept.misses == 2
    assert kept.size == 0


def test_threads_that_want_the_same_at_once_share_one_computation() -> None:
    kept = States(10_000)
    began, go = threading.Event(), threading.Event()
    calls = []

    def slow() -> Named:
        calls.append(threading.get_ident())
        began.set()
        assert go.wait(20)
        return made()

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(kept.get, "a", slow)
        assert began.wait(20)
        others = [pool.submit(kept.get, "a", slow) for _ in range(3)]
        other = kept.get("b", made)  # another key waits for nobody
        go.set()
        found = [future.result(20) for future in (first, *others)]
    assert len(calls) == 1
    assert all(states is found[0] for states in found)
    assert other is not found[0]


def test_a_failure_is_the_failing_thread_s_own() -> None:
    kept = States(10_000)
    began, go = threading.Event(), threading.Event()

    def failing() -> Named:
        began.set()
        assert go.wait(20)
        raise MemoryError("no room")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "a", failing)
        assert began.wait(20)
        second = pool.submit(kept.get, "a", made)
        go.set()
        with pytest.raises(MemoryError):
            first.result(20)
        assert second.result(20)["states"].shape == (1, 100)
    kept.get("a", made)
    assert kept.get("a", lambda: pytest.fail("not kept after a failure")) is not None


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    module._states.cache_clear()
    yield monkeypatch
    module._states.cache_clear()


def test_the_room_is_a_setting(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("TRIFOLD_STATES_MB", "0")
    states().get("a", made)
    assert states().size == 0


@pytest.mark.parametrize("value", ["-1", "much", "1.5", "9999999"])
def test_a_room_that_cannot_be_is_refused(fresh: pytest.MonkeyPatch, value: str) -> None:
    fresh.setenv("TRIFOLD_STATES_MB", value)
    with pytest.raises(UsageError, match=r"TRIFOLD_STATES_MB: expected a number from 0 to 1,000,000"):
        states()
