"""Reads recordings of any common format, rate and number of channels as one channel of 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trifold.errors import DataError, MissingExtra

if TYPE_CHECKING:
    import soundfile

__all__ = ["RATE", "SUFFIXES", "Samples", "Sound", "find_audio", "read_sound"]

RATE = 16_000
"""Samples a second of everything behind this module."""
SUFFIXES = frozenset(
    {".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav"}
)
"""Names of what is taken for a recording; whether it can be read is found when it is."""

Samples: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

_BLOCK = 1 << 18
_FULL = 0.999
_CANCELLED = 0.1
"""Channels whose mean has less than this share of the louder one's energy cancel each other out."""
_LONGEST = 24 * 3600


@dataclass(frozen=True, slots=True)
class Sound:
    """samples: float32 from -1 to 1, shape (n,), 16 kHz. rate, channels: of the file. clipped: share at full scale."""

    samples: Samples
    rate: int
    channels: int
    clipped: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def find_audio(folder: Path) -> list[Path]:
    """The recordings in a folder and below it, in the order of their names, or the one that `folder` itself is.

    Raises DataError where there is none.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with recordings, found nothing of that name.")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not found:
        others = sorted({p.suffix.lower() or p.name for p in folder.rglob("*") if p.is_file()})
        shown = f"only {', '.join(others[:5])}" if others else "no file at all"
        raise DataError(
            f"{folder}: expected recordings ({', '.join(sorted(SUFFIXES))}), found {shown}. Name the folder that holds "
            "them, or convert them to .wav or .flac."
        )
    return found


def read_sound(path: Path) -> Sound:
    """A recording, its channels mixed and resampled.

    Raises DataError for a file that is no audio, is damaged or holds no sample, MissingExtra without soundfile.
    """
    try:
        import soundfile
        import soxr
    except ImportError as error:
        raise MissingExtra("reading audio", "asr") from error
    if not path.is_file():
        raise DataError(f"{path}: expected a recording, found no file of that name.")
    try:
        with soundfile.SoundFile(path) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            if frames > _LONGEST * rate:
                raise DataError(f"{path}: expected at most {_LONGEST // 3600} hours in one file. Cut it into parts.")
            energies, mixed_energy = np.zeros(channels), 0.0
            clipped = samples = 0
            resample = soxr.ResampleStream(rate, RATE, 1, dtype="float32")
            parts: list[Samples] = []
            for block in _blocks(file):
                mixed = block.mean(1)
                energies += (block.astype(np.float64) ** 2).sum(0)
                mixed_energy += float((mixed.astype(np.float64) ** 2).sum())
                clipped += int((np.abs(block) >= _FULL).any(1).sum())
                samples += len(block)
                parts.append(resample.resample_chunk(mixed))
            parts.append(resample.resample_chunk(np.zeros(0, np.float32), last=True))
            if channels > 1 and mixed_energy < _CANCELLED * energies.max():
                parts = _channel(file, int(energies.argmax()))
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{path}: cannot be read as audio ({str(error.error_string).strip('. ')}). If it plays elsewhere, save it "
            "as .wav or .flac."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if not samples:
        raise DataError(f"{path}: expected a recording, found a file without any sample in it. Remove it.")
    return Sound(np.concatenate(parts), rate, channels, clipped / samples)


def _blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    """The file from its beginning, in blocks of shape (n, channels); what is no number counts as silence."""
    file.seek(0)
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        yield np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0)


def _channel(file: soundfile.SoundFile, channel: int) -> list[Samples]:
    """One channel alone, resampled."""
    import soxr

    resample = soxr.ResampleStream(file.samplerate, RATE, 1, dtype="float32")
    parts = [resample.resample_chunk(np.ascontiguousarray(block[:, channel])) for block in _blocks(file)]
    return [*parts, resample.resample_chunk(np.zeros(0, np.float32), last=True)]
