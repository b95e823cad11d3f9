"""What is computed next, and together with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_doubles import MODEL, OTHER, fresh
from trifold.engine.loaded import Loaded
from trifold.engine.planner import Budget
from trifold.engine.schedule import Compute, Job, Prepare, Schedule, Step
from trifold.task import Unit

BUDGET = Budget(batch=100, padding=0, lookahead=0)


def unit(size: int) -> Unit:
    return Unit({"x": np.zeros(size, np.int64)}, size)


def prepare(job: Job, sizes: Sequence[int]) -> Job:
    job.prepared, job.units, job.left = True, [unit(size) for size in sizes], len(sizes)
    return job


def ready(call: Hashable, *sizes: int, long: bool = False, loaded: Loaded = MODEL) -> Job:
    return prepare(fresh(call, long=long, loaded=loaded), sizes)


def schedule(*jobs: Job, budget: Budget = BUDGET, heavy: int = 1) -> Schedule:
    made = Schedule(budget, heavy=heavy)
    for job in jobs:
        made.add(job)
    return made


def calls(step: Step | None) -> list[Hashable]:
    """The calls that a step computes for, unit by unit."""
    assert isinstance(step, Compute)
    return [job.call for job, _ in step.parts]


def served(made: Schedule, steps: int, seconds: float = 1.0) -> list[Job]:
    """Whose the first unit of each of the next steps is, where each takes so long."""
    first = []
    for _ in range(steps):
        step = made.take()
        assert isinstance(step, Compute)
        first.append(step.parts[0][0])
        made.done(step, seconds)
    return first


def test_units_of_one_length_go_together_whoever_asks() -> None:
    made = schedule(ready("a", 30), ready("b", 30), ready("c", 30), ready("d", 30))
    assert calls(made.take()) == ["a", "b", "c"]  # a fourth would be over the budget
    assert calls(made.take()) == ["d"]
    assert made.take() is None
    assert not made


def test_who_does_not_fit_into_a_batch_keeps_the_place() -> None:
    made = schedule(ready("a", 30), ready("b", 20), ready("c", 30), ready("d", 20), ready("e", 10))
    assert [calls(made.take()) for _ in range(3)] == [["a", "c"], ["b", "d"], ["e"]]


def test_a_unit_may_be_lengthened_to_share_a_batch_but_not_cut() -> None:
    made = schedule(ready("a", 30), ready("b", 25), ready("c", 24), ready("d", 31), budget=Budget(100, 5, 0))
    assert [calls(made.take()) for _ in range(3)] == [["a", "b"], ["c"], ["d"]]


def test_a_unit_over_the_budget_is_computed_alone() -> None:
    made = schedule(ready("a", 300), ready("b", 300), ready("c", 10))
    assert [calls(made.take()) for _ in range(3)] == [["a"], ["b"], ["c"]]


def test_a_filler_far_down_the_queue_is_not_looked_for() -> None:
    """What one step costs does not grow with the queue."""
    made = schedule(ready("a", 30), *(ready(i, 20) for i in range(500)), ready("z", 30))
    assert calls(made.take()) == ["a"]


def test_short_requests_are_prepared_before_others_are_computed_so_that_batches_fill() -> None:
    first = fresh("b")
    made = schedule(ready("a", 30), first, ready("c", 30))
    step = made.take()
    assert isinstance(step, Prepare)
    made.add(prepare(step.job, [30]))
    assert calls(made.take()) == ["a", "c", "b"]


def test_nothing_is_done_for_what_was_dropped() -> None:
    jobs = [ready("a", 30), fresh("b"), ready("c", 30), ready("d", *[100] * 5, long=True), fresh("e", long=True)]
    made = schedule(*jobs)
    for job in jobs:
        job.dropped = True
    assert made.take() is None
    assert not made


def test_long_calls_take_turns_batch_by_batch() -> None:
    made = schedule(ready("a", *[60] * 3, long=True), ready("b", *[60] * 3, long=True), ready("c", 60, long=True))
    assert [job.call for job in served(made, 7)] == ["a", "b", "c", "a", "b", "a", "b"]


def test_the_units_of_a_long_request_fill_batches() -> None:
    job = ready("a", *[30] * 7, long=True)
    made = schedule(job)
    steps = [made.take() for _ in range(3)]
    assert [[n for _, n in step.parts] for step in steps if isinstance(step, Compute)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_call_of_many_items_holds_one_prepared_request_at_a_time() -> None:
    made = schedule(*(fresh("a", long=True) for _ in range(5)))
    order = []
    while (step := made.take()) is not None:
        order.append(type(step))
        if isinstance(step, Prepare):
            made.add(prepare(step.job, [60, 60]))
        made.done(step, 1.0)
    assert order == [Prepare, Compute, Compute] * 5


@pytest.mark.parametrize("heavy", [1, 2])
def test_only_so_many_long_requests_are_prepared_at_once(heavy: int) -> None:
    made = schedule(*(fresh(i, long=True) for i in range(4)), heavy=heavy)
    steps = [made.take() for _ in range(4)]
    assert sum(isinstance(step, Prepare) for step in steps) == heavy
    assert steps[heavy:] == [None] * (4 - heavy)
    assert made  # the others wait
    assert isinstance(steps[0], Prepare)
    made.done(steps[0], 1.0)
    assert isinstance(made.take(), Prepare)
    assert made.take() is None


def test_short_requests_are_prepared_beside_a_long_one() -> None:
    made = schedule(fresh("long", long=True), fresh("other", long=True))
    assert isinstance(made.take(), Prepare)
    made.add(fresh("short"))
    step = made.take()
    assert isinstance(step, Prepare)
    assert step.job.call == "short"
    made.done(step, 1.0)
    assert made.take() is None  # a short one that is done does not make room for a long one


def test_short_work_gets_three_times_the_seconds_of_long_work() -> None:
    made = schedule(ready("long", *[100] * 100, long=True), *(ready(i, 100) for i in range(300)))
    assert Counter(job.long for job in served(made, 200)) == {False: 150, True: 50}


def test_the_share_is_of_seconds_not_of_steps() -> None:
    made = schedule(ready("long", *[100] * 100, long=True), *(ready(i, 100) for i in range(900)))
    had = Counter[bool]()
    while sum(had.values()) < 400:
        step = made.take()
        assert isinstance(step, Compute)
        long = step.parts[0][0].long
        seconds = 5.0 if long else 0.5
        had[long] += seconds  # type: ignore[assignment]
        made.done(step, seconds)
    assert 2.6 < had[False] / had[True] < 3.4


def test_short_work_alone_is_not_held_up_for_long_work_that_was_done_before() -> None:
    made = schedule(*(ready(i, 100) for i in range(50)))
    served(made, 50)
    made.add(ready("long", *[100] * 40, long=True))
    served(made, 20)
    for i in range(100):
        made.add(ready(i, 100))
    assert 12 <= Counter(job.long for job in served(made, 16))[False] <= 13


def test_models_share_the_seconds_equally_whoever_asks_more() -> None:
    made = schedule(*(ready(i, 100) for i in range(400)), ready("a", *[100] * 50, long=True, loaded=OTHER))
    had = Counter[str]()
    while sum(had.values()) < 100:
        step = made.take()
        assert isinstance(step, Compute)
        loaded = step.parts[0][0].loaded
        seconds = 4.0 if loaded is OTHER else 0.5
        had[loaded.version] += seconds  # type: ignore[assignment]
        made.done(step, seconds)
    assert abs(had["one@0"] - had["two@0"]) <= 4.0


def test_a_model_that_idled_has_no_claims() -> None:
    made = schedule(*(ready(i, 100) for i in range(200)))
    served(made, 100)
    for i in range(200):
        made.add(ready(i, 100, loaded=OTHER))
    assert Counter(job.loaded.version for job in served(made, 20)) == {"one@0": 10, "two@0": 10}


def test_a_model_that_asks_one_thing_at_a_time_gets_no_more_than_its_half() -> None:
    """Its queue is empty whenever its work is computed; what that took counts all the same."""
    made = schedule(*(ready(i, 100) for i in range(400)), ready("b", 100, loaded=OTHER))
    had = Counter[str]()
    while sum(had.values()) < 200:
        step = made.take()
        assert isinstance(step, Compute)
        loaded = step.parts[0][0].loaded
        seconds = 5.0 if loaded is OTHER else 1.0
        had[loaded.version] += seconds  # type: ignore[assignment]
        made.done(step, seconds)
        if loaded is OTHER:
            made.add(ready("b", 100, loaded=OTHER))
    assert 80 <= had["two@0"] <= 110


def test_models_that_are_both_asked_one_thing_at_a_time_get_equal_seconds() -> None:
    made = schedule(ready("a", 100), ready("b", 100, loaded=OTHER))
    had = Counter[str]()
    while sum(had.values()) < 200:
        step = made.take()
        assert isinstance(step, Compute)
        loaded = step.parts[0][0].loaded
        seconds = 5.0 if loaded is OTHER else 1.0
        had[loaded.version] += seconds  # type: ignore[assignment]
        made.done(step, seconds)
        made.add(ready("again", 100, loaded=loaded))
    assert 80 <= had["two@0"] <= 120


def test_models_do_not_share_batches() -> None:
    made = schedule(ready("a", 30), ready("b", 30, loaded=OTHER), ready("c", 30), ready("d", 30, loaded=OTHER))
    assert sorted(map(str, (calls(made.take()), calls(made.take())))) == ["['a', 'c']", "['b', 'd']"]


jobs = st.tuples(
    st.integers(0, 1),  # model
    st.integers(0, 3),  # call
    st.booleans(),  # long
    st.lists(st.integers(1, 60), min_size=1, max_size=6),  # lengths
    st.sampled_from([None, None, None, 0, 3]),  # dropped after so many steps
    st.integers(0, 6),  # arrives after so many steps
)


@given(st.lists(jobs, max_size=12), st.integers(1, 120), st.integers(0, 20), st.integers(1, 3))
def test_every_unit_is_handed_out_once_within_the_budget(rows: list[Any], most: int, padding: int, heavy: int) -> None:
    made = Schedule(Budget(most, padding, 0), heavy=heavy)
    all_jobs = [(fresh(call, long=long, loaded=(MODEL, OTHER)[m]), row) for row in rows for m, call, long, *_ in [row]]
    sizes = {id(job): row[3] for job, row in all_jobs}
    handed: list[tuple[int, int]] = []
    number = 0
    while number < 10 or made:
        for job, row in all_jobs:
            if row[5] == number:
                made.add(job)
            if row[4] is not None and row[4] + row[5] == number:
                job.dropped = True
        number += 1
        step = made.take()
        if isinstance(step, Prepare):
            assert not step.job.prepared
            made.add(prepare(step.job, sizes[id(step.job)]))
        elif step is not None:
            assert len({id(job.loaded) for job, _ in step.parts}) == 1
            assert not any(job.dropped for job, _ in step.parts)
            lengths = [unit.cost for unit in step.units]
            assert lengths[0] == max(lengths) <= min(lengths) + padding
            assert len(lengths) == 1 or len(lengths) * max(lengths) <= most
            handed += [(id(job), n) for job, n in step.parts]
        if step is not None:
            made.done(step, 0.25)
        assert number < 500
    assert len(handed) == len(set(handed))
    for job, row in all_jobs:
        own = sum(key == id(job) for key, _ in handed)
        assert own == len(row[3]) or (job.dropped and own < len(row[3]))
