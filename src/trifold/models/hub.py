"""Checkpoints of the Hugging Face hub: from the local cache, else downloaded, and every way in which that fails."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

from trifold.errors import ModelNotFound, TrifoldError
from trifold.models.adoption import label_of
from trifold.models.space import disk_full
from trifold.task import Checkpoint

__all__ = ["HubId", "hub_checkpoint", "hub_id"]

_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95})(?:@(?P<revision>\w[\w./-]{0,99}))?", re.A)
_FIRST = ("config.json", "README.md")
"""What is got before anything else: it says whether the rest is worth its bytes."""

Got = TypeVar("Got")


@dataclass(frozen=True, slots=True)
class HubId:
    """`org/name`, and a branch, a tag or a commit (None: the main branch)."""

    name: str
    revision: str | None

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def hub_id(model: str) -> HubId | None:
    """Read `org/name` or `org/name@revision`; None for what cannot be an id of the hub."""
    found = _ID.fullmatch(model)
    if found is None or ".." in model or "--" in found["name"] or found["name"].endswith((".git", ".", "-")):
        return None
    return HubId(found["name"], found["revision"])


def hub_checkpoint(wanted: HubId) -> Checkpoint:
    """The checkpoint of an id: of the local cache if it is there, else of the hub.

    Only its config.json and model card are got; the rest comes by `fetch`. huggingface_hub's settings hold:
    HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_TOKEN, HF_ENDPOINT.

    Raises ModelNotFound when there is no such checkpoint, it is not for everybody, or the hub cannot be reached.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(wanted.name, "config.json", revision=wanted.revision)
    path = Path(cached).parent if isinstance(cached, str) else _download(wanted, wanted.revision, _FIRST)
    if not (path / "config.json").is_file():
        raise ModelNotFound(
            f"{wanted}: the repository has no config.json, so it is no checkpoint of transformers. "
            "Give the id of a model; adapters (LoRA) must be merged into theirs first."
        )
    commit = path.name
    return Checkpoint(path, wanted.name, commit, label_of(wanted.name, commit), _HubFiles(wanted, path))


class _HubFiles:
    """Fetches files of one commit. What the cache has is not asked for, and an unreachable hub is asked once."""

    def __init__(self, wanted: HubId, path: Path) -> None:
        self._wanted = wanted
        self._path = path
        self._listing = cache(self._list)

    def __call__(self, *patterns: str, required: bool = False) -> list[Path]:
        found = self._here(patterns)
        if found:
            return found
        listing = self._listing()
        if isinstance(listing, TrifoldError):
            if required:
                raise listing
            return []
        names = [name for name in listing if any(_matches(name, pattern) for pattern in patterns)]
        if names:
            _download(self._wanted, self._path.name, names)
        return self._here(patterns)

    def _here(self, patterns: tuple[str, ...]) -> list[Path]:
        return sorted({path for pattern in patterns for path in self._path.glob(pattern) if path.is_file()})

    def _list(self) -> list[str] | TrifoldError:
        from huggingface_hub import HfApi

        try:
            return _asked(self._wanted, lambda: HfApi().list_repo_files(self._wanted.name, revision=self._path.name))
        except TrifoldError as error:
            return error


def _download(wanted: HubId, revision: str | None, names: Sequence[str]) -> Path:
    """Get files by name or pattern into the cache; returns the folder of their commit."""
    from huggingface_hub import snapshot_download

    def download() -> str:
        with _bars_on_a_terminal():
            return snapshot_download(wanted.name, revision=revision, allow_patterns=list(names))

    return Path(_asked(wanted, download))


@contextmanager
def _bars_on_a_terminal() -> Iterator[None]:
    """huggingface_hub's progress bars where a person watches, or as its own setting says."""
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    watched = sys.stderr is not None and sys.stderr.isatty()
    silenced = constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not watched and not are_progress_bars_disabled()
    if silenced:
        disable_progress_bars()
    try:
        yield
    finally:
        if silenced:
            enable_progress_bars()


def _matches(name: str, pattern: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) == len(PurePosixPath(pattern).parts) and path.match(pattern)


def _asked(wanted: HubId, question: Callable[[], Got]) -> Got:
    """Ask the hub something; what goes wrong is told in the terms of the person who gave the id."""
    try:
        return question()
    except Exception as error:  # the hub's client changes its HTTP library, whose exceptions share no base class
        raise _explained(wanted, error) from error


def _explained(wanted: HubId, error: Exception) -> TrifoldError:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # why the cache was looked at
    page = f"{constants.ENDPOINT}/{wanted.name}"
    if disk_full(error):
        return TrifoldError(
            f"{wanted}: the disk is full, so the download stopped ({constants.HF_HUB_CACHE}). "
            "Free some space, or set HF_HOME to a folder on another disk; what was downloaded is kept."
        )
    if isinstance(error, errors.GatedRepoError):
        return ModelNotFound(
            f"{wanted} is gated: its authors ask for consent. Ask for access at {page}, then log in: hf auth login"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelNotFound(
            f"no model is called {wanted.name!r} on the Hugging Face hub, no folder here has that path, or the model "
            f"is private. Check the spelling at {page}; for a private model log in: hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelNotFound(
            f"{wanted.name} has no revision {wanted.revision!r}. Its branches, tags and commits are at "
            f"{page}/commits/main"
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403}:
        return ModelNotFound(
            f"{wanted}: the hub does not let you in ({status}). Log in anew (hf auth login), with a token that may "
            f"read {page}"
        )
    if status == 429 or (isinstance(status, int) and status >= 500):
        return ModelNotFound(f"{wanted}: the hub answered with error {status}. Try again later.")
    return _unreachable(wanted, error)


def _unreachable(wanted: HubId, error: Exception) -> TrifoldError:
    from huggingface_hub import constants

    where = f"is not in the local cache ({constants.HF_HUB_CACHE})"
    if constants.HF_HUB_OFFLINE:
        return ModelNotFound(
            f"{wanted} {where} as far as it is needed, and HF_HUB_OFFLINE forbids to download it. "
            f"Unset HF_HUB_OFFLINE, or run `hf download {wanted.name}` where there is a network and copy the cache."
        )
    reason = (str(error).splitlines() or [""])[0][:200]
    return ModelNotFound(
        f"{wanted} {where} as far as it is needed, and the hub cannot be reached ({type(error).__name__}: {reason}). "
        f"Connect to a network, or run `hf download {wanted.name}` where there is one and copy the cache."
    )
