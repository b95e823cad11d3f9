"""Shows a batch job as it goes on: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from trifold.interfaces.console import clock_time
from trifold.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["BatchWatcher"]

_LOG_EVERY = 10.0
_DRAW_EVERY = 0.1


class BatchWatcher:
    """Implements `jobs.order.Watcher`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._total: int | None = None
        self._resumed = 0
        self._began = self._last = time.monotonic()

    def __enter__(self) -> BatchWatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def stage(self, label: str) -> None:
        self.close()
        if self._console.is_terminal:
            self._console.print(f"[dim]{label}[/dim]")

    def begin(self, total: int | None, resumed: int) -> None:
        self._total, self._resumed = total, resumed
        self._began = self._last = time.monotonic()
        if resumed:
            self._console.print(f"{resumed:,} rows were answered before; going on.")
        if self._console.is_terminal:
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("batch", total=total, completed=resumed, speed="", errors="")
            self._bar.start()

    def advance(self, rows: int, errors: int) -> None:
        now = time.monotonic()
        if now - self._last < (_DRAW_EVERY if self._bar else _LOG_EVERY) or rows <= self._resumed:
            return
        self._last = now
        speed = (rows - self._resumed) / (now - self._began)
        if self._bar is not None and self._task is not None:
            shown = f"[red]{errors:,} errors[/red]" if errors else ""
            self._bar.update(self._task, completed=rows, speed=f"{speed:,.0f} rows/s", errors=shown)
            return
        total, left = "", ""
        if self._total is not None:
            total, left = f" of {self._total:,}", f" · {clock_time((self._total - rows) / speed)} left"
        self._console.print(
            f"batch: {rows:,}{total} rows · {speed:,.0f} rows/s{left} · {errors:,} errors", soft_wrap=True
        )

    def warn(self, text: str) -> None:
        self._console.print("[yellow]Warning:[/yellow] ", end="")
        self._console.print(printable(text), markup=False, soft_wrap=True)

    def failed(self, error: Mapping[str, Any]) -> None:
        place = f"{error['file']}, " if error["file"] else ""
        text = f"{place}{error['line']} (id {error['id']}): {error['reason']} {error['remedy']}"
        self._console.print("[red]Error:[/red] ", end="")
        self._console.print(printable(text), markup=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    from rich import progress

    return progress.Progress(
        progress.TextColumn("[bold]batch"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[speed]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
        progress.TextColumn("{task.fields[errors]}"),
        console=console,
        transient=True,
    )
