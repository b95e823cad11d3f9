"""Phones read with many before them in mind, and a start from a synthesiser: what is told apart, and what is held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trifold.tasks.asr.decoding.following import Following
from trifold.tasks.asr.decoding.phones import ORDER, PhoneSearch, grams_of
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.paths import STATES, Trigrams, best_phones
from trifold.tasks.asr.refining.phones import spoken_of
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.acoustics import Acoustics, Spectra, likened
from trifold.tasks.asr.sound.audio import RATE
from trifold.tasks.asr.text.ngrams import NGrams

SENTENCES = [(1, 2, 1, 3), (1, 2, 3), (2, 1, 2, 2), (2, 1), (3, 3, 1)]
SYMBOLS = 4


@pytest.mark.parametrize("seed", range(4))
def test_with_trigrams_the_search_finds_what_the_exact_one_does(seed: int) -> None:
    pytest.importorskip("torch")
    from trifold.tasks.asr.matching.trigrams import following_of

    chance = np.random.default_rng(seed)
    scores = chance.standard_normal((60, SYMBOLS * STATES)) * 1.5
    stays = chance.uniform(0.2, 0.8, SYMBOLS * STATES)
    exact = following_of(SENTENCES, SYMBOLS, skipped=0.0)
    wanted = best_phones(scores, stays, Trigrams.of(exact.first, exact.after, exact.ends))
    found = spoken_of(PhoneSearch(Following.of(NGrams.fit(SENTENCES, 3, SYMBOLS)), stays).states(scores))
    assert found == wanted
    assert len(found) > 3


def test_a_sound_that_says_nothing_is_read_by_what_was_said_long_before() -> None:
    """After 1 2 6 2 comes 3, after 4 2 6 2 comes 5: three phones lie between, too many for trigrams."""
    sentences = [(1, 2, 6, 2, 3), (4, 2, 6, 2, 5)] * 20
    symbols, frames = 7, 4
    for said in sentences[:2]:
        scores = np.full((frames * len(said), symbols * STATES), -20.0)
        for k, phone in enumerate(said):
            heard = (3, 5) if phone in (3, 5) else (phone,)
            for one in heard:
                scores[k * frames : (k + 1) * frames, one * STATES : (one + 1) * STATES] = 0.0
        search = PhoneSearch(grams_of(sentences, symbols), np.full(symbols * STATES, 0.3))
        found = spoken_of(search.states(scores))
        assert tuple(one.phone for one in found) == said
        assert [one.first for one in found] == [0, 4, 8, 12, 16]
    assert len(search.states(scores[:2])) == 2


def test_ngrams_come_back_from_a_file_that_is_whole(tmp_path: Path) -> None:
    known = grams_of(SENTENCES * 3, SYMBOLS)
    place = tmp_path / "grams.npz"
    known.write(place)
    again = Following.read(place, SYMBOLS)
    states, symbols = np.arange(len(known.shorter)), np.arange(len(known.shorter)) % SYMBOLS
    for before, after in zip(known.after(states, symbols), again.after(states, symbols), strict=True):
        assert np.allclose(before, after, atol=1e-5)
    with pytest.raises(ValueError, match="do not fit"):
        Following.read(place, SYMBOLS + 1)
    whole = place.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no arrays"):
        place.write_bytes(broken)
        with pytest.raises(ValueError, match=r"."):
            Following.read(place, SYMBOLS)
    replace(known, states=np.full(len(known.keys), 10**6)).write(place)
    with pytest.raises(ValueError, match="do not fit"):
        Following.read(place, SYMBOLS)


def test_rare_histories_are_left_out_and_frequent_ones_kept() -> None:
    whole = Following.of(NGrams.fit([(1, 2, 3, 1, 2)], ORDER, SYMBOLS))
    assert len(grams_of([(1, 2, 3, 1, 2)], SYMBOLS).shorter) < len(whole.shorter)
    model = NGrams.fit([(1, 2, 3, 1), (1, 2, 3, 2), (3, 2, 1, 1)], 4, SYMBOLS)
    pruned = model.without_rare()
    assert (1, 2, 3) in pruned.counts
    assert (3, 2, 1) in model.counts
    assert (3, 2, 1) not in pruned.counts
    assert (2, 1) in pruned.counts


def test_what_is_read_aloud_sounds_as_through_the_recordings_microphone() -> None:
    chance = np.random.default_rng(0)

    def speech(seconds: float, dull: bool, noise: float) -> np.ndarray:
        """Bursts of noise with pauses, as speech has them."""
        loud = np.repeat(np.arange(int(seconds * 4)) % 2, RATE // 4)
        samples = chance.standard_normal(len(loud)) * loud * 0.1
        if dull:
            samples = np.convolve(samples, np.ones(8) / 8, "same")
        return (samples + noise * chance.standard_normal(len(samples))).astype(np.float32)

    def acoustics(samples: np.ndarray) -> Acoustics:
        frames = len(samples) // 160
        loud = [(first, min(first + 25, frames)) for first in range(25, frames, 50)]
        found = Acoustics.of([Spectra.of(samples, loud)])
        assert found is not None
        return found

    wanted = acoustics(speech(8, dull=True, noise=0.005))
    own = acoustics(clear := speech(8, dull=False, noise=0.0))
    found = acoustics(likened(clear, own, wanted, np.random.default_rng(1)))

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(10 * np.log10(a / b))[5:-5].mean())

    assert apart(own.speech, wanted.speech) > 6
    assert apart(found.speech, wanted.speech) < 1.5
    assert apart(found.noise, wanted.noise) < 1.5
    assert abs(10 * np.log10(wanted.noise[20:200].mean() / 0.005**2)) < 1.5  # of the noise that was added
    assert Acoustics.of([None, Spectra.of(clear[:100], [])]) is None
    assert len(likened(clear[:0], own, wanted, np.random.default_rng(1))) == 0
    # Frames are looked at in blocks, of which the last one may be short.
    hum = np.random.default_rng(3).standard_normal(512 + 160 * 4055).astype(np.float32)
    whole = Spectra.of(hum, [(0, 4056)])
    assert whole is not None
    assert whole.frames == 4056
    assert np.allclose(whole.speech[9:-9].mean() / whole.frames, 1, atol=0.05)
    assert np.allclose(whole.noise[9:-9].mean(), 0.83, atol=0.1)


def test_a_phone_that_took_the_sounds_of_another_gives_them_back_to_the_text() -> None:
    """Phones 1 and 2 differ little in sound, and 1 is given both; what can follow what does not tell them apart."""
    pytest.importorskip("torch")
    from trifold.tasks.asr.matching.trigrams import following_of
    from trifold.tasks.asr.refining.balanced import Balance
    from trifold.tasks.asr.refining.heard import hear, relearnt

    chance = np.random.default_rng(0)
    sentences = [[3, *chance.choice([1, 2, 3], 6, p=[0.1, 0.5, 0.4]).tolist()] for _ in range(80)]
    centres = np.array([[9.0, 9], [0, 1], [1, 0], [-4, -4]])
    utterances, marks = [], []
    for sentence in sentences:
        phones = np.repeat(sentence, 6)
        marks.append(phones)
        utterances.append((centres[phones] + 0.3 * chance.standard_normal((len(phones), 2))).astype(np.float32))
    frames = np.concatenate(utterances).astype(np.float64)
    wrong = np.array([[9.0, 9], [0.5, 0.5], [2.5, 2.5], [-4, -4]])
    shape = (len(wrong) * STATES, 1, 2)
    first = Told(
        Mixtures(np.ones(shape[:2]), np.repeat(wrong, STATES, 0)[:, None], np.full(shape, 0.5)), np.full(shape[0], 0.6)
    )
    following = following_of(sentences, len(wrong), skipped=0.0)

    def right(balanced: bool) -> float:
        told, balance = first, None
        for _ in range(8):
            used = following if balance is None or not balanced else balance.on(following)
            found = relearnt(
                told, used, utterances, 0.3, lambda _, totals: totals.mixtures(frames.mean(0), frames.var(0))
            )
            counts = np.array([0.0, 1, 1, 1]) * sum(map(len, sentences)) / 3
            told = found.told
            balance = Balance.of(sentences, counts) if balance is None else balance.after(found.heard)
        said = list(hear(told, following, utterances, 0.3))
        pairs = [(marks[i], shares) for one in said for i, shares in zip(one.indices, one.shares, strict=True)]
        same = np.concatenate([shares.argmax(1) // STATES == phones for phones, shares in pairs])
        return float(np.mean(same))

    assert right(balanced=False) < 0.75
    assert right(balanced=True) > 0.9


def test_twice_as_many_of_every_phone_are_too_many_though_their_shares_are_right() -> None:
    from trifold.tasks.asr.refining.balanced import Balance

    balance = Balance.of([[1, 1, 2, 1]], np.array([50.0, 30, 10]))
    assert np.allclose(balance.wanted, [0, 30, 10])
    assert np.allclose(balance.after(np.array([99.0, 60, 20])).weights, [0, -np.log(2), -np.log(2)])
    assert np.allclose(balance.after(np.array([0.0, 30, 10])).weights, 0)


def test_a_voice_that_a_map_moved_away_is_brought_back() -> None:
    pytest.importorskip("torch")
    from trifold.tasks.asr.learning.reading import Text
    from trifold.tasks.asr.learning.spoken import Aloud, brought_over
    from trifold.tasks.asr.speaking.spoken import Voice

    chance = np.random.default_rng(2)
    sentences = [[1, *chance.choice([1, 2, 3], 7, p=[0.5, 0.3, 0.2]).tolist()] for _ in range(60)]
    centres = np.random.default_rng(5).standard_normal((4, 3)) * 2
    shape = (4 * STATES, 1, 3)
    models = Told(
        Mixtures(np.ones(shape[:2]), np.repeat(centres, STATES, 0)[:, None], np.full(shape, 0.25)),
        np.full(shape[0], 0.5),
    )
    matrix = np.eye(3) + 0.6 * np.random.default_rng(8).standard_normal((3, 3))
    marks = [np.repeat(sentence, 6) for sentence in sentences]
    frames = [
        ((centres[one] + 0.5 * chance.standard_normal((len(one), 3))) @ matrix.T + 2.5).astype(np.float32)
        for one in marks
    ]

    def right(told: Told) -> float:
        each = [told.sounds.scores(told.seen(a)).argmax(1) // STATES == b for a, b in zip(frames, marks, strict=True)]
        return float(np.mean(np.concatenate(each)))

    rounds = brought_over(models, frames, Aloud([Voice("en", ())]), Text.of(sentences, 4), 0.3, 0)
    assert right(models) < 0.65
    assert right(next(rounds)) > 0.7
    assert right(list(rounds)[-1]) > 0.95


def test_models_are_of_what_is_read_aloud_as_the_recordings_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A microphone like the synthesiser's changes nothing; one with hiss above 2 kHz does."""
    pytest.importorskip("torch")
    from contextlib import nullcontext

    from trifold.task import no_progress
    from trifold.tasks.asr.learning import spoken
    from trifold.tasks.asr.learning.settings import LearningSettings
    from trifold.tasks.asr.speaking.spoken import Line, Voice

    chance = np.random.default_rng(0)
    low = np.convolve(chance.standard_normal(RATE // 4), np.ones(8) / 8, "same")
    read = [(0.1 * np.concatenate([low, chance.standard_normal(RATE // 4)]).astype(np.float32), (1, 2))] * 8
    monkeypatch.setattr(spoken, "aloud", lambda *_: iter(read))
    whole = Spectra.of(np.concatenate([one for one, _ in read]), [(0, 300)])
    clear = Acoustics.of([whole])
    assert clear is not None
    noise = np.where(np.arange(257) > 64, 10.0, 1e-6)
    deaf = Acoustics(np.where(np.arange(257) > 64, 10.0, clear.speech), noise)

    def means(acoustics: Acoustics | None) -> np.ndarray:
        said = spoken.Aloud([Voice("en", [Line("", (1, 2))] * 8)], acoustics=acoustics)
        told = spoken.told_aloud(
            said, 3, LearningSettings(spoken=8, components=1), 0, lambda _: nullcontext(no_progress), ""
        )
        return told.sounds.means[STATES:]

    plain = means(None)
    assert np.abs(means(replace(clear, noise=np.full(257, 1e-12))) - plain).mean() < 0.06
    assert np.abs(means(deaf) - plain).mean() > 0.12
