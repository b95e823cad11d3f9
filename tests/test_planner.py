from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trifold.engine.planner import Budget, plan
from trifold.task import Unit


def unit(size: int) -> Unit:
    return Unit({"x": np.zeros(size, np.int64)}, size)


@given(st.lists(st.integers(1, 400)), st.integers(1, 2000), st.integers(0, 50))
def test_every_unit_is_in_one_batch_within_the_budget(sizes: list[int], most: int, padding: int) -> None:
    units = [unit(size) for size in sizes]
    batches = plan(units, Budget(most, padding, 10**9))
    assert sorted(i for batch in batches for i in batch) == list(range(len(units)))
    for batch in batches:
        own = [sizes[i] for i in batch]
        assert max(own) - min(own) <= padding
        assert len(batch) == 1 or len(batch) * max(own) <= most


def test_longest_units_run_first() -> None:
    batches = plan([unit(n) for n in (5, 300, 20, 300)], Budget(1000, 0, 10**9))
    assert batches == [[1, 3], [2], [0]]
