"""The likeliest phones of a stretch of speech when the two phones before are taken into account (Viterbi 1967).

Hidden states are a phone's state together with the phone before it, as in `heard`, but with no torch.
V phones, S = V * `STATES` states, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.sound.features import Frames

__all__ = ["STATES", "Spoken", "Trigrams", "best_phones"]

STATES = 3
"""A phone lasts at least so many frames."""

_NEVER = np.float32(-1e30)
_TINY = 1e-20


@dataclass(frozen=True, slots=True)
class Spoken:
    """A phone of an utterance with its first frame and the one after its last."""

    phone: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Trigrams:
    """Logarithms. first: of p(phone at the beginning), (V,). after: of p(next | last, now),
    (now V, next V, last V + 1), where the end of the last axis is the beginning. ends: of p(end | last, now),
    (now V, last V + 1)."""

    first: Frames
    after: Frames
    ends: Frames

    @classmethod
    def of(cls, first: Any, after: Any, ends: Any) -> Trigrams:
        """From probabilities with axes as in `matching.trigrams.Following`."""
        logs = [
            np.log(np.maximum(np.asarray(one, np.float64), _TINY)).astype(np.float32) for one in (first, after, ends)
        ]
        return cls(logs[0], np.ascontiguousarray(logs[1].transpose(1, 2, 0)), np.ascontiguousarray(logs[2].T))


def best_phones(scores: Table | Frames, stays: Table, trigrams: Trigrams) -> list[Spoken]:
    """The phones with their frames; none where there are fewer than `STATES` frames.

    scores: scaled log p(frame | state), shape (T, S). stays: p(the same state again), shape (S,).
    """
    frames, phones = len(scores), len(trigrams.first)
    if frames < STATES:
        return []
    heard = np.asarray(scores, np.float32).reshape(frames, phones, STATES)
    stay, leave = (np.log(one).astype(np.float32).reshape(phones, STATES, 1) for one in (stays, 1 - stays))
    # Axes: phone now, its state, phone before.
    reached = np.full((phones, STATES, phones + 1), _NEVER, np.float32)
    reached[:, 0, -1] = trigrams.first + heard[0, :, 0]
    coming = np.full_like(reached, _NEVER)
    moved = np.zeros((frames, phones, STATES, phones + 1), bool)
    before = np.zeros((frames, phones, phones), np.uint16)
    for t in range(1, frames):
        left = reached[:, -1] + leave[:, -1]
        through = left[:, None] + trigrams.after  # now, next, last
        from_last = through.argmax(2)
        before[t] = from_last
        entered = np.take_along_axis(through, from_last[:, :, None], 2)[:, :, 0]
        coming[:, 0, :-1] = entered.T
        coming[:, 1:] = reached[:, :-1] + leave[:, :-1]
        stayed = reached + stay
        moved[t] = coming > stayed
        reached = np.maximum(np.maximum(coming, stayed) + heard[t, :, :, None], _NEVER)
    ended = reached[:, -1] + leave[:, -1] + trigrams.ends
    now, last = (int(i) for i in np.unravel_index(int(ended.argmax()), ended.shape))
    state, end = STATES - 1, frames
    found: list[Spoken] = []
    for t in range(frames - 1, 0, -1):
        if not moved[t, now, state, last]:
            continue
        if state:
            state -= 1
            continue
        found.append(Spoken(now, t, end))
        # The phone before it, and which one that came after.
        now, last, state, end = last, int(before[t, last, now]), STATES - 1, t
    found.append(Spoken(now, 0, end))
    return found[::-1]
