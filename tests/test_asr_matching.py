"""From sounds without names to phones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from trifold.tasks.asr.matching.chains import Chain, best_paths, posteriors
from trifold.tasks.asr.matching.skipgrams import SkipGrams, distance, match_skipgrams, skipgrams_of
from trifold.tasks.asr.matching.trigrams import _likelihood, following_of, reread
from trifold.tasks.asr.matching.units import segment_features, units_of


def some_chain(states: int, seed: int = 0) -> Chain:
    chance = np.random.default_rng(seed)
    rows = chance.dirichlet(np.ones(states + 1), states)
    return Chain(chance.dirichlet(np.ones(states)), rows[:, :-1], rows[:, -1])


def test_posteriors_and_paths_are_those_of_all_paths_together() -> None:
    """Against the sum and the maximum over every path there is."""
    states, lengths = 3, np.array([4, 1, 3])
    chain = some_chain(states)
    scores = np.random.default_rng(1).normal(size=(3, 4, states)) * 3
    gamma, moved, likelihood = posteriors(chain, scores, lengths)
    paths = best_paths(chain, scores, lengths)
    wanted_moves = np.zeros((states, states))
    for b, length in enumerate(lengths.tolist()):
        weights = {}
        for path in itertools.product(range(states), repeat=length):
            p = chain.initial[path[0]] * chain.ends[path[-1]]
            p *= np.prod([chain.following[x, y] for x, y in itertools.pairwise(path)])
            weights[path] = float(p * np.exp(sum(scores[b, t, s] for t, s in enumerate(path))))
        total = sum(weights.values())
        assert likelihood[b] == pytest.approx(np.log(total))
        assert tuple(paths[b]) == max(weights, key=lambda path: weights[path])
        wanted = np.zeros((4, states))
        for path, weight in weights.items():
            for t, s in enumerate(path):
                wanted[t, s] += weight / total
            for x, y in itertools.pairwise(path):
                wanted_moves[x, y] += weight / total
        assert np.allclose(gamma[b], wanted)
    assert np.allclose(moved, wanted_moves)


def test_long_utterances_do_not_underflow() -> None:
    chain = some_chain(4)
    scores = np.full((1, 3000, 4), -900.0)
    gamma, _, likelihood = posteriors(chain, scores, np.array([3000]))
    assert np.allclose(gamma.sum(2), 1)
    assert np.isfinite(likelihood).all()


SENTENCES = [(0, 1, 2, 1), (2,), (1, 2), (0, 0, 2, 1, 2)]


def test_skipgrams_are_those_of_the_sentences() -> None:
    found = skipgrams_of(SENTENCES, 3, 2, 4)
    near = [(a, b) for s in SENTENCES for a, b in itertools.pairwise(s)]
    far = [(a, b) for s in SENTENCES for a, b in zip(s, s[2:], strict=False)]
    assert found.pairs[0, 2, 1] == pytest.approx(near.count((2, 1)) / len(near))
    assert found.pairs[1, 0, 1] == pytest.approx(far.count((0, 1)) / len(far))
    assert found.positions[1, 0] == pytest.approx([0, 1 / 4, 3 / 4], abs=1e-6)
    assert found.positions[0, 1] == pytest.approx([1 / 3, 1 / 3, 1 / 3], abs=1e-6)


def test_units_that_are_phones_under_other_names_are_at_no_distance() -> None:
    import torch

    names = (4, 1, 3)
    units = [tuple(names[p] for p in s) for s in SENTENCES]
    there, text = (
        SkipGrams(torch.from_numpy(one.pairs), torch.from_numpy(one.positions))
        for one in (skipgrams_of(units, 5, 2, 4), skipgrams_of(SENTENCES, 3, 2, 4))
    )
    right, wrong = torch.zeros(5, 3), torch.zeros(5, 3)
    for phone, unit in enumerate(names):
        right[unit, phone] = wrong[unit, (phone + 1) % 3] = 1
    near, far = distance(there, text, torch.stack([right, wrong]), 1.0).tolist()
    assert near == pytest.approx(0, abs=1e-5)
    assert far > 0.5


def language(seed: int, phones: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """150 sentences that are said, and 600 others that are written."""
    chance = np.random.default_rng(seed)
    words = [tuple(chance.permutation(phones)[: chance.integers(2, 5)].tolist()) for _ in range(12)]
    weights = chance.dirichlet(np.ones(12))

    def sentences(count: int) -> list[tuple[int, ...]]:
        return [sum((words[i] for i in chance.choice(12, 5, p=weights)), ()) for _ in range(count)]

    return sentences(150), sentences(600)


def test_skipgrams_find_sounds_of_a_language_without_being_told() -> None:
    phones = 6
    spoken, written = language(0, phones)
    chance = np.random.default_rng(1)
    signs = chance.permutation(3 * phones).reshape(phones, 3)
    heard = [[int(signs[p, chance.integers(3)]) for p in s] for s in spoken]
    results = match_skipgrams(heard, written, (3 * phones, phones), steps=150, starts=6)
    assert [r.loss for r in results] == sorted(r.loss for r in results)
    read = [results[0].shares[u].argmax(1) for u in heard]
    assert np.mean(np.concatenate(read) == np.concatenate([np.array(s) for s in spoken])) > 0.9


def test_the_likelihood_with_trigrams_is_that_of_all_paths_together() -> None:
    """Paths of phones and of "the same phone goes on", each with its probability, against the recursion."""
    import torch

    phones, units = 3, [np.array([0, 1, 1]), np.array([2])]
    following = following_of(SENTENCES, phones)
    chance = np.random.default_rng(0)
    scores = torch.from_numpy(chance.normal(size=(2, 3, phones)).astype(np.float32))
    stays = torch.tensor([0.1, 0.3, 0.2])
    found = _likelihood(scores, torch.tensor([len(one) for one in units]), following, stays)
    heard = scores.exp().numpy()
    first, after, ends = (part.numpy() for part in (following.first, following.after, following.ends))

    def total(row: int, t: int, last: int, now: int, p: float) -> float:
        if t == len(units[row]) - 1:
            return p * float(ends[last, now])
        on = p * float(stays[now] * heard[row, t + 1, now])
        moved = (p * float((1 - stays[now]) * after[last, now, k] * heard[row, t + 1, k]) for k in range(phones))
        return total(row, t + 1, last, now, on) + sum(total(row, t + 1, now, k, q) for k, q in enumerate(moved))

    for row in range(2):
        wanted = sum(total(row, 0, phones, k, float(first[k] * heard[row, 0, k])) for k in range(phones))
        assert float(found[row]) == pytest.approx(np.log(wanted), abs=1e-4)


def test_reading_again_mends_what_the_matcher_got_wrong() -> None:
    """A fifth of the units begin with a wrong phone; segments are divided now and then, as real ones are."""
    phones = 6
    spoken, written = language(0, phones)
    chance = np.random.default_rng(2)
    signs = chance.permutation(5 * phones).reshape(phones, 5)
    truth = [[p for p in s for _ in range(1 + int(chance.random() < 0.1))] for s in spoken]
    heard = [np.array([signs[p, chance.integers(5)] for p in s]) for s in truth]
    shares = np.full((5 * phones, phones), 0.02, np.float32)
    for phone, names in enumerate(signs):
        shares[names, phone] = 0.9
    for unit in chance.choice(5 * phones, phones, replace=False):
        shares[unit] = np.roll(shares[unit], 1)

    def wrong(read: list[Any]) -> float:
        return float(np.mean(np.concatenate(read) != np.concatenate(truth)))

    before = wrong([shares[one].argmax(1) for one in heard])
    result = reread(heard, shares / shares.sum(1, keepdims=True), following_of(written, phones), rounds=5)
    assert before > 0.1
    assert wrong([one.argmax(1) for one in result.shares]) < before / 4
    assert all(np.allclose(one.sum(1), 1, atol=1e-3) for one in result.shares)


def test_like_sounds_get_the_same_unit_and_what_varies_within_sounds_counts_little() -> None:
    chance = np.random.default_rng(0)
    kinds = chance.integers(0, 4, 200)
    centres = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * 3.0
    utterances, bounds = [], []
    for part in np.split(kinds, 10):
        frames = np.repeat(centres[part], 5, 0) + 0.3 * chance.standard_normal((5 * len(part), 2))
        loud = 20 * chance.standard_normal((len(frames), 1))  # a direction that says nothing
        utterances.append(np.concatenate([frames, loud], 1).astype(np.float32))
        bounds.append(np.arange(0, len(frames) + 1, 5))
    units = np.concatenate(units_of(segment_features(utterances, bounds), 4, seed=1))
    table = np.zeros((4, 4))
    np.add.at(table, (units, kinds), 1)
    assert table.max(1).sum() / len(kinds) > 0.95
