"""What is asked of the service at once, and what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from trifold.engine.loaded import Loaded

__all__ = ["SHORT", "Asked", "Bounds", "Call", "Flight", "Outcome", "Source"]

Source = Literal["computed", "shared", "recent"]
"""Where a reply comes from: computed for this request, for an equal one at the same time, or remembered."""


SHORT = 6_000
"""Bytes of a call's text that queue as short work: a few windows of tokens."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait or be worked on at once: calls, and bytes of their text. A call alone is never too large."""

    calls: int = 256
    size: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to one model.

    size: bytes of its text. key: equal for requests that have the same reply, or None where that is not known.
    """

    loaded: Loaded
    raw: Mapping[str, Any]
    size: int
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """reply: of the task, or the exception that stands for it. Seconds: on one core, but for `waiting`."""

    loaded: Loaded
    reply: Any
    source: Source
    preparing: float = 0.0
    waiting: float = 0.0
    computing: float = 0.0


class Call:
    """Requests that were asked together. `future` has their outcomes, in order.

    deadline: on the clock of `time.monotonic`; what is not computed by then is not computed any more.
    """

    def __init__(self, asked: Sequence[Asked], deadline: float | None) -> None:
        self.asked = asked
        self.deadline = deadline
        self.size = sum(one.size for one in asked)
        self.future: Future[list[Outcome]] = Future()
        self._outcomes: list[Outcome | None] = [None] * len(asked)
        self._left = len(asked)
        self._closed = False
        self._lock = threading.Lock()

    def settle(self, index: int, outcome: Outcome) -> bool:
        """Note an outcome; whether it was the last."""
        if self._outcomes[index] is not None:
            return False
        self._outcomes[index] = outcome
        self._left -= 1
        return not self._left

    def expired(self, now: float) -> bool:
        return self.deadline is not None and now >= self.deadline

    def publish(self) -> None:
        """Hand the outcomes to whoever waits for the future."""
        if self._close() and self.future.set_running_or_notify_cancel():
            self.future.set_result([outcome for outcome in self._outcomes if outcome is not None])

    def abandon(self) -> None:
        """Tell whoever waits for the future that nothing will come."""
        if self._close() and self.future.cancel():
            self.future.set_running_or_notify_cancel()

    def _close(self) -> bool:
        """Whether nothing was said of the future before."""
        with self._lock:
            closed, self._closed = self._closed, True
        return not closed


@dataclass(slots=True)
class Flight:
    """Who waits for a job: size in bytes of its text, key under which others join it."""

    size: int
    key: tuple[str, bytes] | None
    waiters: list[tuple[Call, int]] = field(default_factory=list)
