from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles import echo_folder
from trifold.engine.loaded import Loaded, open_model
from trifold.engine.planner import Budget
from trifold.engine.runner import Runner
from trifold.errors import EngineError, InvalidInput
from trifold.task import Unit

pytestmark = pytest.mark.usefixtures("echo_plugin")


@pytest.fixture
def loaded(tmp_path: Path, echo_plugin: None) -> Loaded:
    return open_model(echo_folder(tmp_path / "echo@0"))


def texts(count: int) -> list[str]:
    chance = random.Random(0)
    return ["".join(chance.choices("abcdefgh", k=chance.randrange(60))) for _ in range(count)]


@pytest.mark.parametrize("budget", [Budget(1, 0, 1), Budget(64, 3, 200), Budget(4096, 100, 10**6)])
def test_replies_come_in_order_whatever_the_budget(loaded: Loaded, budget: Budget) -> None:
    asked = texts(300)
    replies = list(Runner(loaded, budget=budget).map((i, {"text": t}) for i, t in enumerate(asked)))
    assert replies == list(enumerate(asked))


def test_an_error_belongs_to_its_own_item(loaded: Loaded) -> None:
    asked: list[Any] = [*texts(20), None, "encode fails", "decode fails", "after"]
    replies = [reply for _, reply in Runner(loaded).map((i, {"text": t}) for i, t in enumerate(asked))]
    assert replies[:20] == asked[:20]
    assert replies[23] == "after"
    assert isinstance(replies[20], InvalidInput)
    assert isinstance(replies[21], EngineError)
    assert isinstance(replies[22], EngineError)


def test_a_panic_of_the_tokenizer_belongs_to_its_own_item(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})
    encode = loaded.task.encode

    def panicking(request: str) -> Any:
        if request == "panic":
            raise panic("index out of bounds")
        return encode(request)

    monkeypatch.setattr(loaded.task, "encode", panicking)
    replies = [r for _, r in Runner(loaded).map((i, {"text": t}) for i, t in enumerate(["a", "panic", "b"]))]
    assert (replies[0], replies[2]) == ("a", "b")
    assert isinstance(replies[1], EngineError)


def test_a_batch_that_fails_is_tried_unit_by_unit(loaded: Loaded) -> None:
    class Fragile:
        def run(self, units: list[Unit]) -> list[Any]:
            if any(ord("x") in unit.arrays["codes"] for unit in units):
                raise EngineError("cannot compute an x")
            return [{"echoed": unit.arrays["codes"]} for unit in units]

    asked = ["abc", "dxf", "ghi"]
    fragile = replace(loaded, session=Fragile())  # type: ignore[arg-type]
    replies = [reply for _, reply in Runner(fragile).map((i, {"text": t}) for i, t in enumerate(asked))]
    assert (replies[0], replies[2]) == ("abc", "ghi")
    assert isinstance(replies[1], EngineError)


def test_the_source_is_read_only_a_little_ahead(loaded: Loaded) -> None:
    read = 0

    def source() -> Iterator[tuple[int, dict[str, str]]]:
        nonlocal read
        while True:
            read += 1
            yield read, {"text": "ten chars."}

    replies = Runner(loaded, budget=Budget(20, 0, 100)).map(source())
    for _ in range(50):
        next(replies)
    assert read <= 50 + 2 * 10
    replies.close()


def test_a_request_without_units_is_answered(loaded: Loaded) -> None:
    assert list(Runner(loaded).map([("only", {"text": ""})])) == [("only", "")]


def test_nothing_in_gives_nothing_out(loaded: Loaded) -> None:
    assert list(Runner(loaded).map([])) == []


def test_what_came_before_a_failure_of_the_source_is_answered(loaded: Loaded) -> None:
    def source() -> Iterator[tuple[int, dict[str, str]]]:
        for i in range(5):
            yield i, {"text": f"row {i}"}
        raise OSError("the disk is gone")

    replies = Runner(loaded).map(source())
    assert [next(replies) for _ in range(5)] == [(i, f"row {i}") for i in range(5)]
    with pytest.raises(OSError, match="the disk is gone"):
        next(replies)


def test_leaving_early_drops_what_has_not_started(loaded: Loaded) -> None:
    computed = 0

    class Slow:
        def run(self, units: list[Unit]) -> list[Any]:
            nonlocal computed
            computed += len(units)
            time.sleep(0.002)
            return [{"echoed": unit.arrays["codes"]} for unit in units]

    slow = replace(loaded, session=Slow())  # type: ignore[arg-type]
    replies = Runner(slow, budget=Budget(1, 0, 8 * 400)).map((i, {"text": "8 chars."}) for i in range(10_000))
    next(replies)
    replies.close()
    time.sleep(0.05)
    stopped_at = computed
    time.sleep(0.1)
    assert computed == stopped_at < 800


def test_progress_is_told(loaded: Loaded) -> None:
    told: list[tuple[int, int]] = []
    runner = Runner(loaded, budget=Budget(8, 0, 10**6))
    list(runner.map([(0, {"text": "x" * 80})], computed=lambda done, total: told.append((done, total))))
    assert told[-1] == (10, 10)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
