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

    def enter(self, member: Member) -> None:
        """A member has begun to wait; nothing changes for one that waits already."""
        if member not in self._had:
            self._had[member] = min(self._had.values(), default=0.0)

    def leave(self, member: Member) -> None:
        """A member has nothing left to do."""
        self._had.pop(member, None)

    def order(self, among: Iterable[Member]) -> list[Member]:
        """The members among these that wait, the next one first; of equals the one named first."""
        return sorted((m for m in among if m in self._had), key=self._had.__getitem__)

    def charge(self, member: Member, seconds: float, weight: float = 1.0) -> None:
        """A member was served for so long."""
        if member in self._had:
            self._had[member] += seconds / weight
