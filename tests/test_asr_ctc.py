"""A small network of phones that learns from what their models hear, and models that learn beside it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from test_asr_refining import PHONES, WIDTH, bigrams, right, spoken
from test_asr_reheard import away, learnt, pieces_of, said
from trifold.task import Progress, no_progress
from trifold.tasks.asr.decoding.phones import LEARNING_BEAM, BigramSearch, PhoneSearch, grams_of
from trifold.tasks.asr.learning import networked
from trifold.tasks.asr.learning.networked import beside_network
from trifold.tasks.asr.learning.selftaught import set_apart
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.refining.ctc import Network, trained
from trifold.tasks.asr.refining.phones import STATES, Spoken, spoken_of
from trifold.tasks.asr.refining.reheard import heard, reheard
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

torch = pytest.importorskip("torch")

SETTINGS = LearningSettings(networks=1, scale=0.5)


def wrong(found: list[list[Spoken]], wanted: list[list[Spoken]]) -> float:
    """Phone error rate, without silence."""
    plain = [[[str(one.phone) for one in line if one.phone] for line in both] for both in (wanted, found)]
    return compare(list(zip(*plain, strict=True))).rate


def read(network: Network, frames: list[Frames]) -> list[list[Spoken]]:
    search = BigramSearch(bigrams(), np.full(PHONES * STATES, 0.5))
    return [spoken_of(search.states(network.scores(one))) for one in frames]


def test_a_network_that_is_told_phones_and_no_times_reads_others() -> None:
    sounds, labels = spoken(80, 1)
    others, wanted = spoken(40, 2)
    done: list[tuple[int, int]] = []
    network = trained(sounds, said(labels), PHONES, 0, lambda n, of: done.append((n, of)))
    assert network is not None
    assert wrong(read(network, others), wanted) < 0.12
    assert [n for n, _ in done] == list(range(1, len(done) + 1))
    assert done[-1][1] == len(done)


def test_a_network_is_the_same_again_and_leaves_chance_to_its_caller() -> None:
    sounds, labels = spoken(12, 1)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (trained(sounds, said(labels), PHONES, 3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first is not None
    assert second is not None
    assert np.array_equal(first.scores(sounds[0]), second.scores(sounds[0]))
    other = trained(sounds, said(labels), PHONES, 4)
    assert other is not None
    assert not np.array_equal(first.scores(sounds[0]), other.scores(sounds[0]))


def test_recordings_too_short_for_their_phones_teach_nothing() -> None:
    sounds, labels = spoken(12, 1)
    phones = said(labels)
    short = [one[: 2 * len(line)] for one, line in zip(sounds, phones, strict=True)]
    empty = np.zeros((0, WIDTH), np.float32)
    assert trained(short, phones, PHONES, 0) is None
    assert trained([*sounds, empty], [[0] * 9] * 12 + [[]], PHONES, 0) is None, "silence alone"
    both = trained([*sounds, *short, empty], [*phones, *phones, []], PHONES, 0)
    alone = trained(sounds, phones, PHONES, 0)
    assert both is not None
    assert alone is not None
    assert np.array_equal(both.scores(sounds[0]), alone.scores(sounds[0]))


def test_scores_of_states_are_those_of_phones_and_the_blank() -> None:
    """Against the same, number by number."""
    shares = np.log(np.array([[0.1, 0.6, 0.1, 0.2], [0.2, 0.1, 0.1, 0.6], [0.25, 0.25, 0.25, 0.25]]))

    class Fixed(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, frames: Any) -> Any:
            return torch.from_numpy(shares)[None, : (frames.shape[1] + 1) // 2]

    common = np.log(np.array([0.1, 0.2, 0.3, 0.4]))
    network = Network(Fixed(), np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32), common)
    found = network.scores(np.zeros((5, WIDTH), np.float32))
    assert found.shape == (5, 3 * STATES)
    for frame in range(5):
        phones = (shares[frame // 2] - 0.9 * common) / 2
        for phone in range(3):
            for state in range(STATES):
                wanted = phones[phone] if state == 0 else max(phones[phone], phones[3])
                assert found[frame, phone * STATES + state] == pytest.approx(phones[3] if phone == 0 else wanted)


def voice() -> tuple[list[Frames], list[list[Spoken]]]:
    """What the models of `spoken(60, 1)` hear a fifth wrong."""
    sounds, labels = spoken(120, 2)
    moved = away(np.random.default_rng(5))
    return [moved.apply(one) for one in sounds], labels


def test_models_learn_more_beside_a_network_than_alone() -> None:
    sounds, labels = spoken(60, 1)
    model, grams = learnt(sounds, labels), grams_of(said(labels), PHONES)
    frames, wanted = voice()
    apart, rest = set_apart(pieces_of(frames), 0)
    names: list[str] = []

    def report(name: str) -> AbstractContextManager[Progress]:
        names.append(name)
        return nullcontext(no_progress)

    found = beside_network(model, grams, rest, apart, SETTINGS, report)
    assert found is not None
    alone, search = Told(model.sounds, model.stays), PhoneSearch(grams, model.stays, LEARNING_BEAM)
    for _ in range(2):
        alone = reheard(alone, search, rest.frames, SETTINGS.scale)
    by_itself = replace(model, sounds=alone.sounds, stays=alone.stays, space=alone.space)
    assert right(found.read(frames), wanted) > right(by_itself.read(frames), wanted) > right(model.read(frames), wanted)
    assert names == [
        "hearing, for a network",
        "training a network on what is heard, 1 of 1",
        "hearing beside the network, 1 of 1",
        "hearing without networks, 1 of 1",
        "hearing after the networks",
    ]


@dataclass(frozen=True)
class Stubborn:
    """Says the same of every frame."""

    phone: int

    def scores(self, frames: Frames) -> np.ndarray[Any, Any]:
        found = np.zeros((len(frames), PHONES * STATES))
        found[:, self.phone * STATES : (self.phone + 1) * STATES] = 20.0
        return found


def test_a_network_that_makes_recordings_apart_unlikelier_has_taught_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sounds, labels = spoken(60, 1)
    model, grams = learnt(sounds, labels), grams_of(said(labels), PHONES)
    frames, _ = voice()
    apart, rest = set_apart(pieces_of(frames), 0)
    monkeypatch.setattr(networked, "trained", lambda *_: Stubborn(2))
    assert beside_network(model, grams, rest, apart, SETTINGS, lambda _: nullcontext(no_progress)) is None


def test_without_networks_or_recordings_apart_there_is_nothing_to_learn() -> None:
    sounds, labels = spoken(20, 1)
    model, grams = learnt(sounds, labels), grams_of(said(labels), PHONES)
    apart, rest = set_apart(pieces_of(sounds), 0)
    none = pieces_of([])

    def refused(name: str) -> AbstractContextManager[Progress]:
        pytest.fail(name)

    assert beside_network(model, grams, rest, apart, replace(SETTINGS, networks=0), refused) is None
    assert beside_network(model, grams, rest, none, SETTINGS, refused) is None
    short = pieces_of([one[: STATES - 1] for one in rest.frames])
    assert beside_network(model, grams, short, apart, SETTINGS, refused) is None


def test_what_is_heard_beside_is_heard() -> None:
    sounds, labels = spoken(10, 1)
    model = learnt(sounds, labels)
    told, search = Told(model.sounds, model.stays), BigramSearch(bigrams(), model.stays)
    paths = heard(told, search, [*sounds, sounds[0][:2]], SETTINGS.scale, Stubborn(2).scores)
    assert [len(one) for one in paths] == [*map(len, sounds), 0]
    alone = np.concatenate(heard(told, search, sounds, SETTINGS.scale))
    assert np.mean(np.concatenate(paths) // STATES == 2) > np.mean(alone // STATES == 2) + 0.1
