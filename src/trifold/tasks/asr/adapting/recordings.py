"""The voices of recordings: which recordings are of one, and what the model needs to read each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from trifold.engine.loaded import Loaded
from trifold.errors import InvalidInput
from trifold.task import Limits, Progress, no_progress
from trifold.tasks.asr.adapting.voices import FRAMES, LEAST, ROUNDS, Reader, Voice, brought
from trifold.tasks.asr.making.graph import read_graph
from trifold.tasks.asr.making.names import INPUT
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.task import AsrTask

__all__ = ["Adapted", "Together", "adapted", "voices"]

Together: TypeAlias = Literal["recording", "folder", "all"]
"""What is of one voice."""

_FEWEST = 8
"""Recordings that what is heard of a voice comes from, where it has so many."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """loaded: reads each recording as its voice needs it. moved: names of the voices that it was adapted to. fitting:
    of those that fit as they are. short: of those with too little speech."""

    loaded: Loaded
    moved: tuple[str, ...]
    fitting: tuple[str, ...]
    short: tuple[str, ...]


def voices(paths: Sequence[Path], together: Together) -> dict[str, list[Path]]:
    """The recordings of each voice, by its name: that of the recording, of the folder, or "all"."""
    found: dict[str, list[Path]] = {}
    for path in dict.fromkeys(paths):
        name = {"recording": str(path), "folder": str(path.parent), "all": "all"}[together]
        found.setdefault(name, []).append(path)
    return found


def adapted(loaded: Loaded, of: Mapping[str, Sequence[Path]], progress: Progress = no_progress) -> Adapted:
    """A recogniser that reads each recording by the map of its voice. of: as `voices` gives them.

    Raises ModelDamaged where the distributions of its graph cannot be read.
    """
    task, folder = loaded.task, loaded.folder
    assert isinstance(task, AsrTask)
    assert folder is not None
    reader = Reader(task.decoder, *read_graph(folder.path / folder.graphs[0].file))
    moved: list[str] = []
    fitting: list[str] = []
    short: list[str] = []
    maps: dict[str, Voice] = {}
    steps = ROUNDS + 1
    for number, (name, paths) in enumerate(of.items()):
        stretches = _some(task, paths)
        progress(number * steps + 1, len(of) * steps)
        if sum(map(len, stretches)) < LEAST:
            short.append(name)
        else:
            voice = brought(
                reader, stretches, lambda done, _, begun=number * steps + 1: progress(begun + done, len(of) * steps)
            )
            (moved if voice.helps else fitting).append(name)
            if voice.helps:
                maps.update((str(path), voice) for path in paths)
        progress((number + 1) * steps, len(of) * steps)
    # Replies are of this model and these maps together.
    digest = hashlib.sha256(loaded.digest.encode())
    known: dict[int, bytes] = {}
    for name, voice in sorted(maps.items()):
        digest.update(name.encode("utf-8", "surrogateescape"))
        if id(voice) not in known:
            known[id(voice)] = _digest(voice)
        digest.update(known[id(voice)])
    other = replace(loaded, task=task.adapted(maps), digest=digest.hexdigest())
    return Adapted(other, tuple(moved), tuple(fitting), tuple(short))


def _digest(voice: Voice) -> bytes:
    numbers = [voice.map.matrix, voice.map.offset]
    if voice.reader is not None:
        own = voice.reader.sounds
        numbers += [own.weights, own.means, own.variances, voice.reader.decoder.stays]
        if voice.reader.space is not None:
            numbers += [voice.reader.space.matrix, voice.reader.space.offset]
    return hashlib.sha256(b"".join(one.tobytes() for one in numbers)).digest()


def _some(task: AsrTask, paths: Sequence[Path]) -> list[Frames]:
    """Stretches of a random sample of a voice's recordings, whatever their order; none of what cannot be read."""
    chance = np.random.default_rng(0)
    most = FRAMES // min(_FEWEST, len(paths))
    ordered = sorted(paths)
    found: list[Frames] = []
    for i in chance.permutation(len(ordered)).tolist():
        try:
            units = task.encode(task.check({"audio": str(ordered[i])}, Limits())).units
        except InvalidInput:
            continue  # told when it is read
        frames = 0
        for j in chance.permutation(len(units)).tolist():
            if frames >= most or sum(map(len, found)) >= FRAMES:
                break
            found.append(units[j].arrays[INPUT])
            frames += len(found[-1])
        if sum(map(len, found)) >= FRAMES:
            break
    # Mixed, as the throat and the map are found from the first of them.
    return [found[i] for i in chance.permutation(len(found)).tolist()]
