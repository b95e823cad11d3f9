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

__all__ = ["Terminal"]

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

    def advance(done: int, total: int) -> None:
        seconds = time.monotonic() - began
        if seconds > _PATIENCE:
            bar.start()  # does nothing when it has started
            bar.update(task, completed=done, total=total, speed=f"{done / seconds:,.0f}/s")

    try:
        yield advance
    finally:
        bar.stop()


def _log(console: Console, label: str) -> Progress:
    began = last = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LOG_EVERY or not done:
            return
        last = now
        speed = done / (now - began)
        left = (total - done) / speed
        console.print(f"{label}: {done:,} of {total:,} · {speed:,.0f}/s · {left:,.0f} s left", soft_wrap=True)

    return advance
