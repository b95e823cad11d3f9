"""Models of how phones sound and last, learnt from rough labels."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import STATES, PhoneModel, Spoken, first_model, improved
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

PHONES, WIDTH = 6, 5


def bigrams() -> Chain:
    """Each phone is followed by one of three others, or by the end."""
    chance = np.random.default_rng(0)
    following = np.zeros((PHONES, PHONES))
    for phone in range(PHONES):
        others = chance.choice([p for p in range(PHONES) if p != phone], 3, replace=False)
        following[phone, others] = 0.9 * chance.dirichlet(np.ones(3))
    return Chain(np.full(PHONES, 1 / PHONES), following, np.full(PHONES, 0.1))


def spoken(count: int, seed: int) -> tuple[list[Frames], list[list[Spoken]]]:
    """Utterances of 15 phones, each of 4 to 9 frames with a sound of its own."""
    chance = np.random.default_rng(seed)
    centres = 1.2 * np.random.default_rng(7).standard_normal((PHONES, WIDTH))
    chain, sounds, labels = bigrams(), [], []
    for _ in range(count):
        phone, at, said, frames = int(chance.integers(PHONES)), 0, [], []
        for _ in range(15):
            size = int(chance.integers(4, 10))
            said.append(Spoken(phone, at, at + size))
            frames.append(centres[phone] + chance.standard_normal((size, WIDTH)))
            at += size
            phone = int(chance.choice(PHONES, p=chain.following[phone] / chain.following[phone].sum()))
        sounds.append(np.concatenate(frames).astype(np.float32))
        labels.append(said)
    return sounds, labels


def right(found: list[list[Spoken]], wanted: list[list[Spoken]]) -> float:
    """Share of the frames with the right phone."""
    marks = [
        [np.repeat([s.phone for s in one], [s.last - s.first for s in one]) for one in both] for both in (found, wanted)
    ]
    return float(np.mean(np.concatenate(marks[0]) == np.concatenate(marks[1])))


def test_mixtures_are_normal_distributions() -> None:
    chance = np.random.default_rng(0)
    frames = (np.array([2.0, -1.0]) + chance.standard_normal((4000, 2)) * [1.0, 3.0]).astype(np.float32)
    one = Mixtures.single(frames, np.ones((4000, 1)))
    assert np.allclose(one.means[0, 0], [2, -1], atol=0.15)
    assert np.allclose(one.variances[0, 0], [1, 9], rtol=0.1)
    x = frames[:1].astype(float)
    mean, variance = one.means[0, 0], one.variances[0, 0]
    wanted = -0.5 * float((((x - mean) ** 2) / variance + np.log(2 * np.pi * variance)).sum())
    assert one.scores(frames[:1])[0, 0] == pytest.approx(wanted, rel=1e-5)
    two = one.split()
    assert two.means.shape == (1, 2, 2)
    assert np.allclose(two.components(frames[:5], np.ones((5, 1))).sum(2), 1)


def test_rough_labels_become_better_ones() -> None:
    sounds, labels = spoken(120, 1)
    chance = np.random.default_rng(2)
    rough = [
        [Spoken(int(chance.integers(PHONES)), s.first, s.last) if chance.random() < 0.45 else s for s in said]
        for said in labels
    ]
    assert 0.55 < right(rough, labels) < 0.72
    model = first_model(sounds, rough, bigrams())
    model, likelihoods = improved(model, sounds, 8)
    assert all(b > a for a, b in itertools.pairwise(likelihoods))
    unheard, unheard_labels = spoken(30, 3)
    found = model.read(unheard)
    best = improved(first_model(sounds, labels, bigrams()), sounds, 8)[0].read(unheard)
    assert right(found, unheard_labels) > right(best, unheard_labels) - 0.02 > 0.85
    for sound, phones in zip(unheard, found, strict=True):
        assert [p.first for p in phones[1:]] == [p.last for p in phones[:-1]]
        assert (phones[0].first, phones[-1].last) == (0, len(sound))
        assert all(p.last - p.first >= STATES for p in phones)


def test_an_utterance_too_short_for_a_phone_has_none() -> None:
    sounds, labels = spoken(5, 1)
    model = first_model(sounds, labels, bigrams())
    assert model.read([sounds[0][:2], sounds[0][:3], np.zeros((0, WIDTH), np.float32)])[0::2] == [[], []]


def test_models_of_mapped_frames_hear_them_mapped_again() -> None:
    """Whatever the size of the frames as they are."""
    pytest.importorskip("torch")
    from contextlib import nullcontext

    from trifold.task import no_progress
    from trifold.tasks.asr.learning.reading import Text
    from trifold.tasks.asr.learning.refined import refined
    from trifold.tasks.asr.learning.settings import LearningSettings

    sounds, labels = spoken(60, 3)
    space = Map(np.eye(WIDTH) / 100, np.full(WIDTH, 1.0))
    raw = [space.undone().apply(one) for one in sounds]
    given = first_model(sounds, labels, bigrams())
    sentences = [[one.phone for one in line] for line in labels]

    def rounds(by: Map | None, frames: list[Frames]) -> list[float]:
        read: list[float] = []
        refined(
            Told(given.sounds, given.stays, by),
            frames,
            Text.of(sentences, PHONES),
            lambda told: PhoneModel(told.sounds, told.stays, bigrams(), space=told.space),
            LearningSettings(refinements=2, components=1),
            lambda _, model: read.append(right(model.read(frames), labels)),
            lambda _: nullcontext(no_progress),
        )
        return read

    read = rounds(None, sounds)
    assert len(read) == 1
    assert min(read) > 0.85
    assert rounds(space, raw) == pytest.approx(read, abs=0.005)
    # Bigrams alone hear them so too.
    plain, again = (
        improved(replace(given, space=by), some, 2)[0].sounds.means for by, some in ((None, sounds), (space, raw))
    )
    assert np.allclose(plain, again, atol=1e-2)
