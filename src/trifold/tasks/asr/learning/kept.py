"""What a seed found first, kept in a file so that it is not looked for again."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import DataError
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import Spoken
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

__all__ = ["First", "first_of"]


@dataclass(frozen=True, slots=True)
class First:
    """labels: the phones of each piece. told: models of the phones."""

    labels: list[list[Spoken]]
    told: Told


def first_of(place: Path | None, pieces: Sequence[Frames], look: Callable[[], First]) -> First:
    """What is kept at `place`, or what `look` finds, which is kept there.

    Raises DataError for a file that is damaged.
    """
    if place is None:
        return look()
    if place.is_file():
        return _read(place, pieces)
    found = look()
    part = place.with_suffix(".part")
    each = [one for piece in found.labels for one in piece]
    space = found.told.space
    mapped: dict[str, Any] = {} if space is None else {"matrix": space.matrix, "offset": space.offset}
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            counts=np.array([len(piece) for piece in found.labels]),
            phones=np.array([one.phone for one in each], np.int64),
            firsts=np.array([one.first for one in each], np.int64),
            lasts=np.array([one.last for one in each], np.int64),
            weights=found.told.sounds.weights,
            means=found.told.sounds.means,
            variances=found.told.sounds.variances,
            stays=found.told.stays,
            **mapped,
        )
    part.replace(place)
    return found


def _read(place: Path, pieces: Sequence[Frames]) -> First:
    try:
        with place.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            counts, columns = file["counts"], [file[name].tolist() for name in ("phones", "firsts", "lasts")]
            sounds = Mixtures(file["weights"], file["means"], file["variances"])
            space = Map(file["matrix"], file["offset"]) if "matrix" in file else None
            told = Told(sounds, file["stays"], space)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{place}: cannot be read ({error}). Remove it, or start afresh.") from None
    if len(counts) != len(pieces):
        raise DataError(f"{place}: expected {len(pieces):,} pieces, found {len(counts):,}. Remove it, or start afresh.")
    each = iter([Spoken(*one) for one in zip(*columns, strict=True)])
    return First([[next(each) for _ in range(count)] for count in counts.tolist()], told)
