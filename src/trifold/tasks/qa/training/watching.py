"""Who is told how a training goes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from trifold.task import Progress
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.training.loop import Epoch

__all__ = ["Watcher"]


class Watcher(Protocol):
    """Told what goes on, in its order."""

    def warn(self, text: str) -> None:
        """Something that a user should know before trusting the result."""

    def settle(self, settings: TrainingSettings, windows: int, replayed: int) -> None:
        """What was chosen, and how many windows of the domain and of general data there are; training begins."""

    def stage(self, label: str) -> AbstractContextManager[Progress]:
        """A stretch of work begins."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch ended; 0 is the state before the first."""
