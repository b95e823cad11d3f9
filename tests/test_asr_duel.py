"""The adversarial matcher's training, on five phones whose sounds are clear and whose order is a language's."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from trifold.errors import DataError, InvalidInput
from trifold.task import no_progress
from trifold.tasks.asr.learning.reading import Text, phones_of_segments
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.matching.adversarial import GanSettings, generator
from trifold.tasks.asr.matching.batches import Rows, repeated
from trifold.tasks.asr.matching.duel import Checkpoint, Watched, duel
from trifold.tasks.asr.matching.generated import Generated, generated_of
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.sound.features import Frames

PHONES, WIDTH = 5, 8
FOLLOWING = {0: (1, 2, 0.8), 1: (3, 0, 0.7), 2: (4, 3, 0.6), 3: (2, 4, 0.75), 4: (0, 1, 0.85)}
TOY = GanSettings(
    kernel=1,
    hidden=32,
    reach=4,
    batch=64,
    steps=900,
    smooth=0.02,
    penalty=0.5,
    generator_rate=1e-2,
    discriminator_rate=3e-3,
)
QUICK = replace(TOY, steps=12, batch=8, hidden=8)


def sentences(count: int, seed: int) -> list[tuple[int, ...]]:
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        said = [0 if chance.random() < 0.8 else 3]
        for _ in range(int(chance.integers(5, 12))):
            one, other, share = FOLLOWING[said[-1]]
            said.append(one if chance.random() < share else other)
        found.append(tuple(said))
    return found


def sounds(said: list[tuple[int, ...]], seed: int) -> list[Frames]:
    """One or two segments of each phone, each around the phone's own place."""
    chance = np.random.default_rng(seed)
    found = []
    for phones in said:
        labels = np.repeat(phones, chance.integers(1, 3, len(phones)))
        noise = 0.3 * chance.standard_normal((len(labels), WIDTH))
        found.append((3 * np.eye(WIDTH)[labels] + noise).astype(np.float32))
    return found


@pytest.fixture(autouse=True)
def one_core() -> None:
    torch.set_num_threads(1)


def same(a: Generated, b: Generated) -> bool:
    return np.array_equal(a.kernel, b.kernel)


def test_phones_get_their_names_without_a_label() -> None:
    said, heard = sentences(200, 1), sentences(60, 2)
    records: list[Watched] = []
    learnt = duel(sounds(said, 3), sentences(400, 4), PHONES, TOY, watch=records.append, every=300)
    read = learnt.phones(sounds(heard, 5))
    assert compare(zip(heard, read, strict=True)).rate < 0.2
    assert [one.step for one in records] == [300, 600, 900]
    last = records[-1]
    assert last.used == PHONES
    assert 0.9 < last.rate < 1.1
    assert 3 < last.perplexity <= PHONES
    assert all(0 <= one.told <= 1 for one in records)


def test_a_training_that_goes_on_from_a_checkpoint_ends_like_one_that_was_not_interrupted() -> None:
    heard, text = sounds(sentences(20, 1), 2), sentences(30, 3)
    clusters = [np.arange(len(one)) % 7 for one in heard]
    settings = replace(QUICK, normalise=True, auxiliary=0.5)
    kept: list[bytes] = []

    def keep(one: Checkpoint) -> None:
        kept.append(pickle.dumps((one.step, one.state)))

    whole = duel(heard, text, PHONES, settings, seed=5, clusters=clusters, checkpoint=keep, every=5)
    states = [pickle.loads(one) for one in kept]
    assert [step for step, _ in states] == [5, 10, 12]
    for _, state in states[:2]:
        resumed = duel(heard, text, PHONES, settings, seed=5, clusters=clusters, resume=state)
        assert same(resumed, whole)
    assert not same(duel(heard, text, PHONES, settings, seed=6, clusters=clusters), whole)


def test_watching_changes_nothing_and_the_callers_luck_is_left_alone() -> None:
    heard, text = sounds(sentences(20, 1), 2), sentences(30, 3)
    before = torch.get_rng_state()
    unseen = duel(heard, text, PHONES, QUICK, repeats=True)
    assert torch.get_rng_state().equal(before)
    assert same(duel(heard, text, PHONES, QUICK, repeats=True, watch=lambda _: None, every=3), unseen)
    assert not same(duel(heard, text, PHONES, QUICK), unseen)


def test_turns_alternate_and_begin_with_the_discriminator() -> None:
    heard, text = sounds(sentences(20, 1), 2), sentences(30, 3)
    makers, judges = [], []

    def look(one: Checkpoint) -> None:
        makers.append(one.state["maker"]["convolution.weight"])
        judges.append(one.state["judge"]["layers.0.weight"])

    duel(heard, text, PHONES, replace(QUICK, steps=5), checkpoint=look, every=1)
    assert [not a.equal(b) for a, b in itertools.pairwise(makers)] == [True, False, True, False]
    assert [not a.equal(b) for a, b in itertools.pairwise(judges)] == [False, True, False, True]


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("kernel", [1, 4])
def test_what_was_learnt_reads_without_torch_as_the_network_does(normalise: bool, kernel: int) -> None:
    torch.manual_seed(0)
    network = generator(WIDTH, PHONES, 0, replace(TOY, kernel=kernel, normalise=normalise))
    (heard,) = sounds(sentences(1, 1), 2)
    table, inside = torch.from_numpy(heard)[None], torch.ones(1, len(heard), dtype=torch.bool)
    for _ in range(3):
        network(table, inside)
    network.eval()
    with torch.no_grad():
        wanted = network(table, inside)[0][0].numpy()
    learnt = generated_of(network)
    assert np.allclose(learnt.logits(heard), wanted, atol=1e-3)
    (read,) = learnt.read([heard])
    assert np.array_equal(read, wanted.argmax(1))
    assert learnt.phones([heard]) == [tuple(phone for phone, _ in itertools.groupby(read.tolist()))]


def test_batches_are_the_chosen_sequences_padded() -> None:
    parts = [np.full((size, 2), size, np.float32) for size in (3, 1, 4)]
    found, inside = Rows.of(parts, "cpu").take(np.array([1, 0]))
    assert found.tolist() == [[[1, 1], [0, 0], [0, 0]], [[3, 3]] * 3]
    assert inside.tolist() == [[True, False, False], [True] * 3]


def test_sentences_are_repeated_as_often_as_in_chen_et_al() -> None:
    chance = np.random.default_rng(0)
    phones = np.arange(20_000)
    times = Counter(Counter(repeated(phones, chance).tolist()).values())
    assert times[1] / 20_000 == pytest.approx(0.78, abs=0.01)
    assert times[2] / 20_000 == pytest.approx(0.17, abs=0.01)
    assert times[3] / 20_000 == pytest.approx(0.01, abs=0.003)
    assert 1 - sum(times.values()) / 20_000 == pytest.approx(0.04, abs=0.01)
    assert all(len(repeated(np.array([3]), chance)) for _ in range(200))


def test_what_cannot_be_matched_is_refused() -> None:
    heard, text = sounds(sentences(4, 1), 2), sentences(4, 3)
    with pytest.raises(DataError, match="found 0, 0 of them empty"):
        duel([], text, PHONES, QUICK)
    with pytest.raises(DataError, match="found 5, 1 of them empty"):
        duel([*heard, heard[0][:0]], text, PHONES, QUICK)
    with pytest.raises(DataError, match="the text"):
        duel(heard, [()], PHONES, QUICK)
    with pytest.raises(DataError, match="from 0 to 2, found 0 to 4"):
        duel(heard, text, 3, QUICK)
    with pytest.raises(InvalidInput, match="Give clusters"):
        duel(heard, text, PHONES, replace(QUICK, auxiliary=0.5))
    with pytest.raises(DataError, match="the clusters"):
        duel(heard, text, PHONES, QUICK, clusters=[np.zeros(1, np.int64)] * 4)


def test_what_goes_wrong_is_told_once_while_it_does() -> None:
    """Recordings of which each holds five of the text's sentences: whatever is read is far too long."""
    heard = [np.concatenate(sounds(sentences(5, i), i)) for i in range(12)]
    text = sentences(60, 30)
    warned: list[str] = []
    phones_of_segments(
        heard,
        list(range(12)),
        Text.of(text, PHONES),
        2 * PHONES,
        LearningSettings(matcher="adversarial", duel_steps=600, rounds=1),
        0,
        lambda _: nullcontext(no_progress),
        "seed 1 of 1",
        warned.append,
    )
    (found,) = [one for one in warned if "the rate is off" in one]
    assert found.startswith("seed 1 of 1: ")
    assert "To try: raise the weight of smoothness" in found
