"""The adversarial matcher's training: generator and discriminator take turns, a step each (wav2vec-U 1.0 and 2.0).

Baevski et al. (2021), Liu et al. (2022); what a turn is, see `players`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.errors import DataError, InvalidInput
from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.adversarial import GanSettings
from trifold.tasks.asr.matching.batches import Rows
from trifold.tasks.asr.matching.generated import Generated
from trifold.tasks.asr.matching.players import Match, Watched

__all__ = ["Checkpoint", "Watched", "duel"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """generated: what has been learnt so far. state: to be given as `resume`; a dict that torch.save can write."""

    step: int
    generated: Generated
    state: dict[str, Any]


def duel(
    utterances: Sequence[np.ndarray[Any, np.dtype[np.float32]]],
    sentences: Sequence[Sequence[int]],
    symbols: int,
    settings: GanSettings,
    *,
    seed: int = 0,
    clusters: Sequence[np.ndarray[Any, Any]] | None = None,
    repeats: bool = False,
    resume: Mapping[str, Any] | None = None,
    checkpoint: Callable[[Checkpoint], None] | None = None,
    watch: Callable[[Watched], None] | None = None,
    every: int = 200,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Generated:
    """Train for `settings.steps` steps; even ones are the discriminator's, odd ones the generator's.

    utterances: of each the features of its segments, (segments, D), normalised, none empty. sentences: phones from 0
    to symbols - 1, silence included where the audio has it, none empty. clusters: a number for each segment, what the
    auxiliary loss predicts. repeats: doubled and lost phones are put into the sentences (see `batches.repeated`), and
    runs of segments are not joined, whose repetitions the sentences' are to resemble. every: steps from one call of
    `watch` and `checkpoint` to the next; both are called at the end too. resume: the state of a checkpoint of the same
    call, after which everything goes on as if it had not been interrupted, on the same kind of device.

    Raises DataError for utterances or sentences that are missing, empty or out of range, and InvalidInput for an
    auxiliary loss without clusters.
    """
    import torch

    _check(utterances, sentences, symbols, settings, clusters)
    kinds = 1 + max((int(one.max()) for one in clusters), default=0) if clusters is not None else 0
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    # Dropout and the first weights draw from torch's own generator, which is the caller's.
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        match = Match(
            Rows.of(utterances, device),
            Rows.of([np.asarray(one, np.int64) for one in sentences], device),
            None if clusters is None else Rows.of([np.asarray(one, np.int64) for one in clusters], device),
            symbols,
            kinds,
            settings,
            repeats,
            seed,
            device,
        )
        if resume is not None:
            match.restore(resume)
        while match.step < settings.steps:
            match.turn()
            if match.step % every == 0 or match.step == settings.steps:
                if watch is not None:
                    watch(match.record())
                if checkpoint is not None:
                    checkpoint(Checkpoint(match.step, match.generated(), match.state()))
            progress(match.step, settings.steps)
        return match.generated()


def _check(
    utterances: Sequence[np.ndarray[Any, Any]],
    sentences: Sequence[Sequence[int]],
    symbols: int,
    settings: GanSettings,
    clusters: Sequence[np.ndarray[Any, Any]] | None,
) -> None:
    if not utterances or not all(map(len, utterances)):
        empty = sum(not len(one) for one in utterances)
        raise DataError(
            f"the recordings: expected utterances of at least one segment, found {len(utterances):,}, {empty:,} "
            "of them empty. Leave out what has no speech in it."
        )
    widths = {one.shape[1] for one in utterances}
    if len(widths) > 1:
        raise DataError(f"the recordings: expected features of one width, found {sorted(widths)}.")
    if not sentences or not all(map(len, sentences)):
        raise DataError(
            f"the text: expected sentences of at least one phone, found {len(sentences):,}, some of them empty or none "
            "at all. Leave out what cannot be pronounced."
        )
    least, most = min(map(min, sentences)), max(map(max, sentences))
    if least < 0 or most >= symbols:
        raise DataError(f"the text: expected phones from 0 to {symbols - 1}, found {least} to {most}.")
    if settings.auxiliary and clusters is None:
        raise InvalidInput(
            "the auxiliary loss: expected a cluster of each segment, found none.",
            "Give clusters or set auxiliary to 0.",
            field="auxiliary",
        )
    if clusters is not None and [len(one) for one in clusters] != [len(one) for one in utterances]:
        raise DataError("the clusters: expected one for each segment of each utterance, found other numbers of them.")
