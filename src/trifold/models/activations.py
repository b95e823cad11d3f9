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

_ALPHAS = (0.35, 0.5, 0.65, 0.8)
"""How much of the difficulty SmoothQuant moves from activations to weights."""
_PERCENTILES = (100.0, 99.99, 99.9)
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
    error, static = min(
        ((_error(_by_static(form, rows), form.factor, weight, wanted), form) for form in _statics(seen, weight)),
        key=lambda pair: pair[0],
    )
    if error <= _BORNE * float((wanted**2).mean()):
        return static
    forms = _one_sided(seen) if seen.lowest >= -_ONE_SIDED * seen.highest else _two_sided(seen, weight)
    return min(forms, key=lambda form: _error(_by_rows(form, rows), form.factor, weight, wanted))


def _statics(seen: Seen, weight: Array) -> list[Static]:
    forms = []
    for alpha in _ALPHAS:
        factor = _balance(seen, weight, alpha)
        balanced = seen.rows / factor
        for percentile in _PERCENTILES:
            low = min(0.0, float(np.percentile(balanced, 100 - percentile)))
            high = max(0.0, float(np.percentile(balanced, percentile)))
            scale = max(high - low, 1e-9) / 255
            forms.append(Static(factor, scale, int(np.clip(round(-low / scale), 0, 255))))
    return forms


def _two_sided(seen: Seen, weight: Array) -> list[Rows]:
    return [Rows(_balance(seen, weight, alpha), 128, 1e-9) for alpha in _ALPHAS]


def _one_sided(seen: Seen) -> list[Rows]:
    """Nearly all of the range for the positive side, as after GELU; without factors, which would move the lowest."""
    plain = np.ones_like(seen.largest)
    return [Rows(plain, zero, max(-seen.lowest, 1e-6) / zero) for zero in _ZEROS]


def _balance(seen: Seen, weight: Array, alpha: float) -> Array:
    """SmoothQuant's factor for each channel (Xiao et al. 2023, eq. 4), with a geometric mean of 1."""
    factor = np.maximum(seen.largest, 1e-4) ** alpha / np.maximum(np.abs(weight).max(1), 1e-6) ** (1 - alpha)
    balanced: Array = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
    return balanced


def _by_static(form: Static, rows: Array) -> Array:
    """Rows as they come back from their integers, still divided by the factor."""
    integers = np.clip(np.rint(rows / form.factor / form.scale) + form.zero, 0, 255)
    back: Array = (integers - form.zero) * form.scale
    return back


def _by_rows(form: Rows, rows: Array) -> Array:
    balanced = rows / form.factor
    scales = form.scales(balanced)
    back: Array = (np.clip(np.rint(balanced / scales) + form.zero, 0, 255) - form.zero) * scales
    return back


def _error(back: Array, factor: Array, weight: Array, wanted: Array) -> float:
    """Mean square of what the product loses."""
    integers, steps = quantise_weight(weight * factor[:, None])
    return float(((back @ (integers * steps) - wanted) ** 2).mean())
