"""Makes model folders of checkpoints that others published, once each, in `hub` beside the user's own models."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifold.errors import ModelDamaged, TrifoldError, WrongTask
from trifold.models.folder import MANIFEST, ModelFolder, hash_file, read_folder, write_manifest
from trifold.models.registry import home
from trifold.models.space import disk_full
from trifold.plugins import installed
from trifold.task import Adopter, Checkpoint

__all__ = [
    "adopted",
    "adopted_earlier",
    "label_of",
    "local_checkpoint",
    "read_config",
    "training_folder",
]

_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin", "model.onnx*", "onnx/model.onnx*", "README.md")
"""What can matter of a folder on this machine: its version is the hash of these."""
_LARGEST_CONFIG = 5_000_000
_ABANDONED = 86_400.0
"""Seconds after which a scratch folder is taken for one whose process was killed."""


def label_of(name: str, version: str) -> str:
    """`name@version` of the model folder of a checkpoint, in the letters that such names have."""
    plain = re.sub(r"[^a-z0-9._-]", "-", name.lower().replace("/", "--")).lstrip("._-")
    return f"{plain[:64] or 'model'}@{version.lower()[:12]}"


def local_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a plain folder of this machine; its version is the hash of its files."""
    path = path.resolve()
    digest = hashlib.sha256()
    fetch = _LocalFiles(path)
    for file in fetch(*_FILES):
        digest.update(f"{file.relative_to(path).as_posix()}\0{hash_file(file)}\n".encode())
    return Checkpoint(path, path.name, None, label_of(f"local/{path.name}", digest.hexdigest()), fetch)


class _LocalFiles:
    """Fetches files of a folder of this machine: they are there or they are not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, *patterns: str, required: bool = False) -> list[Path]:
        return sorted({file for pattern in patterns for file in self._path.glob(pattern) if file.is_file()})


def read_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The `config.json` of a checkpoint. Raises ModelDamaged."""
    source = checkpoint.path / "config.json"
    try:
        if source.stat().st_size > _LARGEST_CONFIG:
            raise ValueError(f"it is larger than {_LARGEST_CONFIG:,} bytes")
        config = json.loads(source.read_bytes())
        if not isinstance(config, dict):
            raise ValueError(f"found {type(config).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelDamaged(f"{checkpoint.name}: config.json is no JSON object ({error}). Get it again.") from None
    return config


def adopted(checkpoint: Checkpoint) -> ModelFolder:
    """The model folder of a checkpoint, made by the first installed plugin that can if it is not there yet.

    Raises WrongTask when no plugin can use it, ModelDamaged, MissingExtra and ModelNotFound as the plugin does.
    """

    def fill(folder: Path) -> None:
        config = read_config(checkpoint)
        reasons = []
        for plugin in installed().values():
            if not isinstance(plugin, Adopter):
                continue
            reason = plugin.declines(checkpoint.name, config)
            if reason is None:
                write_manifest(folder, plugin.adopt(checkpoint, folder))
                return
            reasons.append(reason)
        raise WrongTask(" ".join(reasons) or f"{checkpoint.name}: no installed task takes over checkpoints.")

    return read_folder(_built(_place(checkpoint.label), checkpoint.name, MANIFEST, fill))


def training_folder(checkpoint: Checkpoint, last: str, fill: Callable[[Path], None]) -> Path:
    """A folder with the checkpoint's weights: its model folder if they are there, else one that `fill` makes.

    last: the name of the weights, in both.
    """
    reader = _place(checkpoint.label)
    if (reader / MANIFEST).is_file() and (reader / last).is_file():
        return reader
    return _built(_place("bases") / checkpoint.label, checkpoint.name, last, fill)


def adopted_earlier(name: str, version: str | None) -> ModelFolder | None:
    """What was last made of a checkpoint of the hub, for when neither the cache nor the hub can be asked."""
    made = [
        path
        for path in _place("").glob(label_of(name, version or "*"))
        if (path / MANIFEST).is_file() and not path.name.startswith(".")
    ]
    return read_folder(max(made, key=lambda path: path.stat().st_mtime)) if made else None


def _place(label: str) -> Path:
    return home() / "hub" / label


def _built(folder: Path, name: str, last: str, fill: Callable[[Path], None]) -> Path:
    """A folder that is there as a whole or not at all, made by `fill` in an empty one if it is not there yet.

    name: what errors call it. last: a file that shows that it is there. Two processes may build the same one: the
    first to end wins, and a killed one leaves a folder whose name starts with a dot, which is removed a day later.
    """
    if (folder / last).is_file():
        return folder
    if folder.exists():
        raise ModelDamaged(f"{folder}: expected {last} in it. Remove the folder; it is made again when it is used.")
    scratch = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}"
    try:
        scratch.mkdir(parents=True)
        _sweep(folder.parent)
        fill(scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not (folder / last).is_file():
                raise
    except Exception as error:
        if disk_full(error):
            raise TrifoldError(
                f"{name}: the disk is full ({folder.parent}), so the model was not made. Free some space, or set "
                "TRIFOLD_HOME to a folder on another disk."
            ) from error
        if isinstance(error, TrifoldError):  # nobody knows the scratch folder, which is gone
            error.args = (str(error).replace(str(scratch), name), *error.args[1:])
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _sweep(parent: Path) -> None:
    for path in parent.iterdir():
        if path.name.startswith(".") and "@" in path.name and time.time() - path.stat().st_mtime > _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)
