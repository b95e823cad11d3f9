"""From which length of the throat a voice's map is found, where nobody knows what is said."""

from __future__ import annotations

import numpy as np
import pytest

from asr_mixtures import random_mixtures
from trifold.tasks.asr.adapting.voices import Reader, brought
from trifold.tasks.asr.decoder import Decoder
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.refining.maps import Evidence, Map, estimated, expected
from trifold.tasks.asr.refining.throats import LENGTHS, Said, likeliest_map, throats
from trifold.tasks.asr.refining.told import chain_of
from trifold.tasks.asr.sound.utterances import Scale

WIDTH = 39


def test_little_speech_leaves_the_map_near_the_one_that_is_needed() -> None:
    chance = np.random.default_rng(0)
    sounds = random_mixtures(chance)
    needed = Map(np.eye(4) + 0.2 * chance.standard_normal((4, 4)), chance.standard_normal(4))
    found = estimated(expected(sounds, np.ones((5, 2)), 500.0, needed), Map.none(4))
    assert np.allclose(found.matrix, needed.matrix, atol=1e-3)
    assert np.allclose(found.offset, needed.offset, atol=1e-3)
    said = Said(Evidence.zero(4), np.ones((5, 2)), 0.0)
    start, near = likeliest_map([needed], lambda _: said, lambda _: said, sounds, 0.2, 2)
    assert start is needed
    assert np.allclose(near.matrix, needed.matrix, atol=1e-3)
    nothing = Said(Evidence.zero(4), np.zeros((5, 2)), 0.0)
    for starts in [needed], [needed, Map.none(4)]:
        maps = likeliest_map(starts, lambda _: nothing, lambda _: nothing, sounds, 0.2, 2)
        assert all(np.array_equal(one.matrix, np.eye(4)) for one in maps), "nothing was any phone"


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_squeezing_all_frames_together_makes_them_no_likelier(scale: float) -> None:
    """One state is near to everything that is squeezed, and says so: alone the density would be better there."""
    sounds = random_mixtures(np.random.default_rng(1))
    squeezed = Map(0.01 * np.eye(4), np.zeros(4))

    def hear(now: Map) -> Said:
        small = abs(np.linalg.det(now.matrix)) < 0.01
        zero = Evidence.zero(4)
        return Said(Evidence(zero.squares, zero.products, 100.0), np.ones((5, 2)), 100.0 * scale * small)

    assert likeliest_map([squeezed, Map.none(4)], hear, hear, sounds, scale, 0)[0].matrix[0, 0] == 1.0


def test_throats_lose_nothing_but_the_highest_cepstra() -> None:
    found = throats(np.linspace(20, 5, 13), WIDTH)
    assert len(found) == len(LENGTHS)
    assert np.allclose(found[LENGTHS.index(1.0)].matrix, np.eye(WIDTH), atol=1e-3)
    for one in found:
        assert np.linalg.cond(one.matrix) < 4
        assert not one.matrix[:13, 13:].any(), "slopes are mapped as what they are slopes of"


@pytest.mark.parametrize("length", [0, 2, 5])
def test_the_throat_is_the_one_that_makes_sense_of_what_is_said(length: int) -> None:
    """Of frames in which every state is near to some other one through a map that is wrong."""
    chance = np.random.default_rng(2)
    phones = 12
    sounds = random_mixtures(chance, 3 * phones, 1, WIDTH)
    sounds.means[:] *= 0.5
    spread = np.linspace(20, 5, 13).astype(np.float32)
    following = np.zeros((phones, phones))
    following[np.arange(phones), (np.arange(phones) * 5 + 1) % phones] = 0.9
    chain = Chain(np.full(phones, 1 / phones), following, np.full(phones, 0.1))
    scale = Scale(np.zeros(13, np.float32), spread)
    decoder = Decoder(tuple(map(chr, range(97, 97 + phones))), scale, np.full(3 * phones, 0.7), chain)
    said = [0]
    while len(said) < 240:
        said.append((said[-1] * 5 + 1) % phones)
    path = np.repeat(chain_of(said), 3)
    known = sounds.means[path, 0] + np.sqrt(sounds.variances[path, 0]) * chance.standard_normal((len(path), WIDTH))
    needed = throats(spread, WIDTH)[length]
    frames = needed.undone().apply(known)
    found = brought(Reader(decoder, sounds, 0.2), [frames[:1080], frames[1080:]])
    assert found.helps
    away = np.square(found.map.apply(frames) - known).mean()
    assert away < 0.2 * np.square(frames - known).mean()
