"""The length of a voice's throat beside those of voices that are known, and the map of cepstra that makes up for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.sound.features import Frames, warping
from trifold.tasks.asr.sound.utterances import CEPSTRA

__all__ = ["throat"]

_LENGTHS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25)
"""Beside those of the known voices: further apart are no men, women and children."""


def throat(fit: Callable[[Map], float], spread: Frames | Table, width: int) -> Map:
    """The map that takes the voice for one of a throat of another length, such that it fits best.

    fit: how well the voice fits with a map. spread: of the cepstra before they were put on one scale, shape (13,).
    width: of the frames, cepstra and their slopes.
    """
    known = np.asarray(spread, np.float64)
    maps = []
    for length in _LENGTHS:
        # Slopes of cepstra are mapped as they are themselves.
        one = (known[:, None] * warping(length).astype(np.float64) / known).T
        maps.append(Map(np.asarray(np.kron(np.eye(width // CEPSTRA), one), np.float64), np.zeros(width)))
    return max(maps, key=fit)
