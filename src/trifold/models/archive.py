"""A model version as one file: a zip archive whose first member, `trifold.json`, lists all others with their hashes.

Members are stored, not compressed: weights hardly shrink, and so the bytes of an archive depend on nothing but the
model, not even on the version of zlib.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifold.errors import DataError, InvalidInput, ModelDamaged, TrifoldError
from trifold.models.folder import MANIFEST, ModelFolder, hash_file, parse_manifest, read_folder
from trifold.models.space import readable_size, room
from trifold.models.strange_zip import CHUNK, MOST_HELD, chunks, entries, opened, safe_names
from trifold.models.versions import adding, place_of, reserved
from trifold.task import Progress, no_progress

__all__ = ["MOST_BYTES", "Imported", "archive_name", "export_archive", "import_archive"]

MOST_BYTES = 20 * 10**9
"""What an archive may unpack to, unless the caller says otherwise."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Imported:
    """A version of the registry, and whether it had been there before."""

    folder: ModelFolder
    already_there: bool


def archive_name(folder: ModelFolder) -> str:
    """What the archive of a version is called unless someone chooses: `mine-3.trifold.zip`."""
    return f"{folder.version.replace('@', '-')}.trifold.zip"


def export_archive(folder: ModelFolder, path: Path, *, force: bool = False, progress: Progress = no_progress) -> str:
    """Write a version as one archive, whole or not at all; returns the archive's SHA-256.

    The files are compared with their hashes on the way. force: overwrite what is at `path`. progress: in bytes.
    Raises ModelDamaged, InvalidInput for a place that will not do, EngineError when the disk is full.
    """
    files: Mapping[str, Any] = folder.manifest["files"]
    safe_names(str(folder.path), files, taken=MANIFEST)
    _check_place(folder, path, force)
    with _model_file(folder, MANIFEST) as stream:
        manifest = stream.read()
    total = _size(folder)
    advance = _counter(progress, total)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with room(path.absolute().parent, total + len(manifest), "Free some, or choose another place."):
        try:
            with partial.open("xb") as stream:
                with zipfile.ZipFile(stream, "w") as archive:
                    archive.writestr(_entry(MANIFEST), manifest)
                    for name in sorted(files):
                        _pack(archive, folder, name, advance)
                stream.flush()
                os.fsync(stream.fileno())
            digest = hash_file(partial)
            _check_place(folder, path, force)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return digest


def import_archive(
    path: Path, *, sha256: str | None = None, most_bytes: int = MOST_BYTES, progress: Progress = no_progress
) -> Imported:
    """Unpack and register the version that an archive holds, under the name and number that it has inside.

    sha256: what the archive's own hash must be, in hexadecimal. most_bytes: what it may unpack to. progress: in bytes.
    Raises ModelDamaged for an archive that is cut, altered or not ours, DataError for a file that cannot be read or
    is too large, InvalidInput when another model has that name, EngineError when the disk is full.
    """
    with opened(path) as stream:
        if sha256 is not None:
            _check_archive(path, stream, sha256)
        with entries(path, stream) as (archive, found):
            content = _manifest_bytes(path, archive, found)
            manifest = parse_manifest(content, f"{path}: {MANIFEST}")
            members = _members(path, found[1:], manifest)
            total = _total(path, manifest, most_bytes)
            advance = _counter(progress, total)
            there = _registered(path, f"{manifest['name']}@{manifest['version']}", content)
            if there is not None:
                for name, info in members.items():
                    _unpack(path, archive, info, manifest["files"][name]["sha256"], Path(os.devnull), advance)
                return Imported(there, True)
            with adding(manifest["name"], version=manifest["version"], needed=total + len(content)) as draft:
                (draft.path / MANIFEST).write_bytes(content)
                for name, info in members.items():
                    target = draft.path / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _unpack(path, archive, info, manifest["files"][name]["sha256"], target, advance)
            return Imported(read_folder(draft.target), False)


def _size(folder: ModelFolder) -> int:
    """Bytes of all files, each of which must have the size that the manifest says."""
    for name, facts in folder.manifest["files"].items():
        with _model_file(folder, name) as stream:
            if os.fstat(stream.fileno()).st_size != facts["bytes"]:
                raise ModelDamaged(f"{folder.path / name}: it was cut or changed. Get the model again.")
    return sum(facts["bytes"] for facts in folder.manifest["files"].values())


def _check_place(folder: ModelFolder, path: Path, force: bool) -> None:
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"{path}: its folder does not exist. Make it first.")
    if path.is_dir():
        raise InvalidInput(f"{path}: expected the name of a file, found a folder.")
    if path.resolve().is_relative_to(folder.path.resolve()):
        raise InvalidInput(f"{path}: this lies in the model's own folder, which never changes. Choose another place.")
    if os.path.lexists(path) and not force:
        raise InvalidInput(f"{path}: it exists already. Choose another name, or overwrite it with --force.")


def _counter(progress: Progress, total: int) -> Callable[[int], None]:
    """Adds up what is done."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


def _entry(name: str, size: int = 0) -> zipfile.ZipInfo:
    """A member without a trace of where and when it was written."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.file_size = size
    return info


def _pack(archive: zipfile.ZipFile, folder: ModelFolder, name: str, advance: Callable[[int], None]) -> None:
    """Write a file of the model, as long as it is what the manifest says."""
    facts = folder.manifest["files"][name]
    hashed, left = hashlib.sha256(), facts["bytes"]
    with _model_file(folder, name) as source, archive.open(_entry(name, facts["bytes"]), "w") as member:
        while left >= 0 and (chunk := source.read(CHUNK)):
            left -= len(chunk)
            hashed.update(chunk)
            member.write(chunk)
            advance(len(chunk))
    if left or hashed.hexdigest() != facts["sha256"]:
        raise ModelDamaged(f"{folder.path / name}: the contents do not match their hash. Get the model again.")


def _model_file(folder: ModelFolder, name: str) -> io.BufferedReader:
    try:
        return (folder.path / name).open("rb")
    except OSError as error:
        raise ModelDamaged(f"{folder.path / name}: cannot be read ({error.strerror}). Get the model again.") from None


def _check_archive(path: Path, stream: io.FileIO, expected: str) -> None:
    expected = expected.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise InvalidInput(f"sha256: expected 64 hexadecimal digits, found {expected[:80]!r}.", field="sha256")
    found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelDamaged(f"{path}: expected the SHA-256 {expected}, found {found}. Get the archive again.")
    stream.seek(0)


def _manifest_bytes(path: Path, archive: zipfile.ZipFile, found: list[zipfile.ZipInfo]) -> bytes:
    if not found or found[0].orig_filename != MANIFEST:
        raise ModelDamaged(f"{path}: expected {MANIFEST} as the first file in it; this is no archive of a model.")
    if found[0].file_size > MOST_HELD:
        raise ModelDamaged(f"{path}: its {MANIFEST} is larger than {readable_size(MOST_HELD)}.")
    return b"".join(chunks(path, archive, found[0]))


def _members(path: Path, found: list[zipfile.ZipInfo], manifest: Mapping[str, Any]) -> dict[str, zipfile.ZipInfo]:
    """The entries of the manifest's files, which must be all there are, each once and of the size it says."""
    files: Mapping[str, Any] = manifest["files"]
    safe_names(f"{path}: {MANIFEST}", files, taken=MANIFEST)
    names = Counter(info.orig_filename for info in found)
    for name in [*files, *names]:
        if name not in files or names[name] != 1:
            what = "is not one of them" if name not in files else f"is there {names[name]} times"
            raise ModelDamaged(
                f"{path}: expected the files that its {MANIFEST} lists, each once; {name[:80]!r} {what}. Get it again."
            )
    for info in found:
        if info.file_size != files[info.orig_filename]["bytes"]:
            raise ModelDamaged(f"{path}: {info.orig_filename} has another size than {MANIFEST} says. Get it again.")
    return {info.orig_filename: info for info in found}


def _total(path: Path, manifest: Mapping[str, Any], most_bytes: int) -> int:
    total = sum(facts["bytes"] for facts in manifest["files"].values())
    if total > most_bytes:
        raise DataError(
            f"{path}: it unpacks to {readable_size(total)}, and {readable_size(most_bytes)} are allowed. "
            "If you trust it, allow more with --max-gb."
        )
    return int(total)


def _unpack(
    path: Path,
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    sha256: str,
    target: Path,
    advance: Callable[[int], None],
) -> None:
    """Write a member and compare it with its hash in the manifest; its size was compared before."""
    hashed = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in chunks(path, archive, info):
            hashed.update(chunk)
            stream.write(chunk)
            advance(len(chunk))
    if hashed.hexdigest() != sha256:
        raise ModelDamaged(f"{path}: {info.orig_filename} does not match its hash. Get it again.")


def _registered(path: Path, version: str, content: bytes) -> ModelFolder | None:
    """The version of that name, when it is there and the same; None when it is not there."""
    found = place_of(version)
    if found is None:
        if reserved(version.partition("@")[0]):
            raise InvalidInput(
                f"{path}: it holds {version}, and that name is kept for the model that comes with trifold. "
                "Upgrade trifold, or unpack the archive and give its folder by its path."
            )
        return None
    again = f"`trifold models remove {version}`, then import again"
    try:
        folder = read_folder(found)
        folder.verify()
    except TrifoldError as error:
        raise ModelDamaged(f"{version} is there already, but damaged: {error} To replace it: {again}.") from None
    if (found / MANIFEST).read_bytes() != content:
        raise InvalidInput(
            f"{path}: it holds {version}, and another model of that name is there already. "
            f"To replace that one: {again}. To keep both, unpack the archive and give its folder by its path."
        )
    return folder
