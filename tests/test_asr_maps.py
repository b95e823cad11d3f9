"""The affine map of all frames that brings a voice to distributions which stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from asr_mixtures import random_mixtures
from trifold.tasks.asr.refining.maps import Evidence, Map, estimated, expected
from trifold.tasks.asr.refining.mixtures import Mixtures


def drawn(sounds: Mixtures, count: int, chance: np.random.Generator) -> tuple[Any, Any]:
    """Frames, and which component each is of, shape (N, S, M)."""
    states, components, width = sounds.means.shape
    state, component = chance.integers(states, size=count), chance.integers(components, size=count)
    frames = sounds.means[state, component] + np.sqrt(sounds.variances[state, component]) * chance.standard_normal(
        (count, width)
    )
    shares = np.zeros((count, states, components))
    shares[np.arange(count), state, component] = 1.0
    return frames, shares


def test_frames_that_a_map_moved_are_brought_back() -> None:
    chance = np.random.default_rng(0)
    sounds = random_mixtures(chance)
    frames, shares = drawn(sounds, 20_000, chance)
    away = Map(np.eye(4) + 0.3 * chance.standard_normal((4, 4)), chance.standard_normal(4))
    moved = away.apply(frames)
    evidence = Evidence.zero(4)
    evidence.add(moved[:9_000], shares[:9_000], sounds)
    evidence.add(moved[9_000:], shares[9_000:], sounds)
    found = estimated(evidence, Map.none(4))
    there_and_back = found.after(away)
    assert np.allclose(there_and_back.matrix, np.eye(4), atol=0.02)
    assert np.allclose(there_and_back.offset, 0, atol=0.05)
    assert np.allclose(found.apply(moved), there_and_back.apply(frames), atol=1e-4)


def test_no_map_is_likelier() -> None:
    """Beside the sum as it is written (Gales 1998, equation 21), frame by frame."""
    chance = np.random.default_rng(1)
    sounds = random_mixtures(chance, 3, 2, 3)
    frames = chance.standard_normal((40, 3)) @ chance.standard_normal((3, 3)) + 1
    shares = chance.dirichlet(np.ones(6), 40).reshape(40, 3, 2)

    def likely(one: Map) -> float:
        total = 0.0
        for frame, share in zip(frames, shares, strict=True):
            moved = one.matrix @ frame + one.offset
            for state, component in np.ndindex(3, 2):
                away = (moved - sounds.means[state, component]) ** 2 / sounds.variances[state, component]
                total += share[state, component] * (np.linalg.slogdet(one.matrix)[1] - away.sum() / 2)
        return total

    evidence = Evidence.zero(3)
    evidence.add(frames.astype(np.float32), shares, sounds)
    start = Map.none(3)
    for _ in range(5):
        start = estimated(evidence, start)
    best = likely(start)
    assert best > likely(Map.none(3))
    for _ in range(50):
        near = Map(
            start.matrix + 1e-2 * chance.standard_normal((3, 3)), start.offset + 1e-2 * chance.standard_normal(3)
        )
        assert likely(near) < best


def test_what_is_expected_of_a_known_voice_needs_no_map() -> None:
    chance = np.random.default_rng(2)
    sounds = random_mixtures(chance)
    frames, shares = drawn(sounds, 200_000, chance)
    heard = Evidence.zero(4)
    heard.add(frames, shares, sounds)
    prior = expected(sounds, shares.sum(0), 200_000)
    assert prior.count == heard.count
    scale = np.abs(heard.squares).max()
    assert np.allclose(prior.squares / scale, heard.squares / scale, atol=0.01)
    assert np.allclose(prior.products / scale, heard.products / scale, atol=0.01)
    alone = estimated(prior, Map(np.eye(4) + 0.2 * chance.standard_normal((4, 4)), np.ones(4)))
    assert np.allclose(alone.matrix, np.eye(4), atol=1e-3)
    assert np.allclose(alone.offset, 0, atol=1e-2)


def test_sums_of_frames_are_as_good_as_the_frames() -> None:
    chance = np.random.default_rng(11)
    sounds = random_mixtures(chance)
    frames = chance.standard_normal((60, 4)).astype(np.float32)
    shares = chance.dirichlet(np.ones(10), 60).reshape(60, 5, 2)
    one = Evidence.zero(4)
    one.add(frames, shares, sounds)
    flat, wide = shares.reshape(60, 10), frames.astype(np.float64)
    other = Evidence.of(flat.sum(0), flat.T @ wide, np.einsum("nc,ni,nj->cij", flat, wide, wide), sounds)
    assert np.allclose(one.squares, other.squares)
    assert np.allclose(one.products, other.products)
    assert np.isclose(one.count, other.count)
