"""How the input of a linear layer becomes unsigned 8-bit integers, decided on what it was seen to be.

A value depends on nothing but its own row (one token): a scale for the whole tensor that is fixed (`Static`), or one
for each row that is computed as it passes (`Rows`). A dynamic scale for the whole tensor, the common choice, would let
a window's answer change with its neighbours in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from trifold.models.rounding import quantise_weight

__all__ = ["Rows", "Seen", "Static", "decide"]

Array: TypeAlias = np.ndarray[Any, Any]

_ALPHAS = (0.35, 0.5, 0.65, 0.8, 0.9)
"""How much of the difficulty SmoothQuant moves from activations to weights."""
_CLIPPED = (0.0, 1e-4)
"""Shares of the values at either end that a static scale may clip."""
_ROWS_TO_FIT = 800
_BORNE = 2e-4
"""Share of the product's mean square that a static scale may cost. Where it costs more, each row gets its own."""
_ONE_SIDED = 0.1
"""Values of which the lowest is this small a part of the highest are what an activation function left."""
_ZEROS = (8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a layer's input looked like on the calibration windows.

    rows: sampled rows, shape (n, inputs). largest: each channel's largest magnitude. lowest, highest: of all values.
    """

    rows: Array
    largest: Array
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Static:
    """x becomes round(x / factor / scale) + zero, clipped to 0 to 255.

    factor: for each channel (SmoothQuant: Xiao et al. 2023), shape (inputs,).
    """

    factor: Array
    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class Rows:
    """x becomes round(x / factor / scale) + zero with a scale for each row.

    scale: max(highest of the row / (255 - zero), least); where zero is 128, of the magnitudes rather than the values.
    """

    factor: Array
    zero: int
    least: float

    @property
    def two_sided(self) -> bool:
        return self.zero == 128

    def scales(self, rows: Array) -> Array:
        """Those of some rows that were divided by the factor, shape (n, 1)."""
        highest = (np.abs(rows) if self.two_sided else rows).max(axis=1, keepdims=True)
        scales: Array = np.maximum(highest / (255 - self.zero), self.least)
        return scales


def decide(seen: Seen, weight: Array) -> Static | Rows:
    """The cheapest form that the layers of an input bear.

    weight: of all layers that take the input, side by side, shape (inputs, outputs).
    """
    rows = seen.rows[:: max(1, len(seen.rows) // _ROWS_TO_FIT)]
    wanted = rows @ weight
    factors = [_balance(seen, weight, alpha) for alpha in _ALPHAS]
    rounded = [_rounded(weight, factor) for factor in factors]

    def error(form: Static | Rows, weight: Array) -> float:
        """Mean square of what the product loses."""
        return float(((_and_back(form, rows) @ weight - wanted) ** 2).mean())

    tries = [
        (error(form, back), form)
        for factor, back in zip(factors, rounded, strict=True)
        for form in _statics(seen.rows / factor, rows / factor, factor)
    ]
    least, static = min(tries, key=lambda pair: pair[0])
    if least <= _BORNE * float((wanted**2).mean()):
        return static
    if seen.lowest < -_ONE_SIDED * seen.highest:
        forms: list[Rows] = [Rows(factor, 128, 1e-9) for factor in factors]
        return min(zip(forms, rounded, strict=True), key=lambda pair: error(*pair))[0]
    # Nearly all of the range for the positive side, as after GELU; without factors, which would move the lowest.
    plain = np.ones_like(seen.largest)
    back = _rounded(weight, plain)
    return min(
        (Rows(plain, zero, max(-seen.lowest, 1e-6) / zero) for zero in _ZEROS), key=lambda form: error(form, back)
    )


def _statics(every: Array, some: Array, factor: Array) -> list[Static]:
    """Scales for rows that were divided by the factor: for all of them, and for some with their extremes clipped."""
    forms = []
    for share in _CLIPPED:
        low, high = (every.min(), every.max()) if not share else np.percentile(some, (100 * share, 100 - 100 * share))
        low, high = min(0.0, float(low)), max(0.0, float(high))
        scale = max(high - low, 1e-9) / 255
        forms.append(Static(factor, scale, int(np.clip(round(-low / scale), 0, 255))))
    return forms


def _balance(seen: Seen, weight: Array, alpha: float) -> Array:
    """SmoothQuant's factor for each channel (Xiao et al. 2023, eq. 4), with a geometric mean of 1."""
    factor = np.maximum(seen.largest, 1e-4) ** alpha / np.maximum(np.abs(weight).max(1), 1e-6) ** (1 - alpha)
    balanced: Array = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
    return balanced


def _rounded(weight: Array, factor: Array) -> Array:
    """The weight that goes with the factor, as it comes back from int8."""
    integers, steps = quantise_weight(weight * factor[:, None])
    back: Array = integers * steps
    return back


def _and_back(form: Static | Rows, rows: Array) -> Array:
    """Rows as they come back from their integers, still divided by the factor."""
    balanced = rows / form.factor
    scale = form.scale if isinstance(form, Static) else form.scales(balanced)
    back: Array = (np.clip(np.rint(balanced / scale) + form.zero, 0, 255) - form.zero) * scale
    return back
