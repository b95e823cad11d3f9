"""The threads that compute, shared by every loaded model of the process: one for each core."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from trifold.errors import UsageError

__all__ = ["executor", "threads"]


def threads() -> int:
    """How many sessions compute at once: `TRIFOLD_THREADS`, else the cores this process may use."""
    if chosen := os.environ.get("TRIFOLD_THREADS"):
        if not chosen.isdecimal() or not 1 <= int(chosen) <= 1024:
            raise UsageError(f"TRIFOLD_THREADS: expected a number from 1 to 1024, found {chosen!r}.")
        return int(chosen)
    if hasattr(os, "sched_getaffinity"):  # Linux; elsewhere the affinity cannot be asked for
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def executor() -> ThreadPoolExecutor:
    """The process's executor. A forked child gets its own, since threads do not survive a fork."""
    return _executor(os.getpid())


@cache
def _executor(process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix=f"trifold-{process}")
