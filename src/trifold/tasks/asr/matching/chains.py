"""Hidden Markov models over padded batches: posteriors, likelihoods, best paths. Rabiner (1989), scaled as there.

Shapes: B utterances, T the longest one's length, S states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Chain", "Lengths", "best_paths", "posteriors"]

Table: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Lengths: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_LEAST = 1e-300


@dataclass(frozen=True, slots=True)
class Chain:
    """initial: p(first state), shape (S,). following: p(next | state), shape (S, S), rows. ends: p(end | state), (S,).

    A row of `following` and its entry of `ends` sum to 1, or to less where paths are forbidden.
    """

    initial: Table
    following: Table
    ends: Table


def posteriors(chain: Chain, scores: Table, lengths: Lengths) -> tuple[Table, Table, Table]:
    """What each state's share in each step is, given the whole utterance.

    scores: log p(observation | state), shape (B, T, S); anything beyond an utterance's length. Returns the posteriors,
    shape (B, T, S), 0 beyond the lengths; the expected number of each transition over the whole batch, shape (S, S);
    and the log-likelihoods, shape (B,).
    """
    batch, longest, states = scores.shape
    highest = scores.max(2)
    emitted = np.exp(scores - highest[:, :, None])
    forward = np.zeros((batch, longest, states))
    scale = np.ones((batch, longest))
    reached = chain.initial * emitted[:, 0]
    for t in range(longest):
        if t:
            reached = (forward[:, t - 1] @ chain.following) * emitted[:, t]
        scale[:, t] = np.maximum(reached.sum(1), _LEAST)
        forward[:, t] = reached / scale[:, t, None]
    inside = np.arange(longest) < lengths[:, None]
    last = forward[np.arange(batch), lengths - 1]
    ended = np.maximum(last @ chain.ends, _LEAST)
    likelihood = ((np.log(scale) + highest) * inside).sum(1) + np.log(ended)
    gamma = np.zeros_like(forward)
    moved = np.zeros((states, states))
    # backward[t] is p(what follows t | state at t) over p(what follows t | all until t).
    backward = np.zeros((batch, states))
    for t in range(longest - 1, -1, -1):
        if t + 1 < longest:
            ahead = emitted[:, t + 1] * backward / scale[:, t + 1, None]
            going = inside[:, t + 1]
            moved += chain.following * (forward[:, t][going].T @ ahead[going])
            backward = np.where(going[:, None], ahead @ chain.following.T, 0.0)
        ending = lengths - 1 == t
        backward[ending] = chain.ends / ended[ending, None]
        gamma[:, t] = forward[:, t] * backward * inside[:, t, None]
    return gamma, moved, likelihood


def best_paths(chain: Chain, scores: Table, lengths: Lengths) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """The likeliest states of each utterance (Viterbi 1967); scores as in `posteriors`."""
    with np.errstate(divide="ignore"):
        initial, following, ends = (np.log(part) for part in (chain.initial, chain.following, chain.ends))
    batch, longest, states = scores.shape
    came = np.zeros((batch, longest, states), np.int32)
    reached = initial + scores[:, 0]
    finals = np.zeros((batch, states))
    for t in range(longest):
        if t:
            through = reached[:, :, None] + following
            came[:, t] = through.argmax(1)
            reached = through.max(1) + scores[:, t]
        ending = lengths - 1 == t
        finals[ending] = reached[ending] + ends
    found = []
    for row, length in enumerate(lengths.tolist()):
        path = np.empty(length, np.int64)
        path[-1] = int(finals[row].argmax())
        for t in range(length - 1, 0, -1):
            path[t - 1] = came[row, t, path[t]]
        found.append(path)
    return found
