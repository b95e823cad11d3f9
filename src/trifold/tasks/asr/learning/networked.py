"""After the last rounds, a few more beside a small network that was trained on what the models hear.

What it was told is often wrong, and it learns that, too; but it sees what is around a frame, which models of a frame
do not, and in hearing both have a say. A round alone comes last. Whether all that helps is told by recordings apart:
models that learnt so must find them likelier than those do that went on alone, for as many rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trifold.tasks.asr.decoding.following import Following
from trifold.tasks.asr.decoding.phones import LEARNING_BEAM, PhoneSearch
from trifold.tasks.asr.learning.pieces import Pieces
from trifold.tasks.asr.learning.reading import Report
from trifold.tasks.asr.learning.selftaught import MORE, likely
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.matching.chains import Table
from trifold.tasks.asr.refining.ctc import Network, trained
from trifold.tasks.asr.refining.phones import STATES, PhoneModel, spoken_of
from trifold.tasks.asr.refining.reheard import heard, moved, reheard
from trifold.tasks.asr.refining.told import States, Told
from trifold.tasks.asr.sound.features import Frames

__all__ = ["beside_network"]

_WEIGHT = 0.4
"""Of what the network says; that of the models is `LearningSettings.scale`, and of the text 1."""


def beside_network(
    model: PhoneModel, grams: Following, others: Pieces, apart: Pieces, settings: LearningSettings, report: Report
) -> PhoneModel | None:
    """The model after `settings.networks` rounds of hearing `others` beside networks, each trained on what was heard
    before, and a round alone; None where those apart, which nothing has learnt from, are no likelier than after as many
    rounds alone, or there are none."""
    some = others.sample(MORE, settings.seed).frames
    if not settings.networks or not apart.frames or not any(len(one) >= STATES for one in some):
        return None
    told = Told(model.sounds, model.stays, model.space)
    search = PhoneSearch(grams, told.stays, LEARNING_BEAM)

    def round_alone(told: Told, label: str) -> Told:
        with report(label) as progress:
            return reheard(told, search, some, settings.scale, progress)

    with report("hearing, for a network") as progress:
        paths = heard(told, search, some, settings.scale, progress=progress)
    alone = moved(told, some, paths)
    for number in range(settings.networks):
        label = f"{number + 1} of {settings.networks}"
        with report(f"training a network on what is heard, {label}") as progress:
            network = trained(some, _phones(paths), grams.symbols, settings.seed + number, progress)
        if network is None:
            return None

        def say(frames: Frames, network: Network = network) -> Table:
            return _WEIGHT * network.scores(frames)

        with report(f"hearing beside the network, {label}") as progress:
            paths = heard(told, search, some, settings.scale, say, progress)
        told = moved(told, some, paths)
        alone = round_alone(alone, f"hearing without networks, {label}")
    told = round_alone(told, "hearing after the networks")

    def of(told: Told) -> PhoneModel:
        return replace(model, sounds=told.sounds, stays=told.stays, space=told.space)

    found = of(told)
    best = max(likely(one, search, apart.frames) for one in (model, of(alone)))
    return found if likely(found, search, apart.frames) > best else None


def _phones(paths: Sequence[States]) -> list[list[int]]:
    """What is heard in each recording."""
    return [[one.phone for one in spoken_of(path)] for path in paths]
