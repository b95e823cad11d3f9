"""From a model's name to its folder.

A name is `default` (comes with the package), `name` (its newest version), `name@version`, or a path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trifold.errors import ModelDamaged, ModelNotFound, TrifoldError
from trifold.models.folder import MANIFEST, ModelFolder, read_folder

__all__ = ["find", "home", "listed", "roots"]

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
    """The folder of a model, by name or path.

    Raises ModelNotFound when there is none, ModelDamaged when its manifest cannot be read.
    """
    if _looks_like_path(model):
        return _at_path(model)
    name, at, _ = model.partition("@")
    candidates = [p for p in _versions() if p.name.partition("@")[0] == name and (not at or p.name == model)]
    if candidates:
        return _registered(candidates[-1])
    known = ", ".join(p.name for p in _versions())
    raise ModelNotFound(
        f"no model is called {model[:80]!r} (there are: {known}). "
        "`trifold models list` shows them; a folder is given by its path, such as ./folder."
    )


def _at_path(model: str) -> ModelFolder:
    try:
        found = Path(model).expanduser().is_dir()
    except OSError:  # such as a name that is too long
        found = False
    if not found:
        raise ModelNotFound(f"no model folder at {model[:80]!r}. Give the path of a folder that holds {MANIFEST}.")
    return read_folder(Path(model).expanduser())


def _registered(path: Path) -> ModelFolder:
    """A folder of the registry, which must be what its name says: replies name the version that made them."""
    folder = read_folder(path)
    if folder.version != path.name:
        raise ModelDamaged(f"{path}: expected the model {path.name}, found {folder.version}. Rename the folder.")
    return folder


def _looks_like_path(model: str) -> bool:
    return os.sep in model or "/" in model or model.startswith((".", "~"))


def _versions() -> list[Path]:
    found = [
        path
        for root in roots()
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
