"""Memory that stays with the process while it trains."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_memory"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MOST = 2**31 - 1


def keep_memory() -> None:
    """Let glibc keep what tensors free for the tensors of the next step; elsewhere nothing happens.

    Without, every step hands its activations back to the system and asks for them anew, page by page: half of a step
    was the kernel's time. What is kept is bounded by the largest step.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    for name, value in ((_MMAP_THRESHOLD, _MOST), (_TRIM_THRESHOLD, _MOST), (_TOP_PAD, 1 << 26)):
        mallopt(name, value)
