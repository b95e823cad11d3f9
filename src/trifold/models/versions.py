"""Adds versions to the user's registry and removes them: a version is there as a whole or not at all.

A version in the making is a hidden folder of the registry. A lock in it tells whether its process still lives; the
folder of one that was killed is swept away at the next occasion.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trifold.errors import InvalidInput, ModelDamaged, ModelNotFound
from trifold.models.folder import NAME, read_folder
from trifold.models.locks import hold, locked
from trifold.models.registry import home, roots
from trifold.models.space import room

__all__ = ["Draft", "adding", "check_removable", "place_of", "remove", "reserved"]

_LOCK = ".lock"
"""Held for moments: while a number is chosen, and while a folder appears or goes."""
_MAKING, _REMOVING = ".making-", ".removing-"
_ALIVE, _CONTENT = "alive", "model"
_REMEDY = "Free some, or let TRIFOLD_HOME name a folder on another disk."


@dataclass(frozen=True, slots=True)
class Draft:
    """A version in the making, whose name and number no other process gets meanwhile.

    path: the folder to fill. name, version: what its `trifold.json` must say. target: where it will be.
    """

    name: str
    version: str
    path: Path
    target: Path

    @property
    def full_name(self) -> str:
        """Such as `mine@3`."""
        return f"{self.name}@{self.version}"


@contextmanager
def adding(name: str, *, version: str | None = None, needed: int | None = None) -> Iterator[Draft]:
    """Fill the folder of a draft, which becomes a version of the registry when the block ends without an error.

    version: the version to add; None takes the whole number after the highest there is, in the making ones included.
    needed: bytes that the folder will take, when known. The folder must hold a manifest that names this version, and
    the files that it lists. After an error nothing is left. The files of a version are made read-only.

    Raises InvalidInput for a name or version that cannot be had, ModelDamaged for a folder that is not what it should
    be, EngineError when the disk is full.
    """
    _check_name(name)
    root = roots()[1]
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / _LOCK):
        _sweep(root)
        version = _next(name) if version is None else version
        scratch = root / f"{_MAKING}{name}@{version}"
        draft = Draft(name, version, scratch / _CONTENT, root / f"{name}@{version}")
        _check_free(draft, scratch)
        draft.path.mkdir(parents=True)
        alive = hold(scratch / _ALIVE)
    try:
        with room(root, needed, _REMEDY):
            yield draft
            _finish(draft)
        with locked(root / _LOCK):
            _check_free(draft)
            draft.path.rename(draft.target)
            _sync(root)
    finally:
        with locked(root / _LOCK):
            if alive is not None:
                os.close(alive)
            _delete(scratch)


def check_removable(version: str) -> Path:
    """The folder of a version that may be removed, by its full name, such as `mine@3`.

    Raises InvalidInput for what is no full name and for what comes with trifold, ModelNotFound when there is none.
    """
    name, _, number = version.partition("@")
    if not NAME.fullmatch(name) or not NAME.fullmatch(number):
        raise InvalidInput(
            f"expected the full name of one version, such as mine@1, found {version[:80]!r}. "
            "`trifold models list` shows them."
        )
    target = place_of(version)
    if target is None:
        raise ModelNotFound(f"no version is called {version!r}. `trifold models list` shows them.")
    if target.parent == roots()[0]:
        raise InvalidInput(f"{version} comes with trifold and cannot be removed.")
    return target


def remove(version: str) -> None:
    """Take one of the user's versions away, for good; of a link only the link. Raises as `check_removable` does."""
    target = check_removable(version)
    root = target.parent
    with locked(root / _LOCK):
        _sweep(root)
        if target.is_symlink() or not target.is_dir():
            target.unlink()
            return
        going = root / f"{_REMOVING}{version}"
        target.rename(going)
        _sync(root)
        _delete(going)


def place_of(version: str) -> Path | None:
    """The folder of one version by its full name, damaged or not; None when there is none."""
    return next((root / version for root in _places() if os.path.lexists(root / version)), None)


def reserved(name: str) -> bool:
    """Whether a name belongs to a model that comes with trifold."""
    return name == "default" or any(path.name.partition("@")[0] == name for path in roots()[0].glob("*@*"))


def _places() -> tuple[Path, Path, Path]:
    """The folders that hold versions: the package's own, the user's, those made of checkpoints of the hub."""
    return (*roots(), home() / "hub")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"name: expected at most 64 of a-z, 0-9, dot, dash and underscore, a letter or digit first, "
            f"found {name[:80]!r}.",
            field="name",
        )
    if reserved(name):
        raise InvalidInput(f"name: {name!r} is the model that comes with trifold. Choose another name.", field="name")


def _check_free(draft: Draft, scratch: Path | None = None) -> None:
    if not NAME.fullmatch(draft.version):
        raise InvalidInput(f"{draft.full_name}: this is no name of a version. Choose another name.", field="name")
    if place_of(draft.full_name) is not None:
        raise InvalidInput(f"{draft.full_name} is there already, and a version is never changed.", field="name")
    if scratch is not None and scratch.exists():
        raise InvalidInput(f"{draft.full_name} is being made by another process. Wait for it to end.", field="name")


def _next(name: str) -> str:
    """One more than the highest whole number among the versions of a name, those in the making included."""
    numbers = [0]
    for root in _places():
        for path in root.glob("*@*") if root.is_dir() else ():
            owner, _, version = path.name.removeprefix(_MAKING).partition("@")
            if owner == name and version.isdecimal():
                numbers.append(int(version))
    return str(max(numbers) + 1)


def _finish(draft: Draft) -> None:
    """See that the folder is whole, on the disk, and read-only."""
    folder = read_folder(draft.path)
    if folder.version != draft.full_name:
        raise ModelDamaged(f"{draft.path}: expected the model {draft.full_name}, found {folder.version}.")
    content = list(draft.path.rglob("*"))
    for path in content:
        if path.is_symlink():
            raise ModelDamaged(f"{path}: a version holds its files itself, and this is a link. Copy the file.")
    folder.verify()
    for path in content:
        _sync(path)
        if path.is_file():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    _sync(draft.path)


def _sync(path: Path) -> None:
    """Have the contents of a file, or the names in a folder, on the disk; Windows has no such thing for folders."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(root: Path) -> None:
    """Delete what killed processes left. Called with the lock of the registry."""
    for path in [*root.glob(f"{_MAKING}*"), *root.glob(f"{_REMOVING}*")]:
        try:
            alive = hold(path / _ALIVE)
            if alive is not None:
                os.close(alive)
                _delete(path)
        except OSError:  # another user's, or in use: it stays hidden
            continue


def _delete(folder: Path) -> None:
    """Delete a folder with its read-only files; links are not followed."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files) if os.name == "nt" else folders:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
    shutil.rmtree(folder)
