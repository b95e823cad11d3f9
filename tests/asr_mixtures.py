"""Distributions at random, for tests of what is done with them."""

from __future__ import annotations

import numpy as np

from trifold.tasks.asr.refining.mixtures import Mixtures


def random_mixtures(chance: np.random.Generator, states: int = 5, components: int = 2, width: int = 4) -> Mixtures:
    """Of states that are apart, of width features."""
    weights = chance.uniform(0.5, 1.0, (states, components))
    shape = (states, components, width)
    return Mixtures(
        weights / weights.sum(1, keepdims=True), 3 * chance.standard_normal(shape), chance.uniform(0.3, 2.0, shape)
    )
