"""Model folders, the registry, and what happens to damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import echo_folder, qa_folder, qa_graph
from trifold import ModelDamaged, ModelNotFound, load
from trifold.engine.loaded import open_model
from trifold.engine.planner import length
from trifold.engine.session import Session
from trifold.errors import EngineError, InvalidInput
from trifold.models.folder import MANIFEST, read_folder, write_manifest
from trifold.models.registry import find, listed
from trifold.task import Unit


def change(folder: Path, **facts: Any) -> None:
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, **facts}))


def test_names_versions_and_paths(home: Path) -> None:
    for version in ("mine@2", "mine@10", "other@1"):
        qa_folder(home / version, {})
    assert find("mine").version == "mine@10"
    assert find("mine@2").version == "mine@2"
    assert find(str(home / "other@1")).version == "other@1"
    names = [m.version for m in listed() if not isinstance(m, Exception)]
    assert names == ["default@1", "mine@2", "mine@10", "other@1"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", r"no model is called 'nothing' \(there are: default@1\)"),
        ("default@99", "no model is called 'default@99'"),
        ("./no/where", "no model folder at './no/where'"),
        ("owner/model", "owner/model is not in the local cache"),
        ("owner/model/part", "no model folder at 'owner/model/part'"),
        ("..", "no trifold.json in it"),
    ],
)
def test_a_model_that_does_not_exist(name: str, says: str) -> None:
    with pytest.raises((ModelNotFound, ModelDamaged), match=says):
        find(name)


def test_a_folder_in_the_working_directory_does_not_take_a_models_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qa_folder(tmp_path / "default", {})
    monkeypatch.chdir(tmp_path)
    assert find("default").path.is_absolute()
    assert find("./default").path == Path("default")


def test_a_registered_folder_is_what_its_name_says(home: Path) -> None:
    qa_folder(home / "mine@7", {})
    (home / "mine@7").rename(home / "yours@1")
    with pytest.raises(ModelDamaged, match="expected the model yours@1, found mine@7"):
        find("yours")


def test_a_damaged_model_is_listed_as_such(home: Path) -> None:
    qa_folder(home / "mine@1", {})
    (home / "mine@1" / MANIFEST).write_text("{")
    problems = [str(m) for m in listed() if isinstance(m, Exception)]
    assert len(problems) == 1
    assert "expected a JSON object" in problems[0]


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"format": 2}, "expected format 1, found 2"),
        ({"graphs": None}, "expected 'graphs' to be a list, found NoneType"),
        ({"graphs": [{"file": "nowhere.onnx", "precision": "fp32"}]}, "fp32 graph is not among the files"),
        ({"graphs": [{"file": "model.onnx", "precision": "fp32", "probe": "p"}]}, "probe of model.onnx"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "leads out of the folder"),
        ({"files": {"/etc/passwd": {"bytes": 1, "sha256": ""}}}, "leads out of the folder"),
        ({"files": {"model.onnx": {}}}, "no size and hash"),
        ({"files": {"model.onnx": {"bytes": "9", "sha256": ""}}}, "no size and hash"),
        ({"graphs": [{"file": [], "precision": "fp32"}]}, "fp32 graph is not among the files"),
        ({"graphs": [{"file": "model.onnx", "precision": "fp32", "probe": [1]}]}, "probe of model.onnx"),
        ({"graphs": ["model.onnx"]}, "without a precision"),
        ({"name": "../x"}, "must be of a-z"),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path: Path, facts: dict[str, Any], says: str) -> None:
    qa_folder(tmp_path / "m@1", {})
    change(tmp_path / "m@1", **facts)
    with pytest.raises(ModelDamaged, match=says):
        read_folder(tmp_path / "m@1")


def test_files_that_are_missing_cut_or_changed(tmp_path: Path) -> None:
    folder = tmp_path / "m@1"
    qa_folder(folder, {})
    graph = folder / "model.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelDamaged, match="do not match their hash"):
        load(folder)
    graph.write_bytes(content[:-1])
    with pytest.raises(ModelDamaged, match="bytes found"):
        load(folder)
    graph.unlink()
    with pytest.raises(ModelDamaged, match=r"the file model\.onnx is missing"):
        load(folder)


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_files_of_another_kind(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "m@1"
    qa_folder(folder, {})
    (folder / file).write_text("not what it should be")
    facts = {k: v for k, v in read_folder(folder).manifest.items() if k not in {"format", "files"}}
    write_manifest(folder, facts)
    with pytest.raises(ModelDamaged, match="cannot read it"):
        load(folder)


def test_a_file_that_is_not_the_models(tmp_path: Path) -> None:
    qa_folder(tmp_path / "m@1", {})
    (tmp_path / "m@1" / "more.json").write_text("{}")
    with pytest.raises(ModelDamaged, match=r"the file more\.json is not one of the model's"):
        load(tmp_path / "m@1")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"window": {"length": 10, "stride": 1}},
        {"window": {"length": 384, "stride": -1}},
        {"window": {"length": "384", "stride": 1}},
        {"languages": "en"},
        {"scripts": [1]},
        {"null": "false"},
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = qa_folder(tmp_path / "m@1", {})
    change(tmp_path / "m@1", task_settings={**folder.task_settings, **settings} if settings else {})
    with pytest.raises(ModelDamaged, match=r"task_settings|windows must be longer"):
        load(tmp_path / "m@1")


def test_a_precision_that_the_model_lacks(tmp_path: Path) -> None:
    folder = qa_folder(tmp_path / "m@1", {})
    with pytest.raises(InvalidInput, match=r"has no 'int4' graph \(it has: fp32\)"):
        open_model(folder, "int4")


def with_probe(folder: Path, value: float) -> None:
    """A first graph whose probe expects `value` where the graph gives 0, and a sound second one."""
    qa_folder(folder, {})
    qa_graph(folder / "fast.onnx", {})
    inputs = {name: [1, 2, 3] for name in ("input_ids", "attention_mask", "token_type_ids")}
    outputs = {"start_logits": [0, 0, value], "end_logits": [0, 0, 0]}
    (folder / "probe.json").write_text(json.dumps({"inputs": inputs, "outputs": outputs, "tolerance": 0.1}))
    graphs = [
        {"file": "fast.onnx", "precision": "int8", "probe": "probe.json"},
        {"file": "model.onnx", "precision": "fp32"},
    ]
    facts = {k: v for k, v in read_folder(folder).manifest.items() if k not in {"format", "files"}}
    write_manifest(folder, {**facts, "graphs": graphs})


def test_a_graph_that_computes_otherwise_here_gives_way_to_the_next(tmp_path: Path) -> None:
    with_probe(tmp_path / "sound@1", 0.05)
    assert open_model(read_folder(tmp_path / "sound@1")).precision == "int8"
    with_probe(tmp_path / "unsound@1", 5.0)
    with pytest.warns(RuntimeWarning, match="its int8 graph computes other values on this processor"):
        assert open_model(read_folder(tmp_path / "unsound@1")).precision == "fp32"


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {}},
        {"outputs": {}},
        {"inputs": {"input_ids": 5}},
        {"outputs": {"start_logits": [0], "end_logits": [0]}},
        {"tolerance": "NaN"},
        {"tolerance": None},
    ],
)
def test_a_probe_that_does_not_fit_its_graph(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = tmp_path / "m@1"
    with_probe(folder, 0.0)
    probe = json.loads((folder / "probe.json").read_text())
    (folder / "probe.json").write_text(json.dumps({**probe, **change}))
    with pytest.raises(ModelDamaged, match="not a probe of its graph"):
        Session(folder / "fast.onnx").agrees_with(folder / "probe.json")


def test_a_reader_without_a_graph(tmp_path: Path) -> None:
    qa_folder(tmp_path / "m@1", {}, graphs=[])
    with pytest.raises(ModelDamaged, match="has no graph"):
        load(tmp_path / "m@1")


@pytest.mark.parametrize("name", ["m" * 300, "." * 300, "/" + "m" * 300])
def test_names_that_are_too_long(name: str) -> None:
    with pytest.raises(ModelNotFound):
        find(name)


@pytest.mark.parametrize("name", [None, 5, b"default", ""])
def test_names_of_another_kind(name: Any) -> None:
    with pytest.raises(InvalidInput, match="expected a name or a folder"):
        load(name)


def test_a_session_pads_and_cuts(tmp_path: Path) -> None:
    echo_folder(tmp_path / "e@1")
    session = Session(tmp_path / "e@1" / "model.onnx")
    units = [Unit({"codes": np.arange(1, n + 1)}, n) for n in (3, 1, 7)]
    for unit, output in zip(units, session.run(units), strict=True):
        assert len(output["echoed"]) == length(unit)
        assert output["echoed"].tolist() == unit.arrays["codes"].tolist()


def test_a_computation_that_fails_says_so(tmp_path: Path) -> None:
    qa_graph(tmp_path / "m.onnx", {})
    arrays = {n: np.array([10**6], np.int64) for n in ("input_ids", "attention_mask", "token_type_ids")}
    with pytest.raises(EngineError, match="could not be computed"):
        Session(tmp_path / "m.onnx").run([Unit(arrays, 1)])
