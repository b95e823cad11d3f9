"""Where the corrections of all tasks are kept, and how the event loop gets at them without waiting for the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from trifold.correction import Correctable
from trifold.errors import DataError, InvalidInput, Overloaded, TrifoldError
from trifold.interfaces.http.replies import Refusal
from trifold.interfaces.http.settings import MB, Settings
from trifold.jobs.corrections import Corrections
from trifold.jobs.dataset import Full
from trifold.models.registry import home
from trifold.plugins import installed

__all__ = ["Keeping"]

_THREADS = 2
_MOST = 100
"""Requests that may wait for their turn."""

T = TypeVar("T")

_log = logging.getLogger("trifold.serve")


class Keeping:
    """The corrections of each task, in a file of their own. Nothing is touched on the disk before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self.tasks: Mapping[str, Corrections] = {}
        if settings.keep_corrections:
            folder, most = settings.corrections or home() / "corrections", int(settings.max_corrections_mb * MB)
            self.tasks = {
                name: Corrections(folder / f"{name}.json", plugin.corrections(), most)
                for name, plugin in installed().items()
                if isinstance(plugin, Correctable)
            }
        self._turn = asyncio.Semaphore(_THREADS)
        self._waiting = 0

    def of(self, task: object, usual: str | None) -> tuple[str, Corrections]:
        """The corrections of a task; for None of the usual one, or of the first where that has none.

        Raises InvalidInput for what is none of them.
        """
        if task is None:
            task = usual if usual in self.tasks else next(iter(self.tasks))
        if not isinstance(task, str) or task not in self.tasks:
            raise InvalidInput(f"task: expected one of {', '.join(self.tasks)}.", field="task")
        return task, self.tasks[task]

    async def run(self, work: Callable[[], T], *, paths: bool) -> T:
        """What a work on the files gives, done in a thread. paths: whether the asker may know where they lie.

        Raises Refusal for a data set that is full or damaged, Overloaded when too many wait, and what `work` raises.
        """
        if self._waiting >= _MOST:
            raise Overloaded("too many corrections are being written. Try again in a moment.", retry_after=1)
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        except Full as error:
            raise Refusal("too_large", self._told(error, paths)) from None
        except DataError as error:
            # What does not fit is told to who asks; the log never repeats a text.
            _log.error("a data set of corrections does not fit; GET /v1/corrections says where")
            raise Refusal("internal_error", self._told(error, paths)) from None
        finally:
            self._waiting -= 1

    def _told(self, error: TrifoldError, paths: bool) -> str:
        """The words of an error, without the places of files for those who may not know them."""
        text = str(error)
        for kept in () if paths else self.tasks.values():
            text = text.replace(str(kept.file.path), kept.file.path.name)
        return text
