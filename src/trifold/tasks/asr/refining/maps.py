"""One affine map of all frames that brings a voice to the distributions of a model, which stay as they are.

Constrained maximum likelihood linear regression (Gales 1998), for normal distributions with diagonal covariances: as
the map is of the frames, the graph that scores them needs no change. N frames, S states, M components, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.sound.features import Frames

__all__ = ["Evidence", "Map", "estimated", "expected", "through"]

_SWEEPS = 10
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Map:
    """A frame x becomes matrix @ x + offset. matrix: shape (D, D). offset: (D,)."""

    matrix: Table
    offset: Table

    @classmethod
    def none(cls, width: int) -> Map:
        """The map that leaves everything where it is."""
        return cls(np.eye(width), np.zeros(width))

    def apply(self, frames: Frames) -> Frames:
        """Shape (N, D) to (N, D)."""
        return np.asarray(frames @ self.matrix.T + self.offset, np.float32)

    def after(self, first: Map) -> Map:
        """The map that does `first`, and then this one."""
        return Map(self.matrix @ first.matrix, self.matrix @ first.offset + self.offset)

    def undone(self) -> Map:
        """The map that takes back what this one does."""
        inverse = np.asarray(np.linalg.inv(self.matrix), np.float64)
        return Map(inverse, -inverse @ self.offset)


def through(space: Map | None, frames: Frames) -> Frames:
    """The frames mapped, or as they are where there is no map: shape (N, D)."""
    return frames if space is None else space.apply(frames)


@dataclass(slots=True)
class Evidence:
    """What frames say of the map, sums over frames and components: for each feature the squares of the frames (with a 1
    at their end) over its variance, shape (D, D + 1, D + 1); the frames times mean over variance, (D, D + 1); and how
    many frames there are.
    """

    squares: Table
    products: Table
    count: float

    @classmethod
    def zero(cls, width: int) -> Evidence:
        return cls(np.zeros((width, width + 1, width + 1)), np.zeros((width, width + 1)), 0.0)

    @classmethod
    def of(cls, count: Table, first: Table, second: Table, sounds: Mixtures) -> Evidence:
        """Of sums over the frames of each component, C = S * M of them: how many, shape (C,); their sum, (C, D); of
        their products, (C, D, D)."""
        components, width = first.shape
        precise = (1 / sounds.variances).reshape(-1, width)
        centred = (sounds.means / sounds.variances).reshape(-1, width)
        whole = np.empty((components, width + 1, width + 1))
        whole[:, :width, :width] = second
        whole[:, :width, width] = whole[:, width, :width] = first
        whole[:, width, width] = count
        squares = (precise.T @ whole.reshape(components, -1)).reshape(width, width + 1, width + 1)
        return cls(squares, centred.T @ whole[:, width], float(count.sum()))

    def add(self, frames: Frames, shares: Table, sounds: Mixtures) -> None:
        """frames: before the map. shares: p(state and component | frame), shape (N, S, M)."""
        width = frames.shape[1]
        precise = (1 / sounds.variances).reshape(-1, width)
        centred = (sounds.means / sounds.variances).reshape(-1, width)
        for first in range(0, len(frames), _BLOCK):
            some = frames[first : first + _BLOCK]
            flat = shares[first : first + _BLOCK].reshape(len(some), -1)
            one = np.concatenate([some, np.ones((len(some), 1))], 1)
            weights = flat @ precise
            for feature in range(width):
                self.squares[feature] += (one * weights[:, feature, None]).T @ one
            self.products += (flat @ centred).T @ one
        self.count += float(shares.sum())

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(self.squares + other.squares, self.products + other.products, self.count + other.count)


def expected(sounds: Mixtures, shares: Table, frames: float, needed: Map | None = None) -> Evidence:
    """What so many frames of a voice that needs no map would say, or the map that is `needed`.

    shares: of each component, shape (S, M). They are the prior: the less is heard, the nearer the map stays to that
    one, and there is no least amount of speech.
    """
    width = sounds.means.shape[2]
    back = Map.none(width) if needed is None else needed.undone()
    means = sounds.means.reshape(-1, width) @ back.matrix.T + back.offset
    variances = sounds.variances.reshape(-1, width)
    count = frames * (shares / shares.sum()).reshape(-1)
    products = means[:, :, None] * means[:, None]
    products += (back.matrix * variances[:, None]) @ back.matrix.T
    return Evidence.of(count, count[:, None] * means, count[:, None, None] * products, sounds)


def estimated(evidence: Evidence, start: Map) -> Map:
    """The likeliest map, found row by row from `start`, a few times over (Gales 1998, appendix)."""
    width = len(start.offset)
    rows = np.concatenate([start.matrix, start.offset[:, None]], 1)
    inverses = np.linalg.inv(evidence.squares)
    for _ in range(_SWEEPS):
        for row in range(width):
            # The determinant is linear in a row, with these coefficients, but for a factor that does not matter.
            linear = np.append(np.linalg.inv(rows[:, :width])[:, row], 0.0)
            rows[row] = _row(inverses[row], evidence.squares[row], evidence.products[row], linear, evidence.count)
    return Map(rows[:, :width].copy(), rows[:, width].copy())


def _row(inverse: Table, squares: Table, products: Table, linear: Table, count: float) -> Table:
    """The row w that makes count * log|linear w| - w squares w / 2 + products w greatest."""
    a, b = float(linear @ inverse @ linear), float(linear @ inverse @ products)
    best, found = -np.inf, products
    for sign in (1.0, -1.0):
        row = inverse @ (products + (sign * np.sqrt(b * b + 4 * a * count) - b) / (2 * a) * linear)
        likely = count * np.log(abs(float(linear @ row))) - float(row @ squares @ row) / 2 + float(products @ row)
        if likely > best:
            best, found = likely, row
    return found
