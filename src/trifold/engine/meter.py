"""What a service tells of its work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from trifold.engine.calls import Outcome
from trifold.engine.loaded import Loaded

__all__ = ["Careful", "Meter", "Unmetered"]

_log = logging.getLogger(__name__)


class Meter(Protocol):
    """Is told what the service does, on any thread. Seconds are of one core, but for waiting."""

    def prepared(self, loaded: Loaded, seconds: float, units: int) -> None: ...
    def computed(self, loaded: Loaded, seconds: float, units: int, cost: int) -> None: ...
    def replied(self, outcome: Outcome) -> None: ...
    def dropped(self, loaded: Loaded, reason: str) -> None: ...


class Unmetered:
    """For work that nobody measures."""

    def prepared(self, loaded: Loaded, seconds: float, units: int) -> None: ...
    def computed(self, loaded: Loaded, seconds: float, units: int, cost: int) -> None: ...
    def replied(self, outcome: Outcome) -> None: ...
    def dropped(self, loaded: Loaded, reason: str) -> None: ...


class Careful:
    """A meter whose own failures are logged, since they must cost nobody a reply."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def prepared(self, loaded: Loaded, seconds: float, units: int) -> None:
        with _logged():
            self._meter.prepared(loaded, seconds, units)

    def computed(self, loaded: Loaded, seconds: float, units: int, cost: int) -> None:
        with _logged():
            self._meter.computed(loaded, seconds, units, cost)

    def replied(self, outcome: Outcome) -> None:
        with _logged():
            self._meter.replied(outcome)

    def dropped(self, loaded: Loaded, reason: str) -> None:
        with _logged():
            self._meter.dropped(loaded, reason)


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception:
        _log.exception("a measurement failed")
