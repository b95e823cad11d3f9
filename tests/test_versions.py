"""Versions come and go as a whole: adding, removing, comparing, and the commands for it."""

from __future__ import annotations

import errno
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from conftest import Call, Run
from doubles import qa_folder
from trifold.errors import EngineError, InvalidInput, ModelDamaged, ModelNotFound
from trifold.models import registry
from trifold.models.differences import differences
from trifold.models.folder import MANIFEST, ModelFolder, write_manifest
from trifold.models.registry import find, listed
from trifold.models.versions import Draft, adding, remove

Usage = namedtuple("Usage", "total used free")


def fill(draft: Draft, **facts: Any) -> None:
    """A model that nothing can load, but that is whole."""
    (draft.path / "sub").mkdir()
    (draft.path / "sub" / "weights").write_text(f"weights of {draft.full_name}")
    write_manifest(
        draft.path,
        {
            "task": "qa",
            "name": draft.name,
            "version": draft.version,
            "graphs": [{"file": "sub/weights", "precision": "fp32"}],
            "task_settings": {},
            **facts,
        },
    )


def added(name: str, **facts: Any) -> ModelFolder:
    with adding(name) as draft:
        fill(draft, **facts)
    return find(draft.full_name)


def left(home: Path) -> list[str]:
    """What stands in the registry, hidden or not, but for its lock."""
    return sorted(path.name for path in home.iterdir() if path.name != ".lock") if home.exists() else []


MAKING = """
import sys
from test_versions import adding, fill
with adding("mine") as draft:
    print(draft.version, flush=True)
    sys.stdin.readline()
    fill(draft)
"""


def another_process() -> subprocess.Popen[str]:
    """A process that makes a version: prints its number, and goes on when it gets a line."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", MAKING]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the model that comes with the package, for tests that would lose it if the code were wrong."""
    monkeypatch.setattr(registry, "_EMBEDDED", tmp_path / "embedded")
    return qa_folder(tmp_path / "embedded" / "default@1", {}).path


def test_each_version_gets_the_next_number(home: Path) -> None:
    assert added("mine").version == "mine@1"
    assert added("mine").version == "mine@2"
    qa_folder(home / "mine@9", {})
    qa_folder(home / "mine@10-rc", {})
    qa_folder(home / "mine-too@30", {})
    assert added("mine").version == "mine@10"
    assert find("mine@10").path == home / "mine@10"


def test_a_version_is_seen_when_it_is_whole_and_not_before(home: Path) -> None:
    with adding("mine") as draft:
        fill(draft)
        assert draft.path.is_relative_to(home)
        with pytest.raises(ModelNotFound):
            find("mine")
        assert all(str(model.path).endswith("default@1") for model in listed() if isinstance(model, ModelFolder))
    assert (draft.target, find("mine").path) == (home / "mine@1", home / "mine@1")
    assert left(home) == ["mine@1"]
    find("mine").verify()


def test_a_finished_version_is_read_only(home: Path) -> None:
    added("mine")
    for path in (home / "mine@1").rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o222 == 0, path


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_nothing_is_left(home: Path, error: type[BaseException]) -> None:
    def fail(draft: Draft) -> None:
        fill(draft)
        raise error

    with pytest.raises(error), adding("mine") as draft:
        fail(draft)
    assert left(home) == []


def test_a_folder_that_is_not_what_it_should_be_is_not_added(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelDamaged, match=r"no trifold\.json in it"), adding("mine"):
        pass
    with pytest.raises(ModelDamaged, match="expected the model mine@1, found mine@7"), adding("mine") as draft:
        fill(draft, version="7")
    (tmp_path / "elsewhere").write_text("weights")

    def changed(draft: Draft) -> None:
        fill(draft)
        (draft.path / "sub" / "weights").write_text("weights of mine@0")

    def linked(draft: Draft) -> None:
        (draft.path / "linked").symlink_to(tmp_path / "elsewhere")
        fill(draft)

    with pytest.raises(ModelDamaged, match="do not match their hash"), adding("mine") as draft:
        changed(draft)
    with pytest.raises(ModelDamaged, match="this is a link"), adding("mine") as draft:
        linked(draft)
    assert left(home) == []
    assert (tmp_path / "elsewhere").stat().st_mode & 0o200


@pytest.mark.parametrize("name", ["", "default", "Mine", "../x", "a/b", "a@1", ".mine", "m" * 65, "mine\n"])
def test_names_that_cannot_be_had(home: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^name: "), adding(name):
        pass
    assert left(home) == []


def test_two_processes_get_different_numbers(home: Path) -> None:
    both = [another_process(), another_process()]
    assert sorted(map(first_line, both)) == ["1", "2"]
    with pytest.raises(InvalidInput, match="mine@2 is being made by another process"), adding("mine", version="2"):
        pass
    for process in reversed(both):
        _, errors = process.communicate("\n", timeout=20)
        assert (process.returncode, errors) == (0, "")
    assert left(home) == ["mine@1", "mine@2"]
    for version in ("mine@1", "mine@2"):
        find(version).verify()


def test_what_a_killed_process_left_is_swept(home: Path) -> None:
    killed, living = another_process(), another_process()
    numbers = {first_line(killed), first_line(living)}
    killed.kill()
    killed.communicate()
    assert numbers == {"1", "2"}
    with pytest.raises(ModelNotFound):
        find("mine")
    assert len(left(home)) == 2
    assert added("other").version == "other@1"
    assert len(left(home)) == 2, "the killed one's folder goes, the living one's stays"
    living.send_signal(signal.SIGINT)
    living.communicate()
    assert left(home) == ["other@1"]


def test_a_version_that_appeared_meanwhile_is_not_replaced(home: Path) -> None:
    def overtaken(draft: Draft) -> None:
        qa_folder(home / "mine@1", {}, description="mine")
        fill(draft)

    with pytest.raises(InvalidInput, match="mine@1 is there already, and a version"), adding("mine") as draft:
        overtaken(draft)
    assert find("mine").manifest["description"] == "mine"
    assert left(home) == ["mine@1"]


def test_a_full_disk_is_one_clear_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    says = r"the disk is full: 3\.0 MB are free, more than that is needed\. Free some, or let TRIFOLD_HOME"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, 3 * 10**6))
    with pytest.raises(EngineError, match=says), adding("mine"):
        raise full
    with pytest.raises(EngineError, match=says), adding("mine"):
        raise RuntimeError("cannot write the tensors") from full
    with pytest.raises(EngineError, match=says), adding("mine"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    with pytest.raises(EngineError, match=r"3\.0 MB are free, 57 MB are needed"), adding("mine", needed=57 * 10**6):
        pytest.fail("the work must not begin")
    assert left(home) == []


def test_remove_takes_exactly_one(home: Path) -> None:
    for _ in range(3):
        added("mine")
    added("mine-2")
    remove("mine@2")
    assert left(home) == ["mine-2@1", "mine@1", "mine@3"]
    qa_folder(home.parent / "hub" / "org--reader@abc123", {})
    remove("org--reader@abc123")
    assert not (home.parent / "hub" / "org--reader@abc123").exists()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("default@1", "comes with trifold and cannot be removed"),
        ("default", "expected the full name of one version"),
        ("mine", "expected the full name of one version"),
        ("mine@", "expected the full name of one version"),
        ("mine@1/..", "expected the full name of one version"),
        ("../models/mine@1", "expected the full name of one version"),
        ("*@*", "expected the full name of one version"),
        ("mine@2", "no version is called 'mine@2'"),
    ],
)
def test_what_cannot_be_removed(home: Path, embedded: Path, version: str, says: str) -> None:
    added("mine")
    with pytest.raises((InvalidInput, ModelNotFound), match=says):
        remove(version)
    assert left(home) == ["mine@1"]
    assert find("default").path == embedded
    find("default").verify()


def test_of_links_only_the_link_is_removed(home: Path, tmp_path: Path) -> None:
    qa_folder(tmp_path / "elsewhere@1", {})
    (tmp_path / "elsewhere@1" / "model.onnx").chmod(0o440)
    (tmp_path / "elsewhere@1").chmod(0o750)
    home.mkdir()
    (home / "mine@1").symlink_to(tmp_path / "elsewhere@1")
    remove("mine@1")
    added("mine")
    (home / "mine@1" / "link").symlink_to(tmp_path / "elsewhere@1")
    (home / "mine@1" / "file").symlink_to(tmp_path / "elsewhere@1" / "model.onnx")
    remove("mine@1")
    assert left(home) == []
    assert (tmp_path / "elsewhere@1" / "model.onnx").stat().st_mode & 0o777 == 0o440
    assert (tmp_path / "elsewhere@1").stat().st_mode & 0o777 == 0o750


def test_a_damaged_version_can_be_removed(home: Path) -> None:
    added("mine")
    (home / "mine@1" / MANIFEST).unlink()
    remove("mine@1")
    assert left(home) == []


FIRST: dict[str, Any] = {
    "base": {"name": "default@1", "license": "Apache-2.0"},
    "training": {"arguments": {"learning_rate": 1e-4, "epochs": 2}, "seed": 0},
    "data": [{"file": "a.jsonl", "rows": 300, "sha256": "0" * 64}],
    "task_settings": {"calibration": {"answer": {"slope": 0.5}}},
    "libraries": {"torch": "2.13.0"},
    "metrics": [
        {"data": "dev", "always_answer": True, "n": 100, "f1": 26.4, "ece": 0.3, "no_answer": {"n": 0, "f1": None}},
        {"data": "other", "always_answer": False, "n": 100, "f1": 50.0, "model": "mine@1"},
        {"data": "gone", "always_answer": False, "n": 100, "f1": 50.0},
    ],
}
SECOND: dict[str, Any] = {
    **FIRST,
    "training": {"arguments": {"learning_rate": 5e-5, "epochs": 2, "replay": "r.gz"}, "seed": 1},
    "data": [{"file": "b.jsonl", "rows": 20}, {"file": "a.jsonl", "rows": 300, "sha256": "1" * 64}],
    "task_settings": {"calibration": {"answer": {"slope": 0.75}}},
    "metrics": [
        {"data": "other", "always_answer": False, "n": 90, "f1": 60.0, "model": "mine@2"},
        {"data": "dev", "always_answer": True, "n": 100, "f1": 33.6, "ece": 0.1, "no_answer": {"n": 0, "f1": None}},
        {"data": "dev", "always_answer": False, "n": 100, "f1": 20.0},
    ],
}


def test_differences() -> None:
    found = differences(added("mine", **FIRST), added("mine", **SECOND))
    assert {(c.what, c.a, c.b) for c in found.changes} == {
        ("training.arguments.learning_rate", 1e-4, 5e-5),
        ("training.arguments.replay", None, "r.gz"),
        ("training.seed", 0, 1),
        ("data[a.jsonl].sha256", "0" * 64, "1" * 64),
        ("data[b.jsonl].rows", None, 20),
        ("task_settings.calibration.answer.slope", 0.5, 0.75),
    }
    dev, other = found.metrics
    assert dev.on == {"data": "dev", "always_answer": True}
    assert [(f.name, f.a, f.b, f.difference) for f in dev.figures] == [
        ("n", 100, 100, 0),
        ("f1", 26.4, 33.6, 7.2),
        ("ece", 0.3, 0.1, -0.2),
        ("no_answer.n", 0, 0, 0),
    ]
    assert other.on["data"] == "other"
    assert {f.difference for f in other.figures} == {None}, "not the same number of questions"
    assert found.files == {"same": (), "changed": ("sub/weights",), "only_a": (), "only_b": ()}


@pytest.mark.parametrize(
    "odd", [None, 5, "text", [], [5, [{}]], {"file": 3}, [{"file": []}, {"file": "a"}, {"file": "a"}]]
)
def test_differences_of_manifests_of_any_kind(odd: object) -> None:
    keys = ("base", "training", "data", "metrics", "libraries", "calibration_data")
    strange = added("mine", **dict.fromkeys(keys, odd))
    found = differences(strange, added("mine", **FIRST))
    assert found.changes
    assert not differences(strange, strange).changes


def test_diff_shows_both_sides(call: Call) -> None:
    added("mine", **FIRST)
    added("mine", **SECOND)
    code, out, _ = call("models", "diff", "mine@1", "mine@2")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["arguments.learning_rate", "0.0001", "5e-05"] in lines
    assert ["f1", "26.40", "33.60", "+7.20"] in lines
    assert ["ece", "0.3000", "0.1000", "-0.2000"] in lines
    assert ["f1", "50.00", "60.00"] in lines
    assert "changed: sub/weights" in out
    code, out, _ = call("models", "diff", "mine@1", "mine@2", "--json")
    facts = json.loads(out)
    assert (code, facts["a"], facts["b"]) == (0, "mine@1", "mine@2")
    assert {"what": "training.seed", "a": 0, "b": 1} in facts["changes"]
    code, out, _ = call("models", "diff", "mine", "mine")
    assert (code, "were made and are set the same" in out) == (0, True)
    assert call("models", "diff", "mine", "nobody")[0] == 2


def test_list_and_show_tell_where_a_model_comes_from(home: Path, call: Call) -> None:
    with adding("mine") as draft:
        (draft.path / "report.html").write_text("<p>better</p>")
        fill(draft, base={"name": "default@1"}, created="2026-02-03T04:05:06+00:00")
    _, out, _ = call("models", "list")
    assert ["mine@1", "qa", "fp32", "0", "MB", "default@1", "2026-02-03"] in [line.split() for line in out.splitlines()]
    facts = json.loads(call("models", "list", "--json")[1])[-1]
    assert (facts["model"], facts["base"], facts["made"]) == ("mine@1", "default@1", "2026-02-03")
    assert f"Before and after: {home / 'mine@1' / 'report.html'}" in call("models", "show", "mine")[1].replace("\n", "")
    assert "report.html" not in call("models", "show", "default")[1]


def test_nothing_in_a_manifest_steers_the_terminal(call: Call) -> None:
    evil = "\x1b[2J[/red][blink]\u202e\r\n" + "x" * 500
    facts: dict[str, Any] = {
        "base": {"name": evil},
        "created": evil,
        "task_settings": {"languages": [evil], evil: evil},
    }
    added("mine", **facts, metrics=[{"data": evil, evil: 5.0}])
    added("mine", metrics=[{"data": evil, evil: 6.0}])
    for words in (("list",), ("show", "mine@1"), ("diff", "mine@1", "mine@2"), ("diff", "mine@2", "mine@1")):
        code, out, err = call("models", *words)
        assert (code, err) == (0, "")
        assert not {"\x1b", "\r", "\u202e"} & set(out)


def test_remove_asks_where_somebody_can_answer(home: Path, run: Run) -> None:
    added("mine")
    done = run("models", "remove", "mine@1")
    assert (done.returncode, left(home)) == (2, ["mine@1"])
    assert "Say so with --yes" in done.stderr
    for answer, code, expected in ((b"n\n", 1, ["mine@1"]), (b"y\n", 0, [])):
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "trifold", "models", "remove", "mine@1"],
            stdin=follower,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.write(leader, answer)
        _, errors = process.communicate(timeout=20)
        os.close(leader)
        os.close(follower)
        assert "Remove mine@1 (" in errors.decode()
        assert (process.returncode, left(home)) == (code, expected)


def test_remove_without_asking(home: Path, embedded: Path, call: Call) -> None:
    added("mine")
    assert call("models", "remove", "default@1", "--yes")[0] == 2
    find("default").verify()
    assert call("models", "remove", "mine", "--yes")[0] == 2
    assert call("models", "remove", "mine@1", "--yes") == (0, "mine@1 is removed.\n", "")
    assert left(home) == []


@pytest.mark.parametrize("word", ["list", "show", "diff", "export", "import", "remove"])
def test_help_has_examples(call: Call, word: str) -> None:
    code, out, _ = call("models", word, "--help")
    assert (code, "Examples:\n" in out) == (0, True)
    assert "..." not in call("models", "--help")[1].partition("Commands:")[2]
