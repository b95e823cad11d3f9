"""How many phones are wrong, without a reference: which errors put into the text make it measure like the transcripts.

Held-out text is corrupted more and more, in each of the ways of `simulated`, and measured. What the measures of the
transcripts are nearest to on each of these curves tells how many errors they have, if they are of that kind. It is an
estimate of what looks like language: transcripts that are fine sentences, but not those that were said, escape it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.errors import InvalidInput
from trifold.task import Progress, no_progress
from trifold.tasks.asr.choosing.measures import Measures, Yardstick, measure
from trifold.tasks.asr.choosing.simulated import KINDS, corrupted, permuted, unigrams
from trifold.tasks.asr.measuring.errors import compare

__all__ = ["RATES", "Curve", "Estimate", "estimated_error", "simulated_curves"]

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_NEAR = 2.0
"""Curves that are at most so many times as far away as the nearest one count for the range."""
_FLOOR = 0.05
"""Distance under which curves are equally near: the spread of measures of two samples of the same text."""
_MARGIN = 0.03
_HIGHEST = 50.0

Points = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Curve:
    """One way of being wrong. errors: share of wrong phones at each point, rising. measures: there."""

    kind: str
    errors: tuple[float, ...]
    measures: tuple[Measures, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """error: share of the phones that are wrong, as it seems; low, high: of the kinds of errors that fit.

    distance: from the nearest curve, in units of the text's distance from its cipher; what is above about 0.3 is
    unlike all that was simulated, and the estimate worth little.
    """

    error: float
    low: float
    high: float
    distance: float


def simulated_curves(
    text: Yardstick, *, size: int, seeds: Sequence[int] = (0, 1), progress: Progress = no_progress
) -> list[Curve]:
    """A curve for each kind of error and seed, some ten seconds in all. size: phones of a sample, as for `measure`.

    The last point of scattered errors is text with its phones in a random order, that of confused and swapped ones a
    cipher. Raises MissingExtra without the package that counts errors.
    """
    found = []
    for kind in KINDS:
        # Samples are to be of the same size however many phones are lost.
        held = _beginning(text.held, (4 if kind == "lost" else 1.4) * size)
        for seed in seeds:
            texts = [corrupted(held, rate, kind, seed=seed) for rate in RATES]
            if kind == "scattered":
                texts.append(unigrams(held, seed=seed))
            elif kind in ("confused", "swapped"):
                texts.append(permuted(held, seed=seed))
            errors = [compare(zip(held, each, strict=True)).rate for each in texts]
            measures = [measure(each, text, size=size, seed=seed) for each in texts]
            # Of swaps drawn anew at each rate, a higher one may hit fewer phones.
            order = sorted(range(len(texts)), key=errors.__getitem__)
            found.append(Curve(kind, tuple(errors[i] for i in order), tuple(measures[i] for i in order)))
            progress(len(found), len(KINDS) * len(seeds))
    return found


def estimated_error(measures: Measures, curves: Sequence[Curve], *, lengths: bool = True) -> Estimate:
    """Estimate the share of wrong phones from the curves of the same text and the same size of samples.

    Of each curve the nearest place; the mean of their errors weighted by nearness. lengths: whether recordings are as
    long as sentences are, so that lost and added phones show in the length. Raises InvalidInput without curves.
    """
    if not curves:
        raise InvalidInput("the curves: expected at least one simulated curve, found none.", "See simulated_curves.")
    scale = np.maximum(np.ptp(np.concatenate([_points(curve.measures) for curve in curves]), axis=0), 1e-6)
    if not lengths:
        scale[-1] = np.inf
    here = _points([measures])[0] / scale
    places = [_nearest(here, _points(curve.measures) / scale, curve.errors) for curve in curves]
    errors, distances = (np.array(each) for each in zip(*places, strict=True))
    near = np.maximum(distances, _FLOOR)
    weights = near**-2 / (near**-2).sum()
    fitting = errors[near <= _NEAR * near.min()]
    error = float((weights * errors).sum())
    low, high = min(error, float(fitting.min())) - _MARGIN, max(error, float(fitting.max())) + _MARGIN
    return Estimate(error, max(low, 0.0), min(high, 1.0), float(distances.min()))


def _beginning(sequences: Sequence[tuple[int, ...]], phones: float) -> list[tuple[int, ...]]:
    """The first sequences that have so many phones together, all where they have fewer."""
    found: list[tuple[int, ...]] = []
    for sequence in sequences:
        if phones <= 0:
            break
        found.append(sequence)
        phones -= len(sequence)
    return found


def _points(measures: Sequence[Measures]) -> Points:
    """What falls or rises steadily with errors, (points, 5): log-perplexity, divergences of 2 and 3, information;
    and the length."""
    return np.array(
        [
            (math.log(min(one.perplexity, math.exp(_HIGHEST))), *one.divergences[1:3], one.information, one.length)
            for one in measures
        ]
    )


def _nearest(here: Points, points: Points, errors: Sequence[float]) -> tuple[float, float]:
    """The error at the nearest place of a line through points, and how far away that is."""
    begins, ways = points[:-1], np.diff(points, axis=0)
    lengths = np.maximum((ways**2).sum(1), 1e-12)
    along = np.clip(((here - begins) * ways).sum(1) / lengths, 0, 1)
    away = np.linalg.norm(begins + along[:, None] * ways - here, axis=1)
    at = int(away.argmin())
    known = np.asarray(errors)
    return float(known[at] + along[at] * (known[at + 1] - known[at])), float(away[at])
