"""What is remembered, and how large it is thought to be."""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifold.engine.recent import Recent, footprint
from trifold.tasks.qa.records import Answer, Reply


def test_what_was_kept_comes_back() -> None:
    recent: Recent[str, str] = Recent(100)
    recent.put("a", "first", 40)
    recent.put("b", "second", 40)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == ("first", "second", None)
    assert (len(recent), recent.size) == (2, 80)


def test_what_was_used_least_recently_goes_first() -> None:
    recent: Recent[str, str] = Recent(100)
    for key in "abc":
        recent.put(key, key, 30)
    recent.get("a")
    recent.put("d", "d", 30)
    assert [recent.get(key) for key in "abcd"] == ["a", None, "c", "d"]


def test_with_no_room_nothing_is_kept() -> None:
    recent: Recent[str, str] = Recent(0)
    recent.put("a", "a", 0)
    assert (recent.get("a"), len(recent), recent.size) == (None, 0, 0)


def test_the_last_value_is_kept_however_large_and_goes_with_the_next() -> None:
    recent: Recent[str, str] = Recent(100)
    recent.put("small", "small", 10)
    recent.put("huge", "huge", 1000)
    assert (recent.get("small"), recent.get("huge")) == (None, "huge")
    recent.put("next", "next", 10)
    assert (recent.get("huge"), recent.get("next"), recent.size) == (None, "next", 10)


def test_a_key_is_counted_once() -> None:
    recent: Recent[str, str] = Recent(100)
    for _ in range(5):
        recent.put("a", "a", 30)
    assert (len(recent), recent.size) == (1, 30)


@given(st.integers(1, 60), st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 30)), max_size=60))
def test_it_holds_what_fits_of_the_latest(room: int, steps: list[tuple[bool, int, int]]) -> None:
    recent: Recent[int, tuple[int, int]] = Recent(room)
    model: OrderedDict[int, tuple[int, int]] = OrderedDict()
    for number, (put, key, size) in enumerate(steps):
        if put:
            recent.put(key, (number, size), size)
            model.setdefault(key, (number, size))
            while sum(size for _, size in model.values()) > room and len(model) > 1:
                model.popitem(last=False)
        else:
            assert recent.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert (len(recent), recent.size) == (len(model), sum(size for _, size in model.values()))


def test_many_threads_may_use_it_at_once() -> None:
    recent: Recent[int, int] = Recent(500)

    def use(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(2000):
            key = chance.randrange(100)
            if chance.random() < 0.5:
                recent.put(key, key, 1 + key)
            else:
                assert recent.get(key) in (None, key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    kept = [key for key in range(100) if recent.get(key) is not None]
    assert recent.size == sum(1 + key for key in kept) <= 500
    assert len(recent) == len(kept) > 0


def reply(number: int) -> Reply:
    answers = tuple(Answer(f"answer {number} {i} " + "x" * 40, i, i + 50, 0.5 + i, 0) for i in range(5))
    return Reply(f"question {number}?", answers, 0.25 + number, "tiny@0", ())


def test_the_footprint_of_replies_is_about_what_they_take() -> None:
    tracemalloc.start()
    try:
        kept = [reply(number) for number in range(500)]
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # What several replies share (the model's name, small numbers) is counted for each.
    assert 0.8 * taken < sum(footprint(one) for one in kept) < 1.6 * taken


@pytest.mark.parametrize("wrap", [lambda text: [text], lambda text: (text, 1), lambda text: {"key": [text]}])
def test_the_footprint_counts_what_is_inside(wrap: Any) -> None:
    assert footprint(wrap("x" * 10_000)) - footprint(wrap("")) == 10_000


def test_the_footprint_of_a_text_in_another_script_counts_its_bytes() -> None:
    assert footprint("語" * 1000) == sys.getsizeof("語" * 1000) > 2000
