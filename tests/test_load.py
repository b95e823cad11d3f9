"""How long waiting work will take."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from jobs_doubles import MODEL, OTHER, fresh
from trifold.engine.load import Load
from trifold.engine.loaded import Loaded


def test_the_wait_follows_the_work_and_the_pace() -> None:
    load = Load(2)
    assert load.wait(long=False) == load.wait(long=True) == 0
    load.took(MODEL.version, 100, 2.0)
    job = fresh("a")
    load.add(job)
    load.prepared(job, 1000, 4000)
    assert load.wait(long=False) == pytest.approx(10.0)  # 1000 at 0.02 s each, on two cores
    load.computed(job, 600)
    assert load.wait(long=False) == pytest.approx(4.0)
    load.drop(job)
    assert load.wait(long=False) == load.wait(long=True) == 0


def test_what_is_dropped_before_it_is_prepared_is_owed_no_more() -> None:
    load = Load(1)
    job = fresh("a", long=True)
    job.owed = load.estimate(MODEL.version, 10_000)
    load.add(job)
    assert load.wait(long=True) > 0
    load.drop(job)
    load.drop(job)
    assert load.wait(long=True) == 0


def test_short_work_waits_little_for_long_work() -> None:
    load = Load(1)
    load.took(MODEL.version, 1, 1.0)
    short, long = fresh("a"), fresh("b", long=True)
    short.owed, long.owed = 3, 100
    load.add(short)
    load.add(long)
    assert load.wait(long=False) == pytest.approx(4.0)  # of four seconds, it gets three
    load.drop(long)
    assert load.wait(long=False) == pytest.approx(3.0)  # nobody to share with


def owing(load: Load, call: Hashable, cost: int, *, long: bool = False, loaded: Loaded = MODEL) -> None:
    job = fresh(call, long=long, loaded=loaded)
    job.owed = cost
    load.add(job)


def test_a_long_call_is_done_when_each_other_has_had_as_much_or_all_it_wants() -> None:
    load = Load(1)
    load.took(MODEL.version, 1, 1.0)
    assert load.done(MODEL.version, 100, long=True) == pytest.approx(125)  # a quarter more than it takes alone
    owing(load, "large", 1000, long=True)
    owing(load, "small", 10, long=True)
    assert load.done(MODEL.version, 100, long=True) == pytest.approx(1.25 * (100 + 100 + 10))
    owing(load, "short", 50)
    assert load.done(MODEL.version, 100, long=True) == pytest.approx(1.25 * (100 + 100 + 10 + 50))
    owing(load, "more", 100_000)
    assert load.done(MODEL.version, 100, long=True) == pytest.approx(1.25 * 4 * (100 + 100 + 10))


def test_a_short_call_is_done_after_the_short_work_before_it() -> None:
    load = Load(2)
    load.took(MODEL.version, 1, 1.0)
    load.took(OTHER.version, 1, 1.0)
    owing(load, "short", 30)
    assert load.done(MODEL.version, 1, long=False) == pytest.approx(1.25 * (15 + 1))
    owing(load, "long", 1000, long=True)
    assert load.done(MODEL.version, 1, long=False) == pytest.approx(1.25 * (15 * 4 / 3 + 1))
    owing(load, "other", 1000, loaded=OTHER)
    assert load.done(MODEL.version, 1, long=False) == pytest.approx(1.25 * 2 * (15 * 4 / 3 + 1))
    assert load.done(OTHER.version, 1, long=False) > 600


def test_the_estimate_learns_from_what_was_prepared() -> None:
    load = Load(1)
    assert load.estimate(MODEL.version, 1000) >= 1
    for _ in range(3):
        job = fresh("a")
        load.add(job)
        load.prepared(job, 500, 1000)
        load.drop(job)
    assert load.estimate(MODEL.version, 1000) == pytest.approx(500, abs=2)
    assert load.estimate(OTHER.version, 0) >= 1
    for _ in range(200):
        job = fresh("a")
        load.add(job)
        load.prepared(job, 100, 1000)
        load.drop(job)
    assert load.estimate(MODEL.version, 1000) == pytest.approx(100, abs=5)


def test_the_pace_follows_a_change_but_not_a_hiccup() -> None:
    load = Load(1)
    job = fresh("a")
    job.owed = 1000
    load.add(job)
    for _ in range(100):
        load.took(MODEL.version, 100, 0.1)
    load.took(MODEL.version, 100, 1.0)
    assert load.wait(long=False) < 2.0
    for _ in range(100):
        load.took(MODEL.version, 100, 0.4)
    assert load.wait(long=False) == pytest.approx(4.0, rel=0.1)


def test_each_model_has_its_own_pace() -> None:
    load = Load(1)
    load.took(MODEL.version, 100, 1.0)
    load.took(OTHER.version, 100, 10.0)
    one, two = fresh("a"), fresh("b", loaded=OTHER)
    one.owed = two.owed = 100
    load.add(one)
    assert load.wait(long=True) == pytest.approx(1.0)
    load.add(two)
    assert load.wait(long=True) == pytest.approx(11.0)


def test_small_batches_do_not_spoil_the_estimate_of_full_ones() -> None:
    """A batch costs something however small it is, so a pace counts by the work, not by the batch."""
    load = Load(1)
    for number in range(1000):
        load.took(MODEL.version, *((20, 0.05) if number % 10 else (1000, 0.2)))
    job = fresh("a")
    job.owed = 10_000
    load.add(job)
    mean = (9 * 0.05 + 0.2) / (9 * 20 + 1000)
    assert load.wait(long=False) == pytest.approx(10_000 * mean, rel=0.5)
