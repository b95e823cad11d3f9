"""The terminal: colours where a person reads, progress with the time left, plain lines in a log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

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
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A bar on a terminal, a line every ten seconds elsewhere; neither before two seconds have passed."""
        if self.err.is_terminal:
            with _bar(self.err, label, total) as advance:
                yield advance
        else:
            yield _log(self.err, label, total)


@contextmanager
def _bar(console: Console, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    speed = TextColumn("{task.fields[speed]}")
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(label, total=total, speed="")
    began = time.monotonic()

    def advance(done: int) -> None:
        seconds = time.monotonic() - began
        if seconds > _PATIENCE:
            bar.start()  # does nothing when it has started
            bar.update(task, completed=done, speed=f"{done / seconds:,.0f}/s")

    try:
        yield advance
    finally:
        bar.stop()


def _log(console: Console, label: str, total: int | None) -> Callable[[int], None]:
    began = last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LOG_EVERY or not done:
            return
        last = now
        speed = done / (now - began)
        rest = f" of {total:,} · {(total - done) / speed:,.0f} s left" if total else ""
        console.print(f"{label}: {done:,}{rest} · {speed:,.0f}/s", soft_wrap=True)

    return advance
