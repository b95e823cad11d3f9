"""What processes and the whole machine have used so far, read from /proc (Linux).

Uses nothing but the standard library, since `load.py` runs in any environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["CORES", "cpu_seconds", "family", "machine_seconds", "rss_mb", "stolen_seconds", "wait_until_calm"]

CORES = os.cpu_count() or 1

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def family(pid: int) -> list[int]:
    """A process and all its descendants, as they are now."""
    parents = {int(p.name): int(fields[1]) for p in Path("/proc").glob("[0-9]*") if (fields := _stat(int(p.name)))}
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Processor seconds, in user and system mode, of processes; those that have ended count nothing."""
    return sum(int(fields[11]) + int(fields[12]) for pid in pids if (fields := _stat(pid))) / _TICKS


def rss_mb(pids: Sequence[int]) -> float:
    """Resident memory; pages that several of the processes share count several times."""
    return sum(int(fields[21]) for pid in pids if (fields := _stat(pid))) * _PAGE_MB


def machine_seconds() -> float:
    """Processor seconds that all processes together have used on all cores since the machine started."""
    user, nice, system, _, _, irq, softirq, *_ = _machine()
    return (user + nice + system + irq + softirq) / _TICKS


def stolen_seconds() -> float:
    """Processor seconds in which a virtual machine wanted to compute and its host computed for others."""
    return _machine()[7] / _TICKS


def wait_until_calm(share: float, seconds: float) -> None:
    """Wait until everything on the machine takes no more than this share of its cores for two seconds.

    Goes on after `seconds` in any case, and says so.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = machine_seconds() + stolen_seconds()
        time.sleep(2)
        if machine_seconds() + stolen_seconds() - before <= share * 2 * CORES:
            return
    print(f"The machine has been busy for {seconds:.0f} s; measured all the same.", flush=True)


def _machine() -> list[int]:
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
