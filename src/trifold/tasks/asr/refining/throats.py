"""The map of a voice's frames when nobody knows what is said in them: found from throats of several lengths.

What is said is heard through the map as it is, and the map is estimated anew from that, round after round; so it ends
near to where it began, and a voice that is taken for one of a throat of the wrong length is never understood. Each
length is gone on from for a few rounds, and the one that makes the frames likeliest is kept. (How near frames are to
the sounds says less: through a map that squeezes them they are near to some sound or other.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.maps import Evidence, Map, estimated, expected
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.sound.features import Frames, warping
from trifold.tasks.asr.sound.utterances import CEPSTRA

__all__ = ["LENGTHS", "Hear", "Said", "likeliest_map", "throats"]

LENGTHS = (0.8, 0.87, 0.93, 1.0, 1.07, 1.15, 1.25)
"""Beside those of the known voices: further apart are no men, women and children."""
_ROUNDS = 3
"""That each start is gone on from before they are compared."""
_PRIOR = 500.0
"""Frames' worth of a voice that needs the start as it is."""
_LEAST = 0.5
"""That is left of anything by the map of a throat: of a short one's the highest cepstra are all but lost."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is heard through a map. evidence: for the next one. counts: how often each component was heard, shape
    (S, M). likelihood: log, of all mapped frames, scaled as their scores were."""

    evidence: Evidence
    counts: Table
    likelihood: float


Hear: TypeAlias = Callable[[Map], Said]


def throats(spread: Frames | Table, width: int) -> list[Map]:
    """The maps that take a voice for one of a throat of each of `LENGTHS`.

    spread: of the cepstra before they were put on one scale, shape (13,). width: of the frames, cepstra and their
    slopes, which are mapped as they are themselves.
    """
    known = np.asarray(spread, np.float64)
    found = []
    for length in LENGTHS:
        left, sizes, right = np.linalg.svd((known[:, None] * warping(length).astype(np.float64) / known).T)
        one = left * np.maximum(sizes, _LEAST) @ right
        found.append(Map(np.asarray(np.kron(np.eye(width // CEPSTRA), one), np.float64), np.zeros(width)))
    return found


def likeliest_map(
    starts: Sequence[Map],
    few: Hear,
    every: Hear,
    sounds: Mixtures,
    scale: float,
    rounds: int,
    done: Callable[[int], None] = lambda _: None,
) -> tuple[Map, Map]:
    """The start from which frames become likeliest, and the map that is found from there after so many rounds; no maps
    at all where nothing is heard.

    few, every: what tells the start, if there are several, and the map. sounds: that frames are mapped to. scale: how
    much a frame counts in both. done: told how many starts and rounds are done.
    """
    none = Map.none(sounds.means.shape[2])
    start, now = (starts[0], starts[0]) if len(starts) == 1 else _likeliest_start(starts, few, sounds, scale, done)
    for number in range(rounds):
        found = _next(every(now), sounds, start)
        if found is None:
            return none, none
        now = found
        done(len(starts) + number + 1)
    return start, now


def _likeliest_start(
    starts: Sequence[Map], hear: Hear, sounds: Mixtures, scale: float, done: Callable[[int], None]
) -> tuple[Map, Map]:
    """The start, and what became of it."""
    none = Map.none(sounds.means.shape[2])
    best, found = -np.inf, (none, none)
    for number, start in enumerate(starts, 1):
        now: Map | None = start
        for _ in range(_ROUNDS):
            now = None if now is None else _next(hear(now), sounds, start)
        if now is not None:
            said = hear(now)
            # A map that squeezes all frames together makes them no likelier.
            stretched = float(np.linalg.slogdet(now.matrix)[1])
            likely = said.likelihood + scale * stretched * said.evidence.count
            if likely > best:
                best, found = likely, (start, now)
        done(number)
    return found


def _next(said: Said, sounds: Mixtures, start: Map) -> Map | None:
    """The likeliest map by what was heard, the nearer to the start the less it was; None where nothing was heard that
    could be any phone."""
    if not said.counts.sum() > 0:
        return None
    return estimated(said.evidence + expected(sounds, said.counts, _PRIOR, start), start)
