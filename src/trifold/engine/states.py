"""What the first stage of a model made of prefixes, remembered by its most recent uses, up to a number of bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import cache

from trifold.engine.graph import Named
from trifold.engine.recent import Recent
from trifold.errors import UsageError

__all__ = ["States", "states"]

_DEFAULT_MB, _MOST_MB = 128, 1_000_000
_OVERHEAD = 500
"""Bytes of the objects around a prefix's arrays."""


class States:
    """The states of prefixes, each computed once even where several threads want it at the same time. Thread-safe.

    What is given away stays valid after it was dropped from here.
    """

    def __init__(self, room: int) -> None:
        """room: in bytes; with 0 nothing is kept, and what two threads want at the same time is still shared."""
        self.keeps = room > 0
        self._recent: Recent[Hashable, Named] = Recent(room)
        self._computing: dict[Hashable, Future[Named]] = {}
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    @property
    def size(self) -> int:
        """Bytes of what is kept."""
        return self._recent.size

    def get(self, key: Hashable, compute: Callable[[], Named]) -> Named:
        """The states under that key, computed by the first caller; others who ask meanwhile wait for it.

        Raises what `compute` raises. Another thread's failure is not shared: the caller then computes itself.
        """
        with self._lock:
            found = self._recent.get(key)
            if found is not None:
                self.hits += 1
                return found
            pending = self._computing.get(key)
            if pending is None:
                own: Future[Named] = Future()
                self._computing[key] = own
                self.misses += 1
        if pending is not None:
            if pending.exception() is None:
                self.hits += 1
                return pending.result()
            return compute()
        try:
            made = compute()
        except BaseException as error:
            with self._lock:
                del self._computing[key]
            own.set_exception(error)
            raise
        with self._lock:
            self._recent.put(key, made, _OVERHEAD + sum(array.nbytes for array in made.values()))
            del self._computing[key]
        own.set_result(made)
        return made


def states() -> States:
    """Those of this process, of all its models. A forked child begins with none, since another thread may hold them."""
    return _states(os.getpid())


@cache
def _states(_process: int) -> States:
    return States(_room())


def _room() -> int:
    """Bytes for states: `TRIFOLD_STATES_MB`, else 128 MB. Raises UsageError."""
    chosen = os.environ.get("TRIFOLD_STATES_MB")
    if not chosen:
        return _DEFAULT_MB * 1_000_000
    if not chosen.isdecimal() or int(chosen) > _MOST_MB:
        raise UsageError(f"TRIFOLD_STATES_MB: expected a number from 0 to {_MOST_MB:,}, found {chosen!r}.")
    return int(chosen) * 1_000_000
