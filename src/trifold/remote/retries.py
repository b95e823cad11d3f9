"""When a request is sent again, and after how long."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from trifold.errors import InvalidInput

__all__ = ["Retries", "Tries", "retry_after"]

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is sent again that found no service or a full one.

    times: at most, beside the first try. first_wait, longest_wait: seconds. Before the n-th repetition passes a random
    time, evenly from 0 to first_wait * 2^(n - 1), at most longest_wait ("full jitter", M. Brooker, Exponential Backoff
    And Jitter, 2015). Where the service says how long to wait (`Retry-After`), that passes as well.

    Raises InvalidInput for negative values.
    """

    times: int = 5
    first_wait: float = 0.25
    longest_wait: float = 8.0

    def __post_init__(self) -> None:
        if isinstance(self.times, bool) or not isinstance(self.times, int) or self.times < 0:
            raise InvalidInput(f"retries: expected a whole number from 0, found {self.times!r}.", field="retries")
        for name, value in (("first_wait", self.first_wait), ("longest_wait", self.longest_wait)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InvalidInput(f"{name}: expected seconds from 0, found {value!r}.", field=name)

    def wait(self, repetition: int, chance: float) -> float:
        """Seconds before the repetition of that number, from 1. chance: from 0 to 1."""
        return chance * min(self.longest_wait, self.first_wait * 2.0 ** min(repetition - 1, _MOST_DOUBLINGS))


class Tries:
    """The tries of one call: how much time is left to it, and how many repetitions.

    timeout: seconds for all of them, waits included; None for as long as it takes.
    """

    def __init__(
        self,
        retries: Retries,
        timeout: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.timeout = timeout
        self.repeated = 0
        self._retries = retries
        self._clock, self._chance = clock, chance
        self._end = math.inf if timeout is None else clock() + timeout

    def left(self) -> float:
        """Seconds that are left, infinite without a timeout."""
        return self._end - self._clock()

    def again(self, least: float | None) -> float | None:
        """Seconds to wait before trying again; None when there is no repetition or no time left.

        least: seconds that the service asked to wait, where it did.
        """
        spare = self.left() - (least or 0.0)
        if spare <= 0 or self.repeated >= self._retries.times:
            return None
        self.repeated += 1
        # Half of what is left is kept for the try itself.
        return (least or 0.0) + min(self._retries.wait(self.repeated, self._chance()), spare / 2)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait, from its `Retry-After` (RFC 9110, 10.2.3); None where it says nothing.

    headers: with names in any case. A date counts from the `Date` of the reply, so that clocks may differ.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date", "")) or datetime.now(UTC))).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
