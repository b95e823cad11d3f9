"""A start from a synthesiser: what it is asked to say, and how models of its voices are brought over to others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from trifold.errors import DataError, UsageError
from trifold.tasks.asr.learning.alike import made_alike
from trifold.tasks.asr.learning.kept import First, first_of
from trifold.tasks.asr.learning.pieces import pieces_of
from trifold.tasks.asr.refining.adapted import drawn, moved_together
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.phones import STATES, Spoken
from trifold.tasks.asr.refining.told import Told, chain_of
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.speaking.spoken import aloud, lines_of, read_mnemonics, speaks
from trifold.tasks.asr.text.inventory import Inventory
from trifold.tasks.asr.text.letters import Letters, Pronounced

SENTENCES = ("tata mani", "manisha", "qq tata", "ma", "tata " * 30)
LETTERS = Letters({"t": ("t",), "a": ("aa",), "m": ("m",), "n": ("n",), "i": ("i",), "sh": ("S",)})


def known() -> tuple[Pronounced, Inventory]:
    pronounced = Pronounced.of(SENTENCES, LETTERS)
    return pronounced, Inventory.of(pronounced)


def test_sentences_are_read_as_they_are_or_phone_by_phone() -> None:
    pronounced, inventory = known()
    # One with a word that cannot be pronounced is left out, and one that is too long.
    assert [line.content for line in lines_of(SENTENCES, pronounced, inventory)] == ["tata mani", "manisha", "ma"]
    mnemonics = {"t": "t", "aa": "a a", "m": "m", "n": "n", "i": "i", "S": "S"}
    lines = lines_of(SENTENCES, pronounced, inventory, mnemonics)
    assert lines[1].content == "[[m|a|a|n|i|S|a|a]]"
    assert [inventory.phones[i] for i in lines[1].phones] == ["m", "aa", "n", "i", "S", "aa"]
    with pytest.raises(DataError, match="found none for S"):
        lines_of(SENTENCES, pronounced, inventory, {key: one for key, one in mnemonics.items() if key != "S"})


def test_a_table_of_mnemonics_says_each_phone_once(tmp_path: Path) -> None:
    table = tmp_path / "said.txt"
    table.write_text("# phones\naa\ta a\nS\tS\n", encoding="utf-8")
    assert read_mnemonics(table) == {"aa": "a a", "S": "S"}
    for wrong in ("aa\n", "aa a\naa b\n"):
        table.write_text(wrong, encoding="utf-8")
        with pytest.raises(DataError, match="expected each phone once"):
            read_mnemonics(table)


def test_voices_say_lines_that_can_be_told_apart() -> None:
    pytest.importorskip("espeakng_loader")
    lines = lines_of(SENTENCES, *known())
    once, again, other = (list(aloud(lines, "sw", 3, seed)) for seed in (0, 0, 1))
    assert all(len(samples) > 3000 and np.abs(samples).max() <= 1 for samples, _ in once)
    assert sorted(phones for _, phones in once) == sorted(line.phones for line in lines)
    assert [phones for _, phones in once] == [phones for _, phones in again]
    assert all(np.array_equal(one, two) for (one, _), (two, _) in zip(once, again, strict=True))
    assert not np.allclose([len(one) for one, _ in once], [len(one) for one, _ in other], rtol=0.05)


def test_voices_and_sounds_that_there_are_not_are_named() -> None:
    pytest.importorskip("espeakng_loader")
    speaks("ro", {"e": "E"})
    with pytest.raises(UsageError, match=r"^nowhere: expected"):
        speaks("nowhere")
    with pytest.raises(UsageError, match="'¤'"):
        speaks("ro", {"e": "¤"})


def a_model(states: int, components: int, width: int) -> Mixtures:
    chance = np.random.default_rng(0)
    shape = (states, components, width)
    return Mixtures(chance.dirichlet(np.ones(components), states), chance.standard_normal(shape), np.ones(shape))


def totals_of(count: float, means: np.ndarray, spread: float) -> Totals:
    """What `count` frames in each component add up to."""
    totals = Totals.zero(*means.shape)
    totals.count += count
    totals.first += count * means
    totals.second += count * (means**2 + spread)
    return totals


def test_voices_that_differ_by_an_affine_map_are_brought_over() -> None:
    model = a_model(12, 2, 4)
    chance = np.random.default_rng(1)
    turned, moved = np.eye(4) + 0.3 * chance.standard_normal((4, 4)), chance.standard_normal(4)
    wanted = model.means @ turned.T + moved
    found = moved_together(model, totals_of(1000, wanted, 2.0))
    assert np.allclose(found.means, wanted, atol=0.05)
    assert np.allclose(found.variances, 2.0, rtol=0.05)
    # Nothing was heard: nothing moves.
    assert np.allclose(moved_together(model, Totals.zero(12, 2, 4)).means, model.means)


def test_what_was_heard_seldom_stays_where_it_was() -> None:
    model = a_model(3, 1, 2)
    often, seldom = (drawn(model, totals_of(n, model.means + 4, 1.0), np.ones(2), 30) for n in (3000, 1))
    assert np.allclose(often.means, model.means + 4, atol=0.1)
    assert np.allclose(seldom.means, model.means, atol=0.2)
    assert (often.variances > 0.5).all()
    assert np.allclose(often.weights.sum(1), 1)


def test_long_recordings_are_cut_at_pauses_and_put_together_again() -> None:
    chance = np.random.default_rng(0)
    utterances = [chance.standard_normal((size, 13)).astype(np.float32) for size in (1000, 900, 40, 50, 60)]
    pieces = pieces_of(utterances, [0, 0, 0, 1, 2])
    assert pieces.parts == [[0, 1], [2], [3], [4]]
    assert [len(one) for one in pieces.frames] == [1900, 40, 50, 60]
    labels = [[Spoken(1, 0, 1000)], [Spoken(1, 0, 10), Spoken(0, 10, 900)], [Spoken(2, 0, 40)], [], [Spoken(2, 0, 60)]]
    joined = pieces.joined(labels)
    assert joined[0] == [Spoken(1, 0, 1010), Spoken(0, 1010, 1900)]
    assert pieces.said(joined) == [[1, 2], [], [2]]
    some = pieces.sample(1, 0)
    assert len(set(some.recordings)) == 1
    assert pieces.sample(10**6, 0).recordings == pieces.recordings


@pytest.mark.parametrize("space", [None, Map(np.eye(3) * 2, np.arange(3.0))])
def test_what_a_seed_found_is_not_looked_for_again(space: Map | None, tmp_path: Path) -> None:
    model = a_model(6, 2, 3)
    first = First([[Spoken(1, 0, 5), Spoken(0, 5, 9)], []], Told(model, np.full(6, 0.5), space))
    pieces = [np.zeros((9, 3), np.float32), np.zeros((2, 3), np.float32)]
    place = tmp_path / "seed-0.npz"
    assert first_of(place, pieces, lambda: first) is first
    again = first_of(place, pieces, lambda: pytest.fail("looked for again"))
    assert again.labels == first.labels
    assert np.array_equal(again.told.sounds.means, model.means)
    frames = np.random.default_rng(3).standard_normal((4, 3)).astype(np.float32)
    assert np.array_equal(again.told.seen(frames), first.told.seen(frames))
    with pytest.raises(DataError, match="expected 1 pieces, found 2"):
        first_of(place, pieces[:1], lambda: first)
    place.write_bytes(place.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        first_of(place, pieces, lambda: first)


def test_voices_are_made_alike_by_maps_of_their_own() -> None:
    """Two say the same, one of them through a map: its frames come to the other's, and phones are told apart better."""
    chance = np.random.default_rng(4)
    centres = 2 * chance.standard_normal((5 * STATES, 4))
    turned, moved = np.eye(4) + 0.2 * chance.standard_normal((4, 4)), chance.standard_normal(4)
    lines = [chance.integers(0, 5, 8).tolist() for _ in range(120)]
    plain = [centres[np.repeat(chain_of(line), 3)] + 0.3 * chance.standard_normal((24 * STATES, 4)) for line in lines]
    whose = [number % 2 for number in range(120)]
    given = [
        np.asarray(one @ turned.T + moved if voice else one, np.float32)
        for one, voice in zip(plain, whose, strict=True)
    ]
    alike = made_alike(given, lines, whose, 5)

    def apart(frames: Sequence[Frames]) -> float:
        """How far the voices' mean of a phone's state are from each other, in its standard deviations."""
        paths = [np.repeat(chain_of(line), 3) for line in lines]
        found = []
        for state in range(5 * STATES):
            each = [
                np.concatenate([a[b == state] for a, b, v in zip(frames, paths, whose, strict=True) if v == voice])
                for voice in (0, 1)
            ]
            found.append(np.abs(each[0].mean(0) - each[1].mean(0)) / np.concatenate(each).std(0))
        return float(np.mean(found))

    assert [one.shape for one in alike] == [one.shape for one in given]
    assert apart(given) > 1.0
    assert apart(alike) < apart(given) / 3
