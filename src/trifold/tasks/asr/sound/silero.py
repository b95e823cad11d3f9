"""Where somebody speaks, by the network of the package silero-vad, which carries its weights (MIT): nothing is got.

Its graph is run by ONNX Runtime. The package itself, which imports torch, is found and not imported.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from trifold.engine.graph import Graph
from trifold.errors import MissingExtra, ModelDamaged
from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.sound.features import HOP, WINDOW

__all__ = ["identity", "probabilities", "speech"]

_Shares: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

_PACKAGE, _MODULE = "silero-vad", "silero_vad"
_GRAPH = Path("data", "silero_vad_16k_sequence.onnx")
"""The form that hears many pieces in one call; the package has it since 6.2.2."""
_PIECE, _BEFORE, _STATE = 512, 64, 128
"""Samples of a piece, of the one before that are heard with it, and numbers that go from each to the next."""
_AT_ONCE = 512
_BEGINS, _ENDS = 0.5, 0.35
_PAUSE, _SHORTEST, _MARGIN = RATE // 10, RATE // 4, 3 * RATE // 100
"""Samples of silence that end a stretch, of speech that make one, and that are added on either side; these and the two
thresholds above are the package's own (`get_speech_timestamps`)."""


def speech(samples: Samples) -> list[Stretch]:
    """The stretches in which there is speech, in frames as of `activity.speech`: in order and apart, none in silence.

    Raises MissingExtra without the package, ModelDamaged where its graph is missing or cannot be read.
    """
    count = max(0, 1 + (len(samples) - WINDOW) // HOP)
    found: list[Stretch] = []
    for edges in _stretches(probabilities(samples), len(samples)):
        # A frame is of the stretch that its middle is in.
        first, last = (min(max(0, -(-(edge - WINDOW // 2) // HOP)), count) for edge in edges)
        if first < last:
            found.append((first, last))
    return found


def probabilities(samples: Samples) -> _Shares:
    """How likely there is speech in each piece of 512 samples (32 ms), the last filled with silence: (pieces,).

    Raises as `speech` does.
    """
    graph = _graph()
    count = -(-len(samples) // _PIECE)
    state = {name: np.zeros((1, 1, _STATE), np.float32) for name in ("h", "c")}
    before = np.zeros(_BEFORE, np.float32)
    found: list[_Shares] = []
    for first in range(0, count, _AT_ONCE):
        part = samples[first * _PIECE : min(first + _AT_ONCE, count) * _PIECE]
        pieces = np.zeros((-(-len(part) // _PIECE), _PIECE), np.float32)
        pieces.reshape(-1)[: len(part)] = part
        heard = np.concatenate([before[None], pieces[:-1, -_BEFORE:]])
        results = graph.run({"input": np.concatenate([heard, pieces], 1), **state})
        state = {"h": results["hn"], "c": results["cn"]}
        before = pieces[-1, -_BEFORE:]
        found.append(results["speech_probs"].reshape(-1))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def identity() -> str:
    """Package and version, as a model's manifest should tell them. Raises MissingExtra."""
    _folder()
    return f"{_PACKAGE}=={version(_PACKAGE)}"


def _folder() -> Path:
    """Of the package, found without running any of its code."""
    try:
        found = find_spec(_MODULE)
        version(_PACKAGE)
    except (PackageNotFoundError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise MissingExtra(f"finding speech by {_PACKAGE}", "vad")
    return Path(found.origin).parent


def _graph() -> Graph:
    return _opened(_folder() / _GRAPH)


@lru_cache(maxsize=1)
def _opened(path: Path) -> Graph:
    if not path.is_file():
        raise ModelDamaged(f"{path}: expected the network in it, found none. pip install --upgrade {_PACKAGE}")
    return Graph(path)


def _stretches(shares: _Shares, length: int) -> list[tuple[int, int]]:
    """First samples of speech and those after the last, as the package finds them without a greatest length.

    Speech begins where it is likely and ends where it is unlikely and stays so for a tenth of a second.
    """
    found: list[tuple[int, int]] = []
    begun = silent = None
    for number, share in enumerate(shares.tolist()):
        at = number * _PIECE
        if share >= _BEGINS:
            begun, silent = at if begun is None else begun, None
        elif share < _ENDS and begun is not None:
            silent = at if silent is None else silent
            if at - silent >= _PAUSE:
                found.append((begun, silent))
                begun = silent = None
    if begun is not None:
        found.append((begun, length))
    return _padded([(first, last) for first, last in found if last - first > _SHORTEST], length)


def _padded(stretches: list[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """With the margin on either side, or half of the silence to the next where that is shorter than two of them."""
    found: list[tuple[int, int]] = []
    for i, (first, last) in enumerate(stretches):
        before = stretches[i - 1][1] if i else -2 * _MARGIN
        after = stretches[i + 1][0] if i + 1 < len(stretches) else length + 2 * _MARGIN
        start = max(0, first - min(_MARGIN, (first - before) // 2))
        found.append((start, min(length, last + min(_MARGIN, (after - last) // 2))))
    return found
