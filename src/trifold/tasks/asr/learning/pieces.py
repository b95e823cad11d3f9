"""What is heard at once: the stretches of speech of a recording one after the other, or of a part of a long one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.tasks.asr.refining.phones import Spoken
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.utterances import sounds

__all__ = ["Pieces", "pieces_of"]

_LONGEST = 1500
"""Frames after which a long recording is cut, at its next pause."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """frames: of each piece, shape (frames, D). parts: which utterances each is made of. recordings: which one each is
    of. sizes: frames of each utterance."""

    frames: list[Frames]
    parts: list[list[int]]
    recordings: list[int]
    sizes: list[int]

    def sample(self, frames: int, seed: int) -> Pieces:
        """Whole recordings, as many as make so many frames; all of them where they are fewer."""
        numbers = np.array(self.recordings, np.int64)
        sizes = np.bincount(numbers, [len(one) for one in self.frames])
        order = np.random.default_rng(seed).permutation(len(sizes))
        chosen = set(order[np.cumsum(sizes[order]) - sizes[order] < frames].tolist())
        return self.some([i for i, number in enumerate(self.recordings) if number in chosen])

    def some(self, kept: Sequence[int]) -> Pieces:
        """Those with these numbers."""
        return Pieces(
            [self.frames[i] for i in kept],
            [self.parts[i] for i in kept],
            [self.recordings[i] for i in kept],
            self.sizes,
        )

    def joined(self, labels: Sequence[Sequence[Spoken]]) -> list[list[Spoken]]:
        """The phones of utterances as those of pieces; what goes on over a pause is one."""
        found = []
        for parts in self.parts:
            piece: list[Spoken] = []
            first = 0
            for i in parts:
                for one in labels[i]:
                    moved = Spoken(one.phone, one.first + first, one.last + first)
                    if piece and piece[-1].phone == moved.phone:
                        piece[-1] = Spoken(moved.phone, piece[-1].first, moved.last)
                    else:
                        piece.append(moved)
                first += self.sizes[i]
            found.append(piece)
        return found

    def said(self, labels: Sequence[Sequence[Spoken]]) -> list[list[int]]:
        """The phones of each recording from those of the pieces, silences left out."""
        found: dict[int, list[int]] = {}
        for recording, piece in zip(self.recordings, labels, strict=True):
            found.setdefault(recording, []).extend(one.phone for one in piece if one.phone)
        return list(found.values())


def pieces_of(utterances: Sequence[Frames], recordings: Sequence[int]) -> Pieces:
    """utterances: frames of stretches of speech (`parts_of`). recordings: which one each is of, ascending."""
    parts: list[list[int]] = []
    of: list[int] = []
    length = 0
    for i, (one, recording) in enumerate(zip(utterances, recordings, strict=True)):
        if not of or of[-1] != recording or length >= _LONGEST:
            parts.append([])
            of.append(recording)
            length = 0
        parts[-1].append(i)
        length += len(one)
    frames = [np.concatenate([sounds(utterances[i]) for i in some]) for some in parts]
    return Pieces(frames, parts, of, [len(one) for one in utterances])
