"""Checkpoints: everything a training needs to go on, as safetensors and JSON, never pickle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trifold.errors import EngineError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "Checkpoints"]

_JOB, _STATE, _TENSORS = "job.json", "state.json", "tensors.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """state: JSON-like facts, `step` among them. tensors: by name, on the CPU."""

    state: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


class Checkpoints:
    """The folder in which one training keeps its newest checkpoint.

    job: what the training is made of (hashes of its data, settings, versions of libraries): only a checkpoint of the
    very same job is gone on with.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self.folder = folder
        self._job = job

    def begin(self) -> None:
        """Drop what an earlier training left here and write down what this one is made of."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / _JOB).write_text(json.dumps(self._job, indent=2) + "\n", encoding="utf-8")

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None where there is none.

        Raises UsageError when the folder holds one of another job, naming what differs.
        """
        from safetensors.torch import load_file

        found = sorted(path for path in self.folder.glob("step-*") if path.is_dir())
        if not found:
            return None
        earlier = json.loads((self.folder / _JOB).read_text(encoding="utf-8"))
        differs = [key for key in {**earlier, **self._job} if earlier.get(key) != self._job.get(key)]
        if differs:
            shown = ", ".join(f"{k} (was {_brief(earlier.get(k))}, is {_brief(self._job.get(k))})" for k in differs[:3])
            raise UsageError(
                f"--resume: the training in {self.folder} was begun with something else: {shown}. Give the same "
                "arguments and files again, or start afresh without --resume."
            )
        state = json.loads((found[-1] / _STATE).read_text(encoding="utf-8"))
        return Checkpoint(state, load_file(found[-1] / _TENSORS))

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in the place of the one before. Raises EngineError when it cannot be written."""
        from safetensors.torch import save_file

        target = self.folder / f"step-{checkpoint.state['step']:09d}"
        partial = self.folder / ".partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            save_file(dict(checkpoint.tensors), partial / _TENSORS)
            (partial / _STATE).write_text(json.dumps(checkpoint.state) + "\n", encoding="utf-8")
            for name in (_TENSORS, _STATE):
                _sync(partial / name)
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
        except Exception as error:  # safetensors wraps what the system says
            shutil.rmtree(partial, ignore_errors=True)
            raise EngineError(
                f"the checkpoint cannot be written to {self.folder} ({error}). Free some space, or let TRIFOLD_HOME "
                "name a folder on another disk; --resume goes on from the checkpoint before."
            ) from error
        for path in self.folder.glob("step-*"):
            if path != target:
                shutil.rmtree(path, ignore_errors=True)

    def drop(self) -> None:
        """The training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
