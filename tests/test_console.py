"""What a log tells of long work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from trifold.interfaces import console
from trifold.interfaces.console import Terminal, clock_time


class Clock:
    """Stands still between steps."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def reported(monkeypatch: pytest.MonkeyPatch, reports: list[tuple[float, int]], total: int) -> list[str]:
    """The lines of a log: (seconds after the one before, how much is done)."""
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    terminal, stream = Terminal(), io.StringIO()
    terminal.__dict__["err"] = Console(file=stream, width=200)
    with terminal.progress("work") as progress:
        for seconds, done in reports:
            clock.now += seconds
            progress(done, total)
    return stream.getvalue().splitlines()


def test_the_time_left_of_resumed_work_counts_what_this_run_did(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = reported(monkeypatch, [(1, 5000), (10, 5010), (5, 5015), (5, 5020)], 9000)
    assert lines == [
        "work: 5,010 of 9,000 · 1.0/s · 1:06:30 left",
        "work: 5,020 of 9,000 · 1.0/s · 1:06:20 left",
    ]


def test_fast_work_is_told_in_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reported(monkeypatch, [(0, 0), (10, 2500)], 5000) == ["work: 2,500 of 5,000 · 250/s · 0:10 left"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7384, "2:03:04"), (-3, "0:00")]
)
def test_times_are_those_of_a_clock(seconds: float, shown: str) -> None:
    assert clock_time(seconds) == shown
