"""Models that learn from what they hear themselves with long n-grams in mind, and whether that is to be believed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import pytest

from test_asr_refining import PHONES, WIDTH, bigrams, right, spoken
from trifold.task import Progress, no_progress
from trifold.tasks.asr.decoding.phones import BigramSearch, PhoneSearch, grams_of
from trifold.tasks.asr.learning.pieces import Pieces
from trifold.tasks.asr.learning.selftaught import likely, self_taught, set_apart
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import STATES, PhoneModel, Spoken, first_model, improved, spoken_of
from trifold.tasks.asr.refining.reheard import reheard
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

SETTINGS = LearningSettings(rehearings=4, scale=0.5)


def away(chance: np.random.Generator) -> Map:
    turned = np.eye(WIDTH) + 0.25 * chance.standard_normal((WIDTH, WIDTH))
    return Map(turned, 0.5 * chance.standard_normal(WIDTH))


def learnt(sounds: list[Frames], labels: list[list[Spoken]]) -> PhoneModel:
    return replace(improved(first_model(sounds, labels, bigrams()), sounds, 3)[0], scale=SETTINGS.scale)


def pieces_of(sounds: list[Frames]) -> Pieces:
    numbers = list(range(len(sounds)))
    return Pieces(sounds, [[i] for i in numbers], numbers, [len(one) for one in sounds])


def said(labels: list[list[Spoken]]) -> list[list[int]]:
    return [[one.phone for one in line] for line in labels]


def test_a_voice_is_brought_over_by_a_map_and_each_distribution() -> None:
    """One voice's phones, all moved by a map and one more by itself: the map alone would miss that one."""
    sounds, labels = spoken(60, 1)
    model = learnt(sounds, labels)
    others, wanted = spoken(80, 2)
    shift = np.zeros((PHONES, WIDTH), np.float32)
    shift[3] = 0.9
    moved = away(np.random.default_rng(5))
    heard = [
        moved.apply(one + np.repeat(shift[[s.phone for s in line]], [s.last - s.first for s in line], axis=0))
        for one, line in zip(others, wanted, strict=True)
    ]
    search = PhoneSearch(grams_of(said(labels), PHONES), model.stays)

    def rightly(told: Told) -> float:
        by = search.lasting(told.stays)
        found = [spoken_of(by.states(SETTINGS.scale * told.sounds.scores(told.seen(one)))) for one in heard]
        return right(found, wanted)

    told = Told(model.sounds, model.stays)
    before = rightly(told)
    done: list[int] = []
    for _ in range(4):
        told = reheard(told, search, heard, SETTINGS.scale, lambda n, _: done.append(n))
    assert done == [*range(1, 81)] * 4
    assert before < 0.75
    assert rightly(told) > 0.85
    assert told.space is not None
    back = told.seen(np.concatenate(heard))
    assert (
        np.square(back - np.concatenate(others)).mean()
        < 0.3 * np.square(np.concatenate(heard) - np.concatenate(others)).mean()
    )


def test_a_round_goes_on_from_the_map_before_it() -> None:
    sounds, labels = spoken(40, 1)
    model = learnt(sounds, labels)
    space = away(np.random.default_rng(6))
    raw = [space.undone().apply(one) for one in sounds]
    search = BigramSearch(bigrams(), model.stays)
    plain = reheard(Told(model.sounds, model.stays), search, sounds, SETTINGS.scale)
    mapped = reheard(Told(model.sounds, model.stays, space), search, raw, SETTINGS.scale)
    assert np.allclose(plain.sounds.means, mapped.sounds.means, atol=1e-3)
    assert np.allclose(plain.seen(sounds[0]), mapped.seen(raw[0]), atol=1e-2)


def test_stretches_too_short_for_a_phone_are_left_out() -> None:
    sounds, labels = spoken(20, 1)
    model = learnt(sounds, labels)
    told, search = Told(model.sounds, model.stays), BigramSearch(bigrams(), model.stays)
    with_short = reheard(told, search, [*sounds, sounds[0][: STATES - 1]], SETTINGS.scale)
    assert np.array_equal(with_short.sounds.means, reheard(told, search, sounds, SETTINGS.scale).sounds.means)


def test_what_is_learnt_is_kept_where_recordings_kept_apart_become_likelier() -> None:
    sounds, labels = spoken(60, 1)
    model = learnt(sounds, labels)
    grams = grams_of(said(labels), PHONES)
    others, wanted = spoken(120, 2)
    moved = away(np.random.default_rng(5))
    heard = [moved.apply(one) for one in others]
    names: list[str] = []

    def report(name: str) -> AbstractContextManager[Progress]:
        names.append(name)
        return nullcontext(no_progress)

    apart, rest = set_apart(pieces_of(heard), 0)
    found = self_taught(model, grams, rest, apart, SETTINGS, report)
    assert found is not None
    assert names == [f"hearing with 5 phones before each, {n} of 4" for n in (1, 2, 3, 4)]
    assert right(found.read(heard), wanted) > right(model.read(heard), wanted) + 0.1
    alone = pieces_of(heard[:1])
    assert set_apart(alone, 0)[1].frames == alone.frames
    assert self_taught(model, grams, alone, set_apart(alone, 0)[0], SETTINGS, report) is None, "nothing is kept apart"


def test_the_last_rounds_hear_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sounds, labels = spoken(40, 1)
    model = learnt(sounds, labels)
    apart, rest = set_apart(pieces_of(sounds), 0)
    monkeypatch.setattr("trifold.tasks.asr.learning.selftaught._FRAMES", 5 * len(sounds[0]))
    heard: list[int] = []

    def report(_: str) -> AbstractContextManager[Progress]:
        heard.append(0)

        def progress(done: int, of: int) -> None:
            assert 0 < done <= of
            heard[-1] = of

        return nullcontext(progress)

    self_taught(model, grams_of(said(labels), PHONES), rest, apart, SETTINGS, report)
    assert heard[-2:] == [len(rest.frames)] * 2
    assert max(heard[:-2]) < 10


def test_what_makes_recordings_kept_apart_unlikelier_is_not_kept() -> None:
    """Learnt by heart from another voice than theirs, it is no better a model of them."""
    sounds, labels = spoken(100, 1)
    model = learnt(sounds, labels)
    grams = grams_of(said(labels), PHONES)
    apart, rest = set_apart(pieces_of(sounds), 0)
    strange = away(np.random.default_rng(5))
    mixed = pieces_of([strange.apply(one) for one in rest.frames])
    found = self_taught(model, grams, mixed, apart, SETTINGS, lambda _: nullcontext(no_progress))
    assert found is None


def test_what_is_kept_apart_is_a_tenth_at_most() -> None:
    sounds, _ = spoken(40, 1)
    apart, others = set_apart(pieces_of(sounds), 3)
    assert sorted(apart.recordings + others.recordings) == list(range(40))
    whole = sum(map(len, sounds))
    assert 0.05 * whole < sum(map(len, apart.frames)) <= 0.1 * whole


def test_how_long_states_last_is_learnt_and_heard_with() -> None:
    """Two phones that sound alike and follow each other: only how long they last tells where the second begins."""
    chain = Chain(np.array([1.0, 0.0]), np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([0.0, 1.0]))
    sounds = Mixtures(np.ones((6, 1)), np.zeros((6, 1, WIDTH)), np.ones((6, 1, WIDTH)))
    frames = [np.zeros((200, WIDTH), np.float32)]
    search = BigramSearch(chain, np.full(6, 0.5))
    for stays in (np.repeat([0.05, 0.98], 3), np.repeat([0.98, 0.05], 3)):
        found = reheard(Told(sounds, stays), search, frames, SETTINGS.scale)
        assert np.argmax(found.stays) // STATES == np.argmax(stays) // STATES
        assert found.stays.max() > 0.97
    few = reheard(Told(sounds, np.full(6, 0.5)), search, [frames[0][:8]], SETTINGS.scale)
    assert np.abs(few.stays - 0.5).max() < 0.1


def test_a_map_that_makes_frames_small_is_no_better_for_that() -> None:
    """Densities of mapped frames are of a stretched space: without the determinant, less of it is always more."""
    sounds, labels = spoken(100, 1)
    model = learnt(sounds, labels)
    search = PhoneSearch(grams_of(said(labels), PHONES), model.stays)
    small = Map(np.eye(WIDTH) / 100, np.zeros(WIDTH))
    shrunk = replace(
        model,
        space=small,
        sounds=Mixtures(model.sounds.weights, model.sounds.means / 100, model.sounds.variances / 100**2),
    )
    assert likely(shrunk, search, sounds) == pytest.approx(likely(model, search, sounds), rel=1e-3)
