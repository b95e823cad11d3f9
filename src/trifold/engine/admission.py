"""Whether a call may wait with the others, or is refused at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from trifold.engine.calls import SHORT, Asked, Bounds, Call
from trifold.engine.load import Load
from trifold.errors import Overloaded

__all__ = ["admit"]


def admit(call: Call, fresh: Sequence[Asked], now: float, *, calls: int, size: int, bounds: Bounds, load: Load) -> None:
    """fresh: what of the call is to be computed. now: on the clock of its deadline. calls, size: how many calls wait,
    and the bytes of their text.

    Raises Overloaded when no more may wait, or when the call would not be done before its deadline. A call alone is
    always admitted.
    """
    if not calls:
        return
    long = call.size > SHORT
    full = calls >= bounds.calls or size + call.size > bounds.size
    late = call.deadline is not None and now + _seconds(fresh, load, long=long) > call.deadline
    if full or late:
        seconds = load.wait(long=long)
        why = "no more may wait" if full else "this call would not be answered in its time"
        raise Overloaded(
            f"the queue is full: calls waiting {calls:,}, work for {max(seconds, 0.1):.1f} s; {why}. Try again later.",
            retry_after=max(1.0, seconds),
        )


def _seconds(fresh: Sequence[Asked], load: Load, *, long: bool) -> float:
    """Until all of it would be done, about."""
    costs: dict[str, int] = defaultdict(int)
    for one in fresh:
        costs[one.loaded.version] += load.estimate(one.loaded.version, one.size)
    return max(load.done(version, cost, long=long) for version, cost in costs.items())
