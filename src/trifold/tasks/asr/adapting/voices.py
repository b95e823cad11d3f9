"""What a voice needs, from its recordings alone: what is said in them is first read as it can be, then ever better.

A start at the likeliest length of the throat (`refining/throats`), then rounds in which the model's phones are heard in
the mapped frames and the map is estimated anew from what was heard; then rounds in which each distribution moves by
itself, too (Gauvain & Lee 1994), towards what is heard with long n-grams of phones in mind (`refining/reheard`).
Without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trifold.task import Progress, no_progress
from trifold.tasks.asr.decoder import Decoder
from trifold.tasks.asr.decoding.phones import LEARNING_BEAM
from trifold.tasks.asr.matching.chains import Table, posteriors
from trifold.tasks.asr.refining.maps import Evidence, Map, through
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.refining.reheard import reheard
from trifold.tasks.asr.refining.throats import LENGTHS, Hear, Said, likeliest_map, throats
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

__all__ = ["FRAMES", "LEAST", "ROUNDS", "Reader", "Voice", "brought"]

FRAMES, LEAST = 180_000, 100
"""Of a voice's speech that are heard: one second already teaches something, and half an hour more than two minutes."""
_ENOUGH = 2_000
"""Frames from which distributions are moved by themselves too: a voice of one recording keeps nothing but its map."""
_MAPPED = 12_000
"""Of these for the map: two minutes teach as much as fifteen."""
_MAPS, _EACH = 12, 8
"""Rounds for the map, and of distributions by themselves."""
ROUNDS = len(LENGTHS) + _MAPS + _EACH + 1
"""Steps that progress is told of."""
_KNOWN = 1.0
"""Standard deviations from how known voices fit, within which a voice is left as it is: there no map helps."""
_LOOKED_AT = 4_000
"""Frames that tell the length of the throat."""
_ROOM = 4_000_000
"""Frames times states of a batch."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What a model hears with. scale: how much a frame's score counts beside how phones follow each other. space: the
    map of frames that the sounds are of; None for frames as they are."""

    decoder: Decoder
    sounds: Mixtures
    scale: float
    space: Map | None = None

    def scores(self, frames: Frames) -> Table:
        """Scaled log p(frame | state), shape (N, S), of frames as the graph takes them."""
        return self.scale * self.sounds.scores(through(self.space, frames))


@dataclass(frozen=True, slots=True)
class Voice:
    """map: of frames. frames: of speech that it was found with. before, after: how well they fit, as `Usual` has it,
    without and with the map. reader: what hears mapped frames, where that is not the model's graph."""

    map: Map
    frames: int
    before: float
    after: float
    reader: Reader | None = None

    @property
    def helps(self) -> bool:
        """Whether the voice fits better with the map."""
        return self.after > self.before

    def scores(self, frames: Frames) -> Frames | None:
        """Scaled log p(mapped frame | state), shape (N, S), as the graph gives them; None where the graph is right."""
        if self.reader is None:
            return None
        return np.asarray(self.reader.scores(frames), np.float32)


def brought(reader: Reader, stretches: Sequence[Frames], progress: Progress = no_progress) -> Voice:
    """The map for the voice of all stretches: none where it fits as known voices do; else none, for a throat of another
    length, or any, as it fits best; where there is one, the distributions of what it gives, too.

    stretches: frames as the graph scores them, shape (N, D) each. progress: told the rounds that are done.
    """
    heard = [one for one in stretches if len(one) >= STATES]
    width = reader.sounds.means.shape[2]
    nothing = Map.none(width)
    if not heard:
        return Voice(nothing, 0, 0.0, 0.0)
    before = _fit(reader, heard, nothing)
    usual = reader.decoder.usual
    if usual is not None and before >= usual.mean - _KNOWN * usual.spread:
        progress(ROUNDS, ROUNDS)
        return Voice(nothing, sum(map(len, heard)), before, before)
    space = nothing if reader.space is None else reader.space
    back = space.undone()

    def hear(some: Sequence[Frames]) -> Hear:
        seen = [space.apply(one) for one in some]
        return lambda now: _heard(reader, seen, now)

    starts = [nothing]
    if reader.decoder.hearing.encoder is None:  # an encoder's features do not tell of throats
        starts = [space.after(one).after(back) for one in throats(reader.decoder.scale.spread, width)]
    few, every = hear(_some(heard, _LOOKED_AT)), hear(_some(heard, _MAPPED))
    start, found = likeliest_map(
        starts, few, every, reader.sounds, reader.scale, _MAPS, lambda done: progress(done, ROUNDS)
    )
    # Of frames before they are mapped to the sounds, as the graph does that itself.
    maps = [nothing, *(back.after(one).after(space) for one in (start, found))]
    fits = [before, *(_fit(reader, heard, one) for one in maps[1:])]
    progress(ROUNDS - _EACH, ROUNDS)
    best = int(np.argmax([fit if np.isfinite(fit) else -np.inf for fit in fits]))
    enough = best and sum(map(len, heard)) >= _ENOUGH
    told = Told(reader.sounds, reader.decoder.stays, space.after(maps[best]))
    own = _each(reader, told, heard, lambda done: progress(ROUNDS - _EACH + done, ROUNDS)) if enough else None
    if own is not None and own.space is not None:
        # It hears frames that are mapped for the graph, whose distributions have not moved.
        own = replace(own, space=own.space.after(maps[best].undone()))
    progress(ROUNDS, ROUNDS)
    return Voice(maps[best], sum(map(len, heard)), before, fits[best], own)


def _each(reader: Reader, told: Told, stretches: Sequence[Frames], done: Callable[[int], None]) -> Reader:
    """What hears frames after rounds in which, besides the map, each distribution moves by itself towards what is heard
    of it, and each state lasts as long as it is heard."""
    search = reader.decoder.search(LEARNING_BEAM)
    for number in range(_EACH):
        told = reheard(told, search, stretches, reader.scale)
        done(number + 1)
    decoder = replace(reader.decoder, stays=told.stays)
    return replace(reader, decoder=decoder, sounds=told.sounds, space=told.space)


def _heard(reader: Reader, stretches: Sequence[Frames], now: Map) -> Said:
    """What is heard in stretches of speech, near to what the sounds are of, by the map as it is `now`."""
    evidence = Evidence.zero(len(now.offset))
    counts = np.zeros_like(reader.sounds.weights)
    total = 0.0
    for indices, shares, likelihoods in _shares(reader, [now.apply(one) for one in stretches]):
        for i, share, likelihood in zip(indices, shares, likelihoods.tolist(), strict=True):
            if not np.isfinite(share[: len(stretches[i])]).all():
                continue
            each = reader.sounds.components(now.apply(stretches[i]), share[: len(stretches[i])])
            evidence.add(stretches[i], each, reader.sounds)
            counts += each.sum(0)
            total += likelihood
    return Said(evidence, counts, total)


def _shares(reader: Reader, stretches: Sequence[Frames]) -> Iterator[tuple[list[int], Table, Table]]:
    """p(state | all of the stretch) of batches of stretches of like length, by the bigrams of phones, and the
    log-likelihood of each."""
    chain = reader.decoder.chain()
    order = sorted(range(len(stretches)), key=lambda i: len(stretches[i]))
    while order:
        # The longest first; one by itself where it alone takes the room.
        size = max(1, _ROOM // (len(stretches[order[-1]]) * len(chain.initial)))
        indices, order = order[-size:], order[:-size]
        lengths = np.array([len(stretches[i]) for i in indices], np.int64)
        scores = np.zeros((len(indices), int(lengths.max()), len(chain.initial)))
        for row, i in zip(scores, indices, strict=True):
            row[: len(stretches[i])] = reader.scale * reader.sounds.scores(stretches[i])
        shares, _, likelihoods = posteriors(chain, scores, lengths)
        yield indices, shares, likelihoods


def _some(stretches: Sequence[Frames], frames: int) -> list[Frames]:
    """The first of them that have so many frames together, or all."""
    found: list[Frames] = []
    for one in stretches:
        if sum(map(len, found)) >= frames:
            break
        found.append(one)
    return found


def _fit(reader: Reader, stretches: Sequence[Frames], now: Map) -> float:
    """The mean over frames of the score of the state that fits best, as of `Usual`."""
    total = sum(float(reader.scores(now.apply(one)).max(1).sum()) for one in stretches)
    return total / max(sum(map(len, stretches)), 1)
