"""Phones heard with what the two before make likely: against every reading there is, one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from trifold.tasks.asr.matching.trigrams import Following, following_of
from trifold.tasks.asr.refining.heard import hear, relearnt
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.paths import STATES, Trigrams, best_phones
from trifold.tasks.asr.refining.told import Told, aligned, learn_told
from trifold.tasks.asr.sound.features import Frames

pytest.importorskip("torch")

PHONES = 3
SENTENCES = [(1, 2, 1), (1, 2), (2, 1, 2, 2), (2, 1)]


def told(width: int = 2, seed: int = 0) -> Told:
    chance = np.random.default_rng(seed)
    shape = (PHONES * STATES, 2, width)
    weights = chance.dirichlet(np.ones(2), shape[0])
    sounds = Mixtures(weights, chance.standard_normal(shape), chance.uniform(0.5, 2, shape))
    return Told(sounds, chance.uniform(0.2, 0.8, shape[0]))


def some(lengths: tuple[int, ...], seed: int = 1) -> list[Frames]:
    chance = np.random.default_rng(seed)
    return [chance.standard_normal((length, 2)).astype(np.float32) for length in lengths]


def readings(
    scores: np.ndarray, stays: np.ndarray, following: Following
) -> list[tuple[float, list[int], list[tuple[int, int, int]]]]:
    """Every way to read an utterance: its log-probability, the state of each frame, and phones with their frames."""
    first, after, ends = (one.double().numpy() for one in (following.first, following.after, following.ends))
    frames, found = len(scores), []
    for count in range(1, frames // STATES + 1):
        for phones in itertools.product(range(PHONES), repeat=count):
            states = [phone * STATES + place for phone in phones for place in range(STATES)]
            for cuts in itertools.combinations(range(1, frames), len(states) - 1):
                edges = [0, *cuts, frames]
                before = [PHONES, *phones]
                likely = math.log(first[phones[0]] + 1e-300)
                likely += sum(math.log(after[before[k], phones[k], phones[k + 1]] + 1e-300) for k in range(count - 1))
                likely += math.log(ends[before[count - 1], phones[-1]] + 1e-300)
                path = []
                for state, (a, b) in zip(states, itertools.pairwise(edges), strict=True):
                    likely += scores[a:b, state].sum() + (b - a - 1) * math.log(stays[state])
                    likely += math.log(1 - stays[state])
                    path += [state] * (b - a)
                said = [(p, edges[k * STATES], edges[(k + 1) * STATES]) for k, p in enumerate(phones)]
                found.append((likely, path, said))
    return found


def test_shares_are_those_of_all_readings_together() -> None:
    model, following = told(), following_of(SENTENCES, PHONES, skipped=0.0)
    utterances = some((7, 2, 5, 8))
    seen = {}
    for heard in hear(model, following, utterances, 0.7):
        stayed, likelihood = np.zeros(PHONES * STATES), 0.0
        for i, shares in zip(heard.indices, heard.shares, strict=True):
            each = readings(0.7 * model.sounds.scores(utterances[i]), model.stays, following)
            total = np.logaddexp.reduce([likely for likely, _, _ in each])
            wanted = np.zeros_like(shares, np.float64)
            for likely, path, _ in each:
                wanted[np.arange(len(path)), path] += math.exp(likely - total)
                for a, b in itertools.pairwise(path):
                    stayed[a] += math.exp(likely - total) * (a == b)
            assert np.allclose(shares, wanted, atol=1e-4)
            likelihood += total
            seen[i] = True
        assert np.allclose(heard.stayed, stayed, atol=1e-3)
        assert heard.likelihood == pytest.approx(likelihood, abs=1e-3)
    assert sorted(seen) == [0, 2, 3]  # two frames are too few for a phone


@pytest.mark.parametrize("seed", range(5))
def test_the_best_phones_are_the_likeliest_reading(seed: int) -> None:
    model, following = told(seed=seed), following_of(SENTENCES, PHONES, skipped=0.0)
    (utterance,) = some((8,), seed)
    scores = model.sounds.scores(utterance)
    found = best_phones(scores, model.stays, Trigrams.of(following.first, following.after, following.ends))
    _, _, wanted = max(readings(scores, model.stays, following), key=lambda one: one[0])
    assert [(one.phone, one.first, one.last) for one in found] == wanted


def test_no_phone_is_found_in_less_than_it_lasts() -> None:
    following = following_of(SENTENCES, PHONES)
    trigrams = Trigrams.of(following.first, following.after, following.ends)
    assert best_phones(np.zeros((2, PHONES * STATES)), np.full(PHONES * STATES, 0.5), trigrams) == []


def test_each_round_makes_what_is_heard_likelier() -> None:
    following, utterances = following_of(SENTENCES, PHONES, skipped=0.0), some((30, 40, 25, 33) * 5)
    frames = np.concatenate(utterances).astype(np.float64)
    model, found = told(), []
    for _ in range(5):
        found.append(sum(heard.likelihood for heard in hear(model, following, utterances, 1.0)))
        model = relearnt(
            model, following, utterances, 1.0, lambda _, totals: totals.mixtures(frames.mean(0), frames.var(0))
        ).told
    # The priors of the distributions may cost the last round a little.
    assert found[-1] > found[0] + 10
    assert all(b > a - 0.5 for a, b in itertools.pairwise(found))


def lasting(sequences: list[list[int]], seed: int) -> tuple[list[Frames], list[list[int]]]:
    """Utterances of phones with sounds of their own, 4 to 9 frames each, and the phone of each frame."""
    chance = np.random.default_rng(seed)
    centres = 2.0 * np.random.default_rng(3).standard_normal((PHONES, 4))
    frames, marks = [], []
    for phones in sequences:
        marks.append([phone for phone in phones for _ in range(int(chance.integers(4, 10)))])
        frames.append((centres[marks[-1]] + chance.standard_normal((len(marks[-1]), 4))).astype(np.float32))
    return frames, marks


def test_where_known_phones_are_said_is_found_from_their_order_alone() -> None:
    chance = np.random.default_rng(0)
    sequences = [chance.integers(PHONES, size=12).tolist() for _ in range(60)]
    frames, marks = lasting(sequences, 1)
    # One that is too short for its phones is left out, and one without any.
    model = learn_told([*frames, frames[0][:5], frames[0]], [*sequences, sequences[0], []], PHONES, 2)
    assert model.sounds.means.shape[1] == 2
    chains = [np.array([p * STATES + s for p in one for s in range(STATES)]) for one in sequences]
    paths = aligned(model, frames, chains)
    found = np.concatenate([path // STATES for path in paths])
    assert np.mean(found == np.concatenate(marks)) > 0.9
    for path, chain in zip(paths, chains, strict=True):
        assert [state for state, _ in itertools.groupby(path.tolist())] == chain.tolist()
