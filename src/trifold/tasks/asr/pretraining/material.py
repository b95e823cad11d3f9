"""What the encoder is trained on: log-mel bands of speech, and of each frame the cluster that its cepstra are in.

Inputs are hidden in part and changed as another mouth and another microphone would change them, while what is to be
told stays that of what was said: HuBERT's masked prediction (Hsu et al. 2021) with the warped frequencies of Jaitly &
Hinton (2013).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trifold.errors import DataError
from trifold.task import Progress, no_progress
from trifold.tasks.asr.matching.units import clustered
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.sound.features import Frames, cepstra_of_mel, log_mel, warped_bands, with_deltas
from trifold.tasks.asr.sound.own import BANDS, evened

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NONE", "Batch", "Heard", "Material"]

Heard: TypeAlias = tuple[Samples, list[Stretch]]
"""A recording, and its stretches of speech."""
Labels: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

NONE = -1
"""The label of frames that nothing is to be told of."""
_OF_ONE = 300 * RATE
"""Samples of one recording at most."""
_MARGIN, _GAP = 16, 32
"""Frames on either side of a stretch that are heard with it, and of nothing from one to the next."""
_CLUSTERED = 60_000
_AT_ONCE = 8192
_WARPS, _COLOURS = 21, 4


@dataclass(frozen=True, slots=True)
class Batch:
    """mel: as it is heard, (B, T, 40). labels, hidden: of each frame, (B, T)."""

    mel: Tensor
    labels: Tensor
    hidden: Tensor


@dataclass(frozen=True, slots=True)
class Material:
    """mel: all stretches one after the other, nothing between them: (frames, 40). labels: (frames,). mean, spread: of
    the bands in all speech, (40,) each."""

    mel: Frames
    labels: Labels
    mean: Frames
    spread: Frames

    @classmethod
    def of(
        cls,
        recordings: Iterable[Heard],
        settings: OwnSettings,
        seed: int,
        progress: Progress = no_progress,
    ) -> Material:
        """recordings: in a random order; they are read until there is enough.

        Raises DataError where there are fewer frames of speech than clusters.
        """
        heard: list[tuple[Frames, list[Stretch]]] = []
        count = 0
        for samples, stretches in recordings:
            mel = log_mel(samples[:_OF_ONE])
            inside = [(first, min(last, len(mel))) for first, last in stretches if first < len(mel)]
            heard.append((mel, inside))
            count += sum(last - first for first, last in inside)
            progress(min(count, settings.most), settings.most)
            if count >= settings.most:
                break
        if count < max(settings.clusters, settings.stretch):
            raise DataError(
                f"the recordings: expected at least {max(settings.clusters, settings.stretch):,} frames of speech to "
                f"train an encoder on, found {count:,}. Record more."
            )
        mean, spread = _scale(heard)
        parts = []
        for mel, inside in heard:
            even = evened(mel, inside, mean, spread)
            parts += [even[max(0, first - _MARGIN) : last + _MARGIN] for first, last in inside]
        numbers = _clusters(parts, settings.clusters, seed)
        nothing = np.zeros((_GAP, BANDS), np.float32)
        told = np.split(numbers, np.cumsum([len(part) for part in parts])[:-1])
        return cls(
            np.concatenate([piece for part in parts for piece in (part, nothing)]),
            np.concatenate([piece for part in told for piece in (part, np.full(_GAP, NONE, np.int64))]),
            mean,
            spread,
        )

    def steps(self, settings: OwnSettings) -> int:
        """In one pass."""
        return max(1, len(self.mel) // (settings.stretch * settings.batch))

    def batches(self, settings: OwnSettings, seed: int) -> Iterator[Batch]:
        """Without end, pass after pass, each cut at other places and in another order."""
        import torch

        mel, labels = torch.from_numpy(self.mel), torch.from_numpy(self.labels)
        chance = torch.Generator().manual_seed(seed)
        warps = np.linspace(-settings.warp, settings.warp, _WARPS)
        bends = torch.from_numpy(np.stack([warped_bands(warp) for warp in warps]))
        angles = np.pi * np.arange(_COLOURS)[:, None] * (np.arange(BANDS) + 0.5) / BANDS
        colours = torch.from_numpy(np.cos(angles).astype(np.float32))
        within = torch.arange(settings.stretch)
        while True:
            first = int(torch.randint(min(settings.stretch, len(mel) - settings.stretch + 1), (1,), generator=chance))
            pieces = torch.randperm((len(mel) - first) // settings.stretch, generator=chance)
            for chosen in pieces.split(settings.batch):
                places = first + chosen[:, None] * settings.stretch + within
                bend = bends[torch.randint(_WARPS, (len(chosen),), generator=chance)]
                colour = torch.randn(len(chosen), 1, _COLOURS, generator=chance) @ colours
                hidden = _hidden(len(chosen), settings, chance)
                heard = (mel[places] @ bend + settings.tilt * colour).masked_fill(hidden[:, :, None], 0.0)
                yield Batch(heard, labels[places], hidden)


def _scale(heard: list[tuple[Frames, list[Stretch]]]) -> tuple[Frames, Frames]:
    count, total, squares = 0, np.zeros(BANDS), np.zeros(BANDS)
    for mel, inside in heard:
        for first, last in inside:
            frames = mel[first:last].astype(np.float64)
            count, total, squares = count + len(frames), total + frames.sum(0), squares + (frames**2).sum(0)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 1e-3))
    return mean.astype(np.float32), spread.astype(np.float32)


def _clusters(parts: list[Frames], count: int, seed: int) -> Labels:
    """The cluster of each frame's cepstra and their slopes, of all parts one after the other."""
    told = np.concatenate([with_deltas(cepstra_of_mel(part)) for part in parts])
    told = (told - told.mean(0)) / np.maximum(told.std(0), 1e-5)
    some = told[np.random.default_rng(seed).permutation(len(told))[:_CLUSTERED]]
    numbers = clustered(some, count, seed)
    sizes = np.maximum(np.bincount(numbers, minlength=count), 1)[:, None]
    centres = np.stack([np.bincount(numbers, column, count) for column in some.T], 1) / sizes
    half = 0.5 * (centres**2).sum(1)
    nearest = [(told[at : at + _AT_ONCE] @ centres.T - half).argmax(1) for at in range(0, len(told), _AT_ONCE)]
    return np.concatenate(nearest)


def _hidden(pieces: int, settings: OwnSettings, chance: Any) -> Tensor:
    """Which frames of each piece are hidden: spans that may lie over one another."""
    import torch

    shape = (pieces, settings.stretch)
    begins = torch.rand(shape, generator=chance) < settings.begins
    lengths = torch.randint(settings.span // 2, settings.span + settings.span // 2 + 1, shape, generator=chance)
    ends = torch.where(begins, torch.arange(settings.stretch) + lengths, 0)
    return ends.cummax(1).values > torch.arange(settings.stretch)
