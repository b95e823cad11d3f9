"""Shares time fairly between members that wait."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

__all__ = ["Turns"]

Member = TypeVar("Member", bound=Hashable)


class Turns(Generic[Member]):
    """Whose turn it is: whoever has had the least time for its weight.

    A member that has just begun to wait stands where the least served of the others stands, so that nobody gathers
    claims while it has nothing to do (start-time fair queueing, Goyal, Vin and Cheng 1996).
    """

    def __init__(self) -> None:
        self._had: dict[Member, float] = {}
        self._waiting: set[Member] = set()

    def enter(self, member: Member) -> None:
        """A member has begun to wait; nothing changes for one that waits already."""
        if member not in self._waiting:
            self._had[member] = max(self._had.get(member, 0.0), self._least())
            self._waiting.add(member)

    def leave(self, member: Member) -> None:
        """A member has nothing left to do. What it had is remembered for as long as it is more than others had."""
        self._waiting.discard(member)
        least = self._least()
        idle = [m for m in self._had if m not in self._waiting]
        for other in idle:
            if self._had[other] <= least or not self._waiting:
                del self._had[other]

    def order(self, among: Iterable[Member]) -> list[Member]:
        """The members among these that wait, the next one first; of equals the one named first."""
        return sorted((m for m in among if m in self._waiting), key=self._had.__getitem__)

    def charge(self, member: Member, seconds: float, weight: float = 1.0) -> None:
        """A member was served for so long; it may have left meanwhile."""
        if self._waiting:
            self._had[member] = self._had.get(member, self._least()) + seconds / weight

    def _least(self) -> float:
        return min((self._had[member] for member in self._waiting), default=0.0)
