"""From a model's name to its folder.

A name is `default` (comes with the package), `name` (its newest version), `name@version`, a path, or `org/name` of the
Hugging Face hub (`org/name@revision`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trifold.errors import ModelDamaged, ModelNotFound, TrifoldError
from trifold.models.folder import MANIFEST, ModelFolder, read_folder
from trifold.task import Checkpoint

__all__ = ["checkpoint_of", "find", "home", "listed", "roots"]

_EMBEDDED = Path(__file__).parent / "embedded"


def home() -> Path:
    """Where this user's models live: `TRIFOLD_HOME`, else the platform's data directory."""
    if chosen := os.environ.get("TRIFOLD_HOME"):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("trifold", appauthor=False)


def roots() -> tuple[Path, Path]:
    """The folders that hold `name@version` folders: the package's own, then the user's."""
    return _EMBEDDED, home() / "models"


def listed() -> Iterator[ModelFolder | TrifoldError]:
    """Every version in the registry, by name and age; a damaged folder comes as the error it raises."""
    for path in _versions():
        try:
            yield _registered(path)
        except TrifoldError as error:
            yield error


def find(model: str) -> ModelFolder:
    """The folder of a model, by name, path or id of the Hugging Face hub.

    A checkpoint of the hub, or in a plain folder, becomes a model folder first (see `models/adoption`).

    Raises ModelNotFound when there is none, ModelDamaged when its manifest or checkpoint cannot be used, WrongTask for
    a checkpoint of another kind, MissingExtra when converting it needs packages that are not installed.
    """
    if _looks_like_path(model):
        return _at_path(model)
    if (folder := _from_hub(model)) is not None:
        return folder
    name, at, _ = model.partition("@")
    candidates = [
        path
        for path in _versions()
        if path.name.partition("@")[0] == name and (path.name == model if at else path.parent != home() / "hub")
    ]
    if candidates:
        return _registered(candidates[-1])
    if _is_folder(model):
        return _at_path(model)
    known = ", ".join(p.name for p in _versions())
    raise ModelNotFound(
        f"no model is called {model[:80]!r} (there are: {known}). `trifold models list` shows them; "
        "a folder is given by its path, such as ./folder, a model of the Hugging Face hub as org/name."
    )


def checkpoint_of(model: str) -> Checkpoint | None:
    """The checkpoint of others that a name stands for, before it is made a model folder; None for other names.

    Raises ModelNotFound for an id of the hub that cannot be had.
    """
    if _looks_like_path(model):
        from trifold.models.adoption import local_checkpoint

        path = Path(model).expanduser()
        return local_checkpoint(path) if _is_plain(path) else None
    if "/" not in model:
        return None
    from trifold.models.hub import hub_checkpoint, hub_id

    wanted = hub_id(model)
    return None if wanted is None else hub_checkpoint(wanted)


def _at_path(model: str) -> ModelFolder:
    if not _is_folder(model):
        raise ModelNotFound(f"no model folder at {model[:80]!r}. Give the path of a folder that holds {MANIFEST}.")
    path = Path(model).expanduser()
    if _is_plain(path):
        from trifold.models.adoption import adopted, local_checkpoint

        return adopted(local_checkpoint(path))
    return read_folder(path)


def _is_plain(path: Path) -> bool:
    """Whether a folder holds a checkpoint that is no model folder of trifold."""
    return not (path / MANIFEST).is_file() and (path / "config.json").is_file()


def _is_folder(model: str) -> bool:
    try:
        return bool(model) and Path(model).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # such as a name that is too long, or the home of nobody
        return False


def _from_hub(model: str) -> ModelFolder | None:
    """What a hub id stands for; None for what is no id."""
    if "/" not in model:
        return None
    from trifold.models.adoption import adopted, adopted_earlier
    from trifold.models.hub import hub_checkpoint, hub_id

    wanted = hub_id(model)
    if wanted is None:
        return None
    try:
        checkpoint = hub_checkpoint(wanted)
    except ModelNotFound:
        earlier = adopted_earlier(wanted.name, wanted.revision)
        if earlier is None:
            raise
        return earlier
    return adopted(checkpoint)


def _registered(path: Path) -> ModelFolder:
    """A folder of the registry, which must be what its name says: replies name the version that made them."""
    folder = read_folder(path)
    if folder.version != path.name:
        raise ModelDamaged(f"{path}: expected the model {path.name}, found {folder.version}. Rename the folder.")
    return folder


def _looks_like_path(model: str) -> bool:
    """What has a slash is a path, unless it could be `org/name` and is no folder here."""
    if model.startswith((".", "~")) or Path(model).is_absolute():
        return True
    if "/" not in model and os.sep not in model:
        return False
    from trifold.models.hub import hub_id

    return _is_folder(model) or hub_id(model) is None


def _versions() -> list[Path]:
    found = [
        path
        for root in (*roots(), home() / "hub")
        if root.is_dir()
        for path in root.iterdir()
        if path.is_dir() and "@" in path.name and not path.name.startswith(".")
    ]
    return sorted(found, key=_age)


def _age(path: Path) -> tuple[str, tuple[tuple[int, int | str], ...]]:
    """Sorts `m@9` before `m@10`, and numbers before words."""
    name, _, version = path.name.partition("@")
    parts = version.replace("-", ".").split(".")
    return name, tuple((0, int(p)) if p.isdecimal() else (1, p) for p in parts)
