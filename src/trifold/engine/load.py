"""How long the waiting work will take, from how long work took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from trifold.engine.schedule import SHORT_SHARE, Job

__all__ = ["Load"]

_MEMORY = 0.05
"""Weight of the newest observation."""
_SECONDS_PER_COST = 1e-4
_COST_PER_BYTE = 0.25
_MARGIN = 1.25
"""By how much an estimate may be wrong where a promise depends on it."""


class Load:
    """The work that is owed, by model and size, and the speed at which it is done. One thread at a time."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._owed: dict[tuple[str, bool], int] = defaultdict(int)
        self._long: dict[tuple[str, Hashable], int] = defaultdict(int)
        self._pace: dict[str, float] = {}
        self._took: dict[str, tuple[float, float]] = {}
        self._density: dict[str, float] = {}

    def estimate(self, version: str, size: int) -> int:
        """The cost of a request of so many bytes that was not prepared yet."""
        return 1 + int(size * self._density.get(version, _COST_PER_BYTE))

    def add(self, job: Job) -> None:
        self._owe(job, job.owed)

    def prepared(self, job: Job, cost: int, size: int) -> None:
        """A job's cost has become known."""
        version = job.loaded.version
        self._owe(job, cost - job.owed)
        job.owed = cost
        if size:
            self._density[version] = _blend(self._density.get(version), cost / size)

    def computed(self, job: Job, cost: int) -> None:
        self._owe(job, -cost)
        job.owed -= cost

    def took(self, version: str, cost: int, seconds: float) -> None:
        """Work of this cost took so long on one core."""
        if cost:
            past, done = self._took.get(version, (0.0, 0.0))
            self._took[version] = past, done = past * (1 - _MEMORY) + seconds, done * (1 - _MEMORY) + cost
            self._pace[version] = past / done  # so that small batches weigh little

    def drop(self, job: Job) -> None:
        """What is left of a job will not be computed."""
        self.computed(job, job.owed)

    def wait(self, *, long: bool) -> float:
        """Seconds until work that comes now is begun, about."""
        short = self._seconds(False)
        everything = short + self._seconds(True)
        return everything if long else min(everything, short * (SHORT_SHARE + 1) / SHORT_SHARE)

    def done(self, version: str, cost: int, *, long: bool) -> float:
        """Seconds until work of this cost that comes now is done, at the worst.

        Models share the time, short work has most of it, and long calls take turns: before one is done, each of the
        others has had as much as it, or all that it wants.
        """
        models = {other for (other, _), owed in self._owed.items() if owed > 0} | {version}
        short, everything = self._owed[version, False], self._seconds(False) + self._seconds(True)
        pace = self._pace.get(version, _SECONDS_PER_COST)
        if long:
            turns = sum(min(owed, cost) for (other, _), owed in self._long.items() if other == version)
            mine, share = turns + cost, 1 / (SHORT_SHARE + 1)
            seconds = min(mine / share, mine + short) * pace / self._cores
        else:
            seconds = short * pace / self._cores * (SHORT_SHARE + 1) / SHORT_SHARE + cost * pace
        return _MARGIN * min(everything + cost * pace / (self._cores if long else 1), seconds * len(models))

    def _owe(self, job: Job, cost: int) -> None:
        self._owed[job.loaded.version, job.long] += cost
        if job.long:
            key = (job.loaded.version, job.call)
            self._long[key] += cost
            if not self._long[key]:
                del self._long[key]

    def _seconds(self, long: bool) -> float:
        owed = [(version, cost) for (version, size), cost in self._owed.items() if size is long]
        return sum(cost * self._pace.get(version, _SECONDS_PER_COST) for version, cost in owed) / self._cores


def _blend(old: float | None, new: float) -> float:
    return new if old is None else old + _MEMORY * (new - old)
