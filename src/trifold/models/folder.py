"""The model folder: a Hugging Face folder, exported graphs, a model card, and `trifold.json`.

`trifold.json` (format 1) names the task, the version, the graphs in order of preference, what the task needs
to read its own outputs (`task_settings`), where the model comes from, and the hash of every file. A folder is
never changed after it was written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifold.errors import ModelDamaged

__all__ = ["FORMAT", "MANIFEST", "Graph", "ModelFolder", "hash_file", "read_folder", "write_manifest"]

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
    repeats the computation before it trusts a graph whose arithmetic depends on the processor.
    """

    file: str
    precision: str
    probe: str | None = None


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
        """The full name of this version, such as `default@0`."""
        return f"{self.manifest['name']}@{self.manifest['version']}"

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs in order of preference."""
        return tuple(Graph(g["file"], g["precision"], g.get("probe")) for g in self.manifest["graphs"])

    @property
    def task_settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.manifest["task_settings"]
        return settings

    def verify(self, names: Iterable[str] | None = None) -> None:
        """Compare files with the sizes and SHA-256 hashes in the manifest; all of them by default.

        Raises ModelDamaged for the first that is missing or differs.
        """
        files: Mapping[str, Any] = self.manifest["files"]
        for name in files if names is None else names:
            path = self.path / name
            if name not in files or not path.is_file():
                raise ModelDamaged(f"{self.path}: the file {name} is missing. Get the model again.")
            size = path.stat().st_size
            if size != files[name]["bytes"]:
                raise ModelDamaged(
                    f"{path}: {size:,} bytes found, {files[name]['bytes']:,} expected; it was cut or changed. "
                    "Get the model again."
                )
            if hash_file(path) != files[name]["sha256"]:
                raise ModelDamaged(f"{path}: the contents do not match their hash. Get the model again.")


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_folder(path: Path) -> ModelFolder:
    """Read and check the manifest of a model folder.

    Raises ModelDamaged when the folder is not one, or was written by a newer version.
    """
    source = path / MANIFEST
    try:
        manifest = json.loads(source.read_bytes())
    except FileNotFoundError:
        raise ModelDamaged(
            f"{path}: no {MANIFEST} in it, so it is not a trifold model folder. "
            "Give the folder of a model that trifold made."
        ) from None
    except (ValueError, OSError) as error:
        raise ModelDamaged(f"{source}: expected a JSON object, found something else ({error}).") from None
    if not isinstance(manifest, dict):
        raise ModelDamaged(f"{source}: expected a JSON object, found {type(manifest).__name__}.")
    if manifest.get("format") != FORMAT:
        raise ModelDamaged(
            f"{source}: expected format {FORMAT}, found {manifest.get('format')!r}. "
            "It was made by another version of trifold: upgrade trifold, or make the model again."
        )
    for key, kind in _REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            found = type(manifest.get(key)).__name__
            raise ModelDamaged(f"{source}: expected {key!r} to be a {kind.__name__}, found {found}.")
    _check_parts(source, manifest)
    return ModelFolder(path, manifest)


def _check_parts(source: Path, manifest: Mapping[str, Any]) -> None:
    """No file name leaves the folder, and every entry has the fields that are read later."""
    if not NAME.fullmatch(manifest["name"]) or not NAME.fullmatch(manifest["version"]):
        raise ModelDamaged(f"{source}: the name and version must be of a-z, 0-9, dot, dash and underscore.")
    for name, facts in manifest["files"].items():
        inside = bool(name) and "\\" not in name and not Path(name).is_absolute() and ".." not in Path(name).parts
        if not inside:
            raise ModelDamaged(f"{source}: the file name {name!r} leads out of the folder.")
        if not (isinstance(facts, dict) and isinstance(facts.get("sha256"), str) and "bytes" in facts):
            raise ModelDamaged(f"{source}: the file {name!r} has no size and hash.")
    for graph in manifest["graphs"]:
        known = isinstance(graph, dict) and isinstance(graph.get("precision"), str)
        if not known or graph.get("file") not in manifest["files"]:
            raise ModelDamaged(f"{source}: a graph is listed without a precision or without its file.")
        if graph.get("probe") is not None and graph["probe"] not in manifest["files"]:
            raise ModelDamaged(f"{source}: the probe of {graph['file']} is not among the files.")


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
