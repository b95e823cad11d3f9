"""The model folder: a Hugging Face folder, exported graphs, a model card, and `trifold.json`.

`trifold.json` (format 1) names the task, the version, the graphs in order of preference, what the task needs
to read its own outputs (`task_settings`), where the model comes from, and the hash of every file. A folder is
never changed after it was written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifold.errors import ModelDamaged

__all__ = ["FORMAT", "MANIFEST", "Graph", "ModelFolder", "hash_file", "parse_manifest", "read_folder", "write_manifest"]

FORMAT = 1
MANIFEST = "trifold.json"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_REQUIRED: Mapping[str, type] = {
    "task": str,
    "name": str,
    "version": str,
    "graphs": list,
    "task_settings": dict,
    "files": dict,
}


@dataclass(frozen=True, slots=True)
class Graph:
    """One exported form of the model.

    probe: a file with inputs of the graph and the outputs that they gave where it was made, or None. The engine
    repeats the computation before it trusts a graph whose arithmetic depends on the processor. first: the graph of
    the first stage, for a model of two.
    """

    file: str
    precision: str
    probe: str | None = None
    first: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder whose manifest was read and found well-formed. Its files are checked by `verify`."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def task(self) -> str:
        return str(self.manifest["task"])

    @property
    def version(self) -> str:
        """The full name of this version, such as `default@1`."""
        return f"{self.manifest['name']}@{self.manifest['version']}"

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs in order of preference."""
        return tuple(Graph(g["file"], g["precision"], g.get("probe"), g.get("first")) for g in self.manifest["graphs"])

    @property
    def task_settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.manifest["task_settings"]
        return settings

    def verify(self) -> None:
        """Compare the files with the sizes and SHA-256 hashes in the manifest.

        Raises ModelDamaged for the first that is missing, differs, or is not listed there.
        """
        files: Mapping[str, Any] = self.manifest["files"]
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and name not in files and name != MANIFEST and not path.name.startswith("."):
                raise ModelDamaged(f"{self.path}: the file {name} is not one of the model's. Move it elsewhere.")
        for name in files:
            path = self.path / name
            if not _is_file(path):
                raise ModelDamaged(f"{self.path}: the file {name[:80]} is missing. Get the model again.")
            size = path.stat().st_size
            if size != files[name]["bytes"]:
                raise ModelDamaged(
                    f"{path}: {size:,} bytes found, {files[name]['bytes']:,} expected; it was cut or changed. "
                    "Get the model again."
                )
            if hash_file(path) != files[name]["sha256"]:
                raise ModelDamaged(f"{path}: the contents do not match their hash. Get the model again.")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_folder(path: Path) -> ModelFolder:
    """Read and check the manifest of a model folder.

    Raises ModelDamaged when the folder is not one, or was written by a newer version.
    """
    source = path / MANIFEST
    if not source.is_file():
        raise ModelDamaged(
            f"{path}: no {MANIFEST} in it, so it is not a trifold model folder. "
            "Give the folder of a model that trifold made."
        )
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ModelDamaged(f"{source}: cannot be read ({error.strerror}).") from None
    return ModelFolder(path, parse_manifest(content, str(source)))


def parse_manifest(content: bytes, source: str) -> Mapping[str, Any]:
    """The manifest in the bytes of a `trifold.json`, wherever they come from; `source` names them in errors.

    Raises ModelDamaged when they are no manifest, or were written by a newer version.
    """
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(f"{source}: expected a JSON object, found something else ({error}).") from None
    if not isinstance(manifest, dict):
        raise ModelDamaged(f"{source}: expected a JSON object, found {type(manifest).__name__}.")
    if manifest.get("format") != FORMAT:
        raise ModelDamaged(
            f"{source}: expected format {FORMAT}, found {manifest.get('format')!r:.40}. "
            "It was made by another version of trifold: upgrade trifold, or make the model again."
        )
    for key, kind in _REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            found = type(manifest.get(key)).__name__
            raise ModelDamaged(f"{source}: expected {key!r} to be a {kind.__name__}, found {found}.")
    _check_parts(source, manifest)
    return manifest


def _check_parts(source: str, manifest: Mapping[str, Any]) -> None:
    """No file name leaves the folder, and every entry has the fields that are read later."""
    if not NAME.fullmatch(manifest["name"]) or not NAME.fullmatch(manifest["version"]):
        raise ModelDamaged(f"{source}: the name and version must be of a-z, 0-9, dot, dash and underscore.")
    files = manifest["files"]
    for name, facts in files.items():
        if not name or "\\" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelDamaged(f"{source}: the file name {name!r} leads out of the folder.")
        sound = isinstance(facts, dict) and type(facts.get("bytes")) is int and isinstance(facts.get("sha256"), str)
        if not sound:
            raise ModelDamaged(f"{source}: the file {name!r} has no size and hash.")
    for graph in manifest["graphs"]:
        if not isinstance(graph, dict) or not isinstance(graph.get("precision"), str):
            raise ModelDamaged(f"{source}: a graph is listed without a precision.")
        if not isinstance(graph.get("file"), str) or graph["file"] not in files:
            raise ModelDamaged(f"{source}: the {graph['precision']} graph is not among the files.")
        for part, called in (("probe", "probe"), ("first", "first stage")):
            file = graph.get(part)
            if file is not None and (not isinstance(file, str) or file not in files):
                raise ModelDamaged(f"{source}: the {called} of {graph['file']} is not among the files.")


def write_manifest(path: Path, facts: Mapping[str, Any]) -> ModelFolder:
    """Write `trifold.json` over the files that stand in a folder, with their sizes and hashes.

    facts: everything but `format` and `files`. The folder is read back, so that nothing unreadable is left.
    """
    files = {
        file.relative_to(path).as_posix(): {"bytes": file.stat().st_size, "sha256": hash_file(file)}
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    manifest = {"format": FORMAT, **facts, "files": files}
    text = json.dumps(manifest, ensure_ascii=False, indent=2)
    (path / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return read_folder(path)
