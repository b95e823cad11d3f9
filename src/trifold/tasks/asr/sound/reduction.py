"""Principal components of frames: fewer features, on one scale, fitted to the user's own recordings and kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np

from trifold.errors import DataError, ModelDamaged
from trifold.tasks.asr.sound.features import Frames

__all__ = ["REDUCTION", "Reduction"]

_Row: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

REDUCTION = "reduction.npz"
_NOTHING = 1e-9
"""Share of the largest variance that a component has at least."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """Principal components. mean: of the features, shape (features,). components: shape (features, width), each of
    length 1. spread: what each is divided by, shape (width,)."""

    mean: _Row
    components: _Row
    spread: _Row

    @property
    def width(self) -> int:
        return int(self.components.shape[1])

    @classmethod
    def fit(cls, parts: Iterable[Frames], width: int = 64, *, even: bool = True) -> Reduction:
        """Of the frames of a sample of the user's own recordings, which are read once: 100,000 (17 minutes) do.

        width: how many components at most; fewer where the frames have fewer. even: each has variance 1; else they
        keep their proportions, as wav2vec-U's do, and their mean variance is 1. Raises DataError where all frames are
        the same, or there are none.
        """
        count, shift, first, second = 0, np.zeros(0), np.zeros(0), np.zeros((0, 0))
        for part in parts:
            if not len(part):
                continue
            if not count:
                size = part.shape[1]
                shift, first, second = part.mean(0, dtype=np.float64), np.zeros(size), np.zeros((size, size))
            moved = part - shift
            count, first, second = count + len(part), first + moved.sum(0), second + moved.T @ moved
        mean = first / max(count, 1)
        variances, vectors = np.linalg.eigh(second / max(count, 1) - np.outer(mean, mean))
        some = variances > _NOTHING * max(float(variances.max(initial=0.0)), _NOTHING)
        kept = np.flatnonzero(some)[::-1][:width]
        if not len(kept):
            raise DataError(f"the features: expected frames that differ, found {count:,}. Give more recordings.")
        components, spread = vectors[:, kept], np.sqrt(variances[kept])
        # A component's sign is of no meaning: its largest number is taken to be positive.
        largest = np.abs(components).argmax(0)
        components = components * np.sign(components[largest, np.arange(len(kept))])
        if not even:
            spread = np.full(len(kept), np.sqrt((spread**2).mean()))
        return cls(*(np.asarray(array, np.float32) for array in (shift + mean, components, spread)))

    def apply(self, frames: Frames) -> Frames:
        """Shape (frames, features) to (frames, width)."""
        return np.asarray((frames - self.mean) @ self.components / self.spread, np.float32)

    def write(self, folder: Path) -> None:
        """Into a model's folder, as `REDUCTION`."""
        with (folder / REDUCTION).open("wb") as file:
            np.savez_compressed(file, mean=self.mean, components=self.components, spread=self.spread)

    @classmethod
    def read(cls, folder: Path) -> Reduction:
        """Of a model's folder. Raises ModelDamaged for a file that is not what is written."""
        path = folder / REDUCTION
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = cls(*(file[name].astype(np.float32) for name in ("mean", "components", "spread")))
            shapes = (found.mean.shape, found.spread.shape)
            if found.components.ndim != 2 or shapes != tuple((size,) for size in found.components.shape):
                raise ValueError("its parts do not fit together")
            arrays = (found.mean, found.components, found.spread)
            if not all(np.isfinite(array).all() for array in arrays) or not (found.spread > 0).all():
                raise ValueError("its numbers are none")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise ModelDamaged(f"{path}: not principal components ({error}). Get the model again.") from None
        return found
