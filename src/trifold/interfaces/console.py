"""The terminal: colours where a person reads, progress with the time left, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from trifold.jsontext import to_json

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.task import Progress

__all__ = ["Terminal", "clock_time"]

_PATIENCE = 2.0
_LOG_EVERY = 10.0


class Terminal:
    """What the command line lends to commands; see `trifold.task.Host`."""

    @cached_property
    def out(self) -> Console:
        from rich.console import Console

        return Console(highlight=False, soft_wrap=False)

    @cached_property
    def err(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def print_json(self, value: object) -> None:
        sys.stdout.write(to_json(value, indent=2, encoding=sys.stdout.encoding or "utf-8") + "\n")

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """A bar on a terminal, a line every ten seconds elsewhere; neither before two seconds have passed."""
        if self.err.is_terminal:
            with _bar(self.err, label) as advance:
                yield advance
        else:
            yield _log(self.err, label)


@contextmanager
def _bar(console: Console, label: str) -> Iterator[Progress]:
    from rich import progress

    bar = progress.Progress(
        progress.TextColumn(label),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[speed]}"),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task(label, total=None, speed="")
    began = time.monotonic()
    pace = _Pace()

    def advance(done: int, total: int) -> None:
        speed = pace.speed(done)
        if time.monotonic() - began > _PATIENCE:
            if not bar.live.is_started:
                bar.reset(task, completed=done, total=total)  # what is done already tells nothing of the time left
                bar.start()
            bar.update(task, completed=done, total=total, speed=_per_second(speed))

    try:
        yield advance
    finally:
        bar.stop()


def _log(console: Console, label: str) -> Progress:
    last = time.monotonic()
    pace = _Pace()

    def advance(done: int, total: int) -> None:
        nonlocal last
        speed = pace.speed(done)
        now = time.monotonic()
        if now - last < _LOG_EVERY or not speed:
            return
        last = now
        left = clock_time((total - done) / speed)
        console.print(f"{label}: {done:,} of {total:,} · {_per_second(speed)} · {left} left", soft_wrap=True)

    return advance


class _Pace:
    """How fast work goes: counted from the first report, since what was done before it may be an earlier run's."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def speed(self, done: int) -> float:
        """Items a second; 0 where that cannot be told yet."""
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now)
        before, began = self._first
        return (done - before) / (now - began) if now > began else 0.0


def _per_second(speed: float) -> str:
    return f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s"


def clock_time(seconds: float) -> str:
    """Such as 3:20, or 1:03:20 with hours."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
