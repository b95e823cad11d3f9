"""From sounds without names to phones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trifold.tasks.asr.matching.chains import Chain, best_paths, posteriors
from trifold.tasks.asr.matching.decipherment import decipher
from trifold.tasks.asr.matching.skipgrams import (
    SkipGrams,
    _joined,
    distance,
    match_skipgrams,
    skipgrams_of,
    text_skipgrams,
)
from trifold.tasks.asr.text.ngrams import NGrams


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


def test_a_cipher_is_read_by_how_its_signs_follow_each_other() -> None:
    """Every phone has two signs of its own; which ones is found without being told."""
    chance = np.random.default_rng(0)
    phones = 8
    syllables = [(c, v) for c in range(4) for v in range(4, 8) if (c, v) not in {(0, 5), (1, 6), (2, 4)}]
    weights = chance.dirichlet(np.ones(len(syllables)))
    words = [sum((syllables[i] for i in chance.choice(len(syllables), 3, p=weights)), ()) for _ in range(40)]

    def sentences(count: int) -> list[tuple[int, ...]]:
        return [sum((words[i] for i in chance.integers(0, 40, 6)), ()) for _ in range(count)]

    chain = Chain(*NGrams.fit(sentences(800), 2, phones).transitions())
    spoken = sentences(300)
    signs = chance.permutation(2 * phones).reshape(phones, 2)
    heard = [np.array([signs[p, chance.integers(2)] for p in sentence]) for sentence in spoken]
    results = decipher(heard, chain, 2 * phones, restarts=8, seed=1)
    assert [r.likelihood for r in results] == sorted((r.likelihood for r in results), reverse=True)
    read = results[0].read(heard)
    right = np.mean([np.mean(a == np.array(b)) for a, b in zip(read, spoken, strict=True)])
    assert right > 0.95


SENTENCES = [(0, 1, 2, 1), (2,), (1, 2), (0, 0, 2, 1, 2)]


def test_the_skipgrams_of_certain_segments_are_those_of_the_text() -> None:
    """Utterances shorter than reach and places are among them: nothing of one may be counted for another."""
    import torch

    reach, places = 2, 4
    text = text_skipgrams(SENTENCES, 3, reach, places)
    pairs = [(a, b) for s in SENTENCES for a, b in itertools.pairwise(s)]
    assert text.pairs[0, 2, 1] == pytest.approx(pairs.count((2, 1)) / len(pairs))
    assert text.positions[1, 0] == pytest.approx([0, 1 / 4, 3 / 4], abs=1e-6)
    certain = [np.eye(3, dtype=np.float32)[list(s)] for s in SENTENCES]
    shares, inside, first, last = _joined(certain, max(reach, places))
    assert inside.sum() == sum(map(len, SENTENCES))
    found = skipgrams_of(shares, first, last, reach, places)
    assert np.allclose(found.pairs.numpy(), text.pairs, atol=1e-6)
    assert np.allclose(found.positions.numpy(), text.positions, atol=1e-6)
    wanted = SkipGrams(*(torch.from_numpy(part).float() for part in (text.pairs, text.positions)))
    assert float(distance(found, wanted, 1.0)) == pytest.approx(0, abs=1e-5)


def test_skipgrams_find_sounds_of_a_language_without_being_told() -> None:
    chance = np.random.default_rng(0)
    phones = 6
    words = [tuple(chance.permutation(phones)[: chance.integers(2, 5)].tolist()) for _ in range(12)]
    weights = chance.dirichlet(np.ones(12))

    def sentences(count: int) -> list[tuple[int, ...]]:
        return [sum((words[i] for i in chance.choice(12, 5, p=weights)), ()) for _ in range(count)]

    spoken = sentences(150)
    centres = chance.normal(size=(phones, 8))
    heard = [(centres[list(s)] + 0.2 * chance.normal(size=(len(s), 8))).astype(np.float32) for s in spoken]
    results = match_skipgrams(heard, sentences(600), phones, steps=150, rate=0.1, restarts=6)
    assert [r.loss for r in results] == sorted(r.loss for r in results)
    read = [results[0].logits(sounds).argmax(1) for sounds in heard]
    assert np.mean(np.concatenate(read) == np.concatenate([np.array(s) for s in spoken])) > 0.9
