"""A version travels as one archive, and only as it was packed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Call
from doubles import bert_tokenizer, qa_folder
from test_versions import Usage, added, left
from trifold import Reader, load
from trifold.errors import DataError, EngineError, InvalidInput, ModelDamaged, TrifoldError
from trifold.models.archive import export_archive, import_archive
from trifold.models.folder import MANIFEST, hash_file, read_folder
from trifold.models.registry import find
from trifold.models.versions import remove

Members = list[tuple[zipfile.ZipInfo | str, bytes]]


def packed(tmp_path: Path) -> Path:
    """The archive of `mine@1`, which is in the registry no more."""
    path = tmp_path / "mine.zip"
    export_archive(added("mine"), path)
    remove("mine@1")
    return path


def contents(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def names(path: Path) -> list[str]:
    return sorted(inner.name for inner in path.iterdir())


def written(path: Path, members: Members, kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def manifest_with(members: Members, files: dict[str, bytes], **facts: Any) -> Members:
    """Members whose manifest lists more files, as they are."""
    manifest = json.loads(members[0][1])
    listed = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()}
    changed = {**manifest, "files": {**manifest["files"], **listed}, **facts}
    return [(MANIFEST, json.dumps(changed).encode()), *members[1:]]


def test_an_imported_model_answers_as_before(home: Path, tmp_path: Path) -> None:
    vocabulary = bert_tokenizer().get_vocab()
    weights = {vocabulary[piece]: (6.0, 6.0) for piece in ("a", "##a")}
    folder = qa_folder(home / "mine@3", weights)

    def answers() -> list[Any]:
        reader = load("mine")
        assert isinstance(reader, Reader)
        return [reader.ask(q, "It was Ada, not Bob.", always_answer=True).to_dict() for q in ("Who?", "Where?")]

    before = answers()
    digest = export_archive(folder, tmp_path / "m.zip")
    shutil.rmtree(home)
    done = import_archive(tmp_path / "m.zip", sha256=digest.upper())
    assert (done.folder.version, done.folder.path, done.already_there) == ("mine@3", home / "mine@3", False)
    assert answers() == before
    assert left(home) == ["mine@3"]
    assert import_archive(tmp_path / "m.zip").already_there


def test_the_bytes_depend_on_the_model_alone(home: Path, tmp_path: Path) -> None:
    folder = added("mine")
    digest = export_archive(folder, tmp_path / "a.zip")
    shutil.copytree(folder.path, tmp_path / "copy")
    for number, path in enumerate((tmp_path / "copy").rglob("*")):
        os.utime(path, (10**9 + number, 10**9 + number))
    assert export_archive(read_folder(tmp_path / "copy"), tmp_path / "b.zip") == digest == hash_file(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [MANIFEST, "sub/weights"]
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_export_overwrites_only_when_told(tmp_path: Path) -> None:
    folder = added("mine")
    out = tmp_path / "m.zip"
    out.write_text("precious")
    with pytest.raises(InvalidInput, match="it exists already"):
        export_archive(folder, out)
    assert out.read_text() == "precious"
    digest = export_archive(folder, out, force=True)
    assert hash_file(out) == digest
    for path, says in (
        (tmp_path / "no" / "m.zip", "its folder does not exist"),
        (tmp_path, "found a folder"),
        (folder.path / "m.zip", "the model's own folder"),
        (folder.path / "sub" / ".." / "m.zip", "the model's own folder"),
    ):
        with pytest.raises(InvalidInput, match=says):
            export_archive(folder, path, force=True)
    folder.verify()
    assert names(tmp_path) == ["m.zip"]


@pytest.mark.parametrize(
    "change", [lambda p: p.write_bytes(b"x" * p.stat().st_size), Path.unlink, lambda p: p.write_text("")]
)
def test_a_damaged_model_is_not_exported(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = added("mine")
    weights = folder.path / "sub" / "weights"
    weights.chmod(0o644)
    change(weights)
    with pytest.raises(ModelDamaged, match="weights"):
        export_archive(folder, tmp_path / "m.zip")
    assert names(tmp_path) == []


def test_another_model_of_that_name_is_refused(home: Path, tmp_path: Path) -> None:
    path = packed(tmp_path)
    added("mine", description="another")
    with pytest.raises(
        InvalidInput, match=r"another model of that name is there already.*trifold models remove mine@1"
    ):
        import_archive(path)
    assert find("mine").manifest["description"] == "another"
    remove("mine@1")
    import_archive(path)
    weights = home / "mine@1" / "sub" / "weights"
    weights.chmod(0o644)
    weights.write_text("changed")
    with pytest.raises(ModelDamaged, match="mine@1 is there already, but damaged"):
        import_archive(path)
    remove("mine@1")
    assert not import_archive(path).already_there


def test_the_name_of_the_embedded_model_is_kept(home: Path, tmp_path: Path) -> None:
    path = packed(tmp_path)
    members = manifest_with(contents(path), {}, name="default", version="9")
    with pytest.raises(InvalidInput, match="it holds default@9, and that name is kept"):
        import_archive(written(path, members))
    assert left(home) == []


def test_the_hash_of_the_archive(home: Path, tmp_path: Path) -> None:
    path = packed(tmp_path)
    with pytest.raises(ModelDamaged, match=f"expected the SHA-256 {'0' * 64}, found {hash_file(path)}"):
        import_archive(path, sha256="0" * 64)
    with pytest.raises(InvalidInput, match="expected 64 hexadecimal digits, found 'abc'"):
        import_archive(path, sha256="abc")
    assert left(home) == []
    import_archive(path, sha256=f"sha256:{hash_file(path)}")


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


EVIL: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a wrong hash": (lambda m: [m[0], (m[1][0], m[1][1].swapcase())], "sub/weights does not match its hash"),
    "a wrong size": (lambda m: [m[0], (m[1][0], m[1][1] + b"more")], "sub/weights has another size"),
    "one more": (lambda m: [*m, ("more", b"")], "'more' is not one of them"),
    "one more that leads out": (lambda m: [*m, ("../../evil", b"")], r"'../../evil' is not one of them"),
    "one missing": (lambda m: m[:1], "'sub/weights' is there 0 times"),
    "one twice": (lambda m: [*m, m[1]], "'sub/weights' is there 2 times"),
    "the manifest twice": (lambda m: [*m, m[0]], r"'trifold.json' is not one of them"),
    "the manifest last": (lambda m: [m[1], m[0]], r"expected trifold.json as the first file"),
    "nothing": (lambda m: [], r"expected trifold.json as the first file"),
    "no manifest": (lambda m: [(MANIFEST, b"[]")], "expected a JSON object, found list"),
    "a link": (lambda m: [m[0], (link("sub/weights"), b"/etc/passwd")], "'sub/weights', which is a folder, a link"),
    "a folder": (lambda m: [*m, ("sub/", b"")], "'sub/', which is a folder, a link or the like"),
    **{
        f"a listed {name!r}": (
            lambda m, name=name: [*manifest_with(m, {name: b"x"}), (name, b"x")],  # type: ignore[misc]
            "leads out of the folder|leads elsewhere|two files are called|another file for a folder",
        )
        for name in (
            "../evil",
            "/evil",
            "sub/../../evil",
            "./evil",
            "a//b",
            "a\\b",
            "c:evil",
            "nul",
            "sub/COM1.txt",
            "evil.",
            "evil ",
            "Sub/Weights",
            "TRIFOLD.json",
            "sub",
            "sub/weights/x",
            "n\u00fcl",
            "x" * 300,
            "\ud800",
        )
    },
}


@pytest.mark.parametrize("name", EVIL)
def test_an_archive_that_is_not_as_it_was_packed(home: Path, tmp_path: Path, name: str) -> None:
    path = packed(tmp_path)
    change, says = EVIL[name]
    members = [
        (n if isinstance(n, zipfile.ZipInfo) else n.replace("\ud800", "?"), c) for n, c in change(contents(path))
    ]
    if name in ("one twice", "the manifest twice"):
        with pytest.warns(UserWarning, match="Duplicate name"):
            written(path, members)
    else:
        written(path, members)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ModelDamaged, match=says) as raised:
        import_archive(path)
    assert "\n" not in str(raised.value)
    assert left(home) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_repacked_archive_is_read(home: Path, tmp_path: Path) -> None:
    path = packed(tmp_path)
    assert import_archive(written(path, contents(path), zipfile.ZIP_DEFLATED)).folder.version == "mine@1"


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(home: Path, tmp_path: Path, kind: int) -> None:
    path = packed(tmp_path)
    with pytest.raises(ModelDamaged, match="packed or encrypted in a way that is not read here"):
        import_archive(written(path, contents(path), kind))


def declare(path: Path, name: bytes, size: int) -> None:
    """Let both headers of a member say that it unpacks to `size` bytes."""
    content = bytearray(path.read_bytes())
    for signature, at, name_at in ((b"PK\3\4", 22, 30), (b"PK\1\2", 24, 46)):
        start = content.find(signature)
        while content[start + name_at : start + name_at + len(name)] != name:
            start = content.find(signature, start + 1)
        struct.pack_into("<L", content, start + at, size)
    path.write_bytes(content)


def test_no_bomb_unpacks(home: Path, tmp_path: Path) -> None:
    path = packed(tmp_path)
    zeros = bytes(64 * 2**20)
    small = manifest_with(contents(path), {"bomb": zeros[:10]})
    honest = manifest_with(contents(path), {"bomb": zeros})
    tracemalloc.start()
    written(path, [*small, ("bomb", zeros)], zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelDamaged, match="bomb has another size"):
        import_archive(path)
    declare(path, b"bomb", 10)
    with pytest.raises(ModelDamaged, match="expected an archive that trifold wrote"):
        import_archive(path)
    written(path, [*honest, ("bomb", zeros)], zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"it unpacks to 67 MB, and 50 MB are allowed.*--max-gb"):
        import_archive(path, most_bytes=50 * 10**6)
    written(path, [(MANIFEST, zeros)], zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelDamaged, match=r"its trifold\.json is larger than 4\.2 MB"):
        import_archive(path)
    path.write_bytes(zeros + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 60_000, 60_000, len(zeros), 0, 0))
    tracemalloc.reset_peak()
    with pytest.raises(ModelDamaged, match="would have to be held as a whole"):
        import_archive(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(zeros) // 4, "the directory was loaded"
    assert left(home) == []


def test_files_that_are_no_archive(home: Path, tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"hello " * 100), ("gzip", b"\x1f\x8b" + bytes(100))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelDamaged, match="expected an archive that trifold wrote"):
            import_archive(tmp_path / name)
    for path, says in (
        (tmp_path / "nothing", "there is no such file"),
        (tmp_path, "found a folder"),
        (Path("/dev/zero"), "found a device"),
    ):
        with pytest.raises(DataError, match=says):
            import_archive(path)
    assert left(home) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cut_or_altered_archive_is_refused_or_gives_the_same_model(tmp_path: Path, data: st.DataObject) -> None:
    whole = tmp_path / "whole.zip"
    if not whole.exists():
        export_archive(added("mine"), whole)
    with contextlib.suppress(TrifoldError):
        remove("mine@1")
    content = bytearray(whole.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] = data.draw(st.integers(0, 255))
    (tmp_path / "changed.zip").write_bytes(content)
    try:
        done = import_archive(tmp_path / "changed.zip")
    except TrifoldError:
        return
    done.folder.verify()
    assert (done.folder.path / MANIFEST).read_bytes() == contents(whole)[0][1]


STOPPED = """
import sys, time
from pathlib import Path
from trifold.models import archive
from trifold.models.registry import find

def stop(done, total):
    print("half", flush=True)
    time.sleep(60)

if sys.argv[1] == "export":
    archive.export_archive(find("mine"), Path(sys.argv[2]), progress=stop)
else:
    archive.import_archive(Path(sys.argv[2]), progress=stop)
"""


def stopped(what: str, path: Path, how: signal.Signals) -> None:
    """Begin to export or import in a process of its own, and end it in the middle."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, what, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(how)
    process.communicate(timeout=20)
    assert process.returncode != 0


def test_a_killed_export_leaves_no_archive(tmp_path: Path) -> None:
    folder = added("mine")
    out = tmp_path / "m.zip"
    stopped("export", out, signal.SIGKILL)
    assert not out.exists()
    assert all(name.endswith(".partial") for name in names(tmp_path))
    stopped("export", tmp_path / "other.zip", signal.SIGINT)
    assert not [name for name in names(tmp_path) if name.startswith("other")]
    assert export_archive(folder, out) == hash_file(out)


def test_a_killed_import_leaves_no_version(home: Path, tmp_path: Path) -> None:
    path = packed(tmp_path)
    stopped("import", path, signal.SIGINT)
    assert left(home) == []
    stopped("import", path, signal.SIGKILL)
    with pytest.raises(TrifoldError):
        find("mine")
    assert not import_archive(path).already_there
    assert left(home) == ["mine@1"]


def test_a_full_disk(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path)
    folder = added("other")

    def full(done: int, total: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for free in (10**9, 5):  # it fills up on the way; it is seen beforehand
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: Usage(10**10, 0, free))
        with pytest.raises(EngineError, match=r"the disk is full: .* are needed"):
            import_archive(path, progress=full)
        with pytest.raises(EngineError, match=r"the disk is full: .* choose another place"):
            export_archive(folder, tmp_path / "other.zip", progress=full)
    assert left(home) == ["other@1"]
    assert names(tmp_path) == ["mine.zip"]


def test_the_commands(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    added("mine")
    monkeypatch.chdir(tmp_path)
    code, out, err = call("models", "export", "mine")
    digest = hash_file(tmp_path / "mine-1.trifold.zip")
    assert (code, err) == (0, "")
    assert "mine-1.trifold.zip: mine@1, " in out
    assert f"SHA-256 {digest}\n" in out
    assert call("models", "export", "mine")[0] == 2
    assert call("models", "export", "mine", "--force")[0] == 0
    (tmp_path / "folder").mkdir()
    assert call("models", "export", "mine@1", "folder")[0] == 0
    assert hash_file(tmp_path / "folder" / "mine-1.trifold.zip") == digest
    assert "is there already, and the same" in call("models", "import", "mine-1.trifold.zip")[1]
    remove("mine@1")
    assert call("models", "import", "mine-1.trifold.zip", "--max-gb", "0.00000001")[0] == 2
    assert call("models", "import", "mine-1.trifold.zip", "--sha256", "0" * 64)[0] == 2
    assert left(home) == []
    code, out, _ = call("models", "import", "mine-1.trifold.zip", "--sha256", digest)
    assert (code, "mine@1 is there now" in out) == (0, True)
    assert find("mine").version == "mine@1"
