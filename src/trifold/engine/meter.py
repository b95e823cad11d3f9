"""What a service tells of its work."""

from __future__ import annotations

from typing import Protocol

from trifold.engine.calls import Outcome
from trifold.engine.loaded import Loaded

__all__ = ["Meter", "Unmetered"]


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
