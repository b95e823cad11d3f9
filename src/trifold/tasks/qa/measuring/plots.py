"""Plots as SVG text: lines, bars and intervals, coloured by the page's own style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Axis", "Series", "bar_plot", "interval_plot", "line_plot", "percent", "ticks"]

_WIDTH, _HEIGHT = 350, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 22, 34, 42
_MOST_POINTS = 400


def percent(value: float) -> str:
    """A share from 0 to 1 as a tick reads."""
    return f"{100 * value:g} %"


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows, from `low` to `high`, and how its ticks read."""

    label: str
    low: float
    high: float
    show: Callable[[float], str] = percent


@dataclass(frozen=True, slots=True)
class Series:
    """Points to join. style: a class of the page's style ("before", "after", "guide").

    dots: mark each point; joined: draw the line. An empty label keeps a series out of the legend.
    """

    label: str
    style: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    joined: bool = True


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from low to high, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def line_plot(name: str, title: str, description: str, series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Lines in one frame, in the order given. name: unique on the page; description: what a screen reader says."""
    parts = [_frame(x, y), _legend([(s.label, s.style, "line" if s.joined else "dot") for s in series if s.label])]
    for one in series:
        places = [(_across(x, a), _up(y, b)) for a, b in _thinned(one.points)]
        if one.joined and len(places) > 1:
            path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
            parts.append(f'<path class="line {one.style}" d="{path}"/>')
        if one.dots or len(places) == 1:
            parts += [f'<circle class="dot {one.style}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in places]
    return _svg(name, title, description, "".join(parts))


def bar_plot(
    name: str,
    title: str,
    description: str,
    stacks: Sequence[tuple[str, str, Sequence[float]]],
    x: Axis,
    y: Axis,
) -> str:
    """Bars of equal width over the x axis. stacks: (label, style, heights), each standing on those before it."""
    parts = [_frame(x, y), _legend([(label, style, "bar") for label, style, _ in stacks])]
    base = [0.0] * max((len(heights) for _, _, heights in stacks), default=0)
    width = (_WIDTH - _LEFT - _RIGHT) / max(len(base), 1)
    for _, style, heights in stacks:
        for i, height in enumerate(heights):
            if height:
                top, bottom = _up(y, base[i] + height), _up(y, base[i])
                parts.append(
                    f'<rect class="bar {style}" x="{_LEFT + i * width + 1:.1f}" y="{top:.1f}" '
                    f'width="{width - 2:.1f}" height="{bottom - top:.1f}"/>'
                )
            base[i] += height
    return _svg(name, title, description, "".join(parts))


def interval_plot(value: float, low: float, high: float, limit: float, style: str, label: str) -> str:
    """A small plot for a table's row: a dot with its interval, and a line at 0, on a scale from -limit to limit."""
    width, height = 150, 18

    def at(v: float) -> float:
        return width / 2 + (width / 2 - 6) * max(-1.0, min(1.0, v / limit))

    return (
        f'<svg class="interval {style}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f'<title>{escape(label)}</title><path class="zero" d="M{width / 2} 0V{height}"/>'
        f'<path class="whisker" d="M{at(low):.1f} {height / 2}H{at(high):.1f}"/>'
        f'<circle cx="{at(value):.1f}" cy="{height / 2}" r="4"/></svg>'
    )


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Evenly fewer points where they are more than can be seen, the last one kept."""
    if len(points) <= _MOST_POINTS:
        return points
    step = (len(points) - 1) / (_MOST_POINTS - 1)
    return [points[round(k * step)] for k in range(_MOST_POINTS)]


def _across(axis: Axis, value: float) -> float:
    share = (value - axis.low) / ((axis.high - axis.low) or 1.0)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _up(axis: Axis, value: float) -> float:
    share = (value - axis.low) / ((axis.high - axis.low) or 1.0)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _frame(x: Axis, y: Axis) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in ticks(y.low, y.high):
        level = _up(y, value)
        parts.append(f'<path class="grid" d="M{_LEFT} {level:.1f}H{right}"/>')
        parts.append(_text(_LEFT - 7, level + 4, y.show(value), "tick end"))
    for value in ticks(x.low, x.high):
        parts.append(_text(_across(x, value), bottom + 18, x.show(value), "tick middle"))
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 6, x.label, "label middle"))
    return "".join(parts) + _text(0, 12, y.label, "label")


def _legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """Labels in a row at the upper right, each behind a sample ("line", "dot", "bar") of its style."""
    parts = []
    position = float(_WIDTH - 4)
    for label, style, sample in reversed(entries):
        position -= 6.8 * len(label)
        parts.append(_text(position, 12, label, "key"))
        if sample == "line":
            parts.append(f'<path class="line {style}" d="M{position - 24:.1f} 8H{position - 5:.1f}"/>')
            position -= 36
        elif sample == "dot":
            parts.append(f'<circle class="dot {style}" cx="{position - 9:.1f}" cy="8" r="3.5"/>')
            position -= 26
        else:
            parts.append(f'<rect class="bar {style}" x="{position - 15:.1f}" y="3" width="10" height="10"/>')
            position -= 28
    return "".join(parts)


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(name: str, title: str, description: str, body: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>{body}</svg>'
    )
