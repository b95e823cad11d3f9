"""Shares time fairly between members that wait."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

__all__ = ["Turns"]

Member = TypeVar("Member", bound=Hashable)


class Turns(Generic[Member]):
    """Whose turn it is: whoever has had the least time for its weight.

    A member that begins to wait stands where the last one that was served stood when its turn came, or where its own
    service has brought it, whichever is later. So nobody gathers claims while it has nothing to do, and nobody loses
    the count of what it had by asking for one thing at a time (start-time fair queueing, Goyal, Vin and Cheng 1996;
    with several servers as SFQ(D), Jin, Chase and Kaur 2004).
    """

    def __init__(self) -> None:
        self._had: dict[Member, float] = {}
        self._waiting: set[Member] = set()
        self._served: list[Member] = []
        self._now = 0.0

    def enter(self, member: Member) -> None:
        """A member has begun to wait; nothing changes for one that waits already."""
        if member not in self._waiting:
            self._had[member] = max(self._had.get(member, 0.0), self._now)
            self._waiting.add(member)

    def leave(self, member: Member) -> None:
        """A member has nothing left that waits."""
        self._waiting.discard(member)
        self._forget()

    def order(self, among: Iterable[Member]) -> list[Member]:
        """The members among these that wait, the next one first; of equals the one named first."""
        return sorted((m for m in among if m in self._waiting), key=self._had.__getitem__)

    def serve(self, member: Member) -> None:
        """It is a waiting member's turn; `charge` must follow. It may be served several times at once."""
        self._now = max(self._now, self._had[member])
        self._served.append(member)

    def charge(self, member: Member, seconds: float, weight: float = 1.0) -> None:
        """A member was served for so long; it may have left meanwhile."""
        self._served.remove(member)
        self._had[member] += seconds / weight
        self._forget()

    def idle(self) -> bool:
        """Whether nobody waits or is served."""
        return not self._waiting and not self._served

    def _forget(self) -> None:
        """Let go of what makes no difference any more."""
        if self.idle():
            self._had.clear()
            self._now = 0.0
            return
        for member in [m for m, had in self._had.items() if had <= self._now]:
            if member not in self._waiting and member not in self._served:
                del self._had[member]
