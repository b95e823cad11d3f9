"""Weights, tokenizers, graphs and cards of all forms become model folders, whole or not at all."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from doubles import bert_tokenizer, qa_graph
from hub_doubles import (
    FakeHub,
    save_checkpoint,
    tiny_reader,
    tiny_tokenizer,
    unigram_tokenizer,
)
from trifold import EngineError, MissingExtra, ModelDamaged, TrifoldError, load
from trifold.models.registry import find, listed
from trifold.task import Unit
from trifold.tasks.qa.making import adopt
from trifold.tasks.qa.making.base import base_of
from trifold.tasks.qa.making.checkpoints import declines
from trifold.tasks.qa.making.export import export_reader
from trifold.tasks.qa.making.weights import write_weights

torch = pytest.importorskip("torch")

PASSAGE = "The report was written by Ada Lovelace in 1843. It was read by few people, and the machine was not built. "
QUESTION = "Who wrote it?"


def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopt, "find_spec", lambda name: None if name == "torch" else True)


def test_pickled_weights_are_converted(bert_copy: Path) -> None:
    from safetensors.torch import load_file

    before = load(bert_copy).ask(QUESTION, PASSAGE * 3, always_answer=True).answers
    state = load_file(bert_copy / "model.safetensors")
    old = {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in state.items()
    }
    torch.save(old, bert_copy / "pytorch_model.bin")
    (bert_copy / "model.safetensors").unlink()
    reply = load(bert_copy).ask(QUESTION, PASSAGE * 3, always_answer=True)
    assert reply.answers == before
    assert reply.no_answer_score is None


def test_a_pickle_that_runs_code_is_not_run(bert_copy: Path, tmp_path: Path) -> None:
    import pickle

    class Bad:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    (bert_copy / "model.safetensors").unlink()
    (bert_copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bad()))
    with pytest.raises(ModelDamaged, match="expected a file of tensors"):
        find(str(bert_copy))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_in_several_files_and_half_precision(dtype: str, tmp_path: Path) -> None:
    reader = tiny_reader("bert").to(getattr(torch, dtype))
    folder = save_checkpoint(tmp_path / "m", reader, bert_tokenizer())
    if dtype == "bfloat16":
        (folder / "model.safetensors").unlink()
        reader.save_pretrained(folder, max_shard_size="20KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 1
    load(folder).ask(QUESTION, PASSAGE)
    if dtype == "bfloat16":
        next(folder.glob("model-00002*")).unlink()
        with pytest.raises(ModelDamaged, match=r"the part model-00002.* is missing"):
            find(str(folder))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"model.safetensors": None}, r"expected weights in model.safetensors or pytorch_model.bin, found neither"),
        ({"model.safetensors": None, "adapter_config.json": b"{}"}, "it is an adapter"),
        ({"model.safetensors": b"cut"}, "not a safetensors file"),
        ({"tokenizer.json": None}, "expected tokenizer.json, vocab.txt"),
        ({"tokenizer.json": b"{}"}, "^Copy of BERT/tokenizer.json: tokenizers cannot read it"),
        (
            {"config.json": b'{"architectures": ["XForQuestionAnswering"], "model_type": "new", "vocab_size": 9}'},
            r"^Copy of BERT: it cannot be exported \(ValueError",
        ),
        ({"config.json": b"[1]"}, "config.json is no JSON object"),
        ({"config.json": b"{"}, "config.json is no JSON object"),
        (
            {"model.safetensors": None, "model.safetensors.index.json": b'{"weight_map": {"a": "../x"}}'},
            "index.json cannot be read",
        ),
    ],
)
def test_files_that_are_missing_or_damaged(
    bert_copy: Path, home: Path, files: dict[str, bytes | None], says: str
) -> None:
    for name, content in files.items():
        (bert_copy / name).unlink() if content is None else (bert_copy / name).write_bytes(content)
    with pytest.raises((ModelDamaged, EngineError), match=says) as caught:
        find(str(bert_copy))
    assert "\n" not in str(caught.value)
    assert not list((home.parent / "hub").iterdir()), "something half-made was left"


def test_a_tokenizer_of_an_older_form(bert_copy: Path) -> None:
    vocabulary = bert_tokenizer().get_vocab()
    before = load(bert_copy).ask(QUESTION, PASSAGE * 3, always_answer=True).answers
    (bert_copy / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda token: vocabulary[token])))
    (bert_copy / "tokenizer.json").unlink()
    assert load(bert_copy).ask(QUESTION, PASSAGE * 3, always_answer=True).answers == before


def export_plainly(folder: Path, target: Path) -> None:
    """An ONNX file as exporters of others write it."""
    import onnx

    (graph,) = export_reader(folder, (), Unit({}, 0), int8=False)
    model = onnx.load(folder / graph["file"])
    (folder / graph["file"]).unlink()
    target.parent.mkdir(exist_ok=True)
    onnx.save(model, target, save_as_external_data=True, location=f"{target.name}_data", size_threshold=500)


@pytest.mark.parametrize("where", ["onnx/model.onnx", "model.onnx"])
def test_the_authors_graph_needs_no_torch(
    bert_copy: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    expected = load(bert_copy).ask(QUESTION, PASSAGE * 3, always_answer=True).answers
    export_plainly(bert_copy, bert_copy / where)
    without_torch(monkeypatch)
    hub.files["tiny/bert"] = bert_copy
    reader = load("tiny/bert")
    assert reader.ask(QUESTION, PASSAGE * 3, always_answer=True).answers[0].text == expected[0].text
    model = find("tiny/bert")
    assert not (model.path / "model.safetensors").exists()
    assert not any("safetensors" in path for path in hub.asked), "weights that nobody needs were downloaded"
    base = base_of(model.version)  # which fine-tuning does need
    assert (base.path / "model.safetensors").is_file()
    assert (base.name, base.version, base.license) == ("tiny/bert", hub.commit, "mit")


@pytest.mark.parametrize("wrong", ["inputs", "outputs", "rubbish", "neighbours"])
def test_a_graph_that_is_no_readers_gives_way_to_the_weights(
    bert_copy: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    import onnx
    from onnx import TensorProto, helper

    qa_graph(bert_copy / "model.onnx", {})
    model = onnx.load(bert_copy / "model.onnx")
    if wrong == "inputs":
        model.graph.input.append(helper.make_tensor_value_info("bbox", TensorProto.INT64, ["batch", "length"]))
    elif wrong == "outputs":
        model.graph.output[1].name = model.graph.node[1].output[0] = "last_hidden_state"
    elif wrong == "neighbours":  # the largest value of the batch moves every logit
        model.graph.node[1].output[0] = "raw"
        model.graph.node.append(helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT))
        model.graph.node.append(helper.make_node("ReduceSum", ["floats"], ["sum"], keepdims=0))
        model.graph.node.append(helper.make_node("Add", ["raw", "sum"], ["end_logits"]))
    onnx.save(model, bert_copy / "model.onnx")
    if wrong == "rubbish":
        (bert_copy / "model.onnx").write_bytes(b"no graph")
    assert [graph.file for graph in find(str(bert_copy)).graphs] == ["model.fp32.onnx"]
    without_torch(monkeypatch)
    (bert_copy / "README.md").write_text("another version")
    with pytest.raises(MissingExtra, match=r"has no ONNX file that can be used, .* pip install 'trifold\[train\]'"):
        find(str(bert_copy))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"architectures": ["XLNetForQuestionAnswering"], "model_type": "xlnet"}, "scores answers with a head"),
        (
            {"architectures": ["LayoutLMForQuestionAnswering"], "model_type": "layoutlm"},
            "reads images, tables or layouts",
        ),
        (
            {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"},
            "is no reader.*Choose a question-answering model",
        ),
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "`trifold finetune DATA --base x/y`"),
        ({"architectures": "Bert", "model_type": ["bert"]}, "is no reader"),
        ({}, "found nothing"),
        (
            {"architectures": ["AForQuestionAnswering"], "model_type": "strange", "auto_map": {"AutoModel": "m.A"}},
            "needs Python code from its repository",
        ),
        ({"architectures": ["BertForQuestionAnswering"], "model_type": "bert", "auto_map": {"AutoModel": "m.A"}}, None),
    ],
)
def test_configs_that_are_no_readers(config: dict[str, Any], says: str | None) -> None:
    reason = declines("x/y", config)
    if says is None:
        assert reason is None
    else:
        assert reason is not None
        assert re.search(says, reason), reason


def test_a_null_at_the_end_is_refused(bert_copy: Path) -> None:
    from tokenizers import processors

    tokenizer = unigram_tokenizer("[CLS]", "[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP] [CLS]", pair="$A [SEP] $B [SEP] [CLS]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    tokenizer.save(str(bert_copy / "tokenizer.json"))
    with pytest.raises(ModelDamaged, match="puts no token before the question"):
        find(str(bert_copy))


@pytest.mark.parametrize(
    ("card", "null", "scripts"),
    [
        ("language: en\ndatasets: [squad_v2]", True, ["Latin"]),
        ("language: [en, ru]\ndatasets: [rajpurkar/SQuAD-v2, 7]", True, ["Cyrillic", "Latin"]),
        ("language: multilingual\ndatasets: squad", False, []),
        ("language: [en, tlh]\ndatasets: squad2_x", True, []),
        ("license: [a, b]\nlanguage: {en: 1}", False, []),
        ("language: [\n  - broken: yaml", False, []),
        ("", False, []),
    ],
)
def test_what_a_card_tells(bert_copy: Path, card: str, null: bool, scripts: list[str]) -> None:
    (bert_copy / "README.md").write_text(f"---\n{card}\n---\n")
    settings = base_of(str(bert_copy)).settings
    assert settings is not None
    assert (settings.null, sorted(settings.scripts)) == (null, scripts)
    assert base_of(str(bert_copy)).license == "unknown"


def test_positions_that_start_behind_the_padding(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "m", tiny_reader("roberta"), tiny_tokenizer("roberta"))
    settings = base_of(str(folder)).settings
    assert settings is not None
    assert settings.window.length == 128  # of max_position_embeddings 130
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 100}))
    assert find(str(folder)).task_settings["window"]["length"] == 100
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 20}))
    with pytest.raises(ModelDamaged, match="reads 20 tokens at a time, expected more than 64"):
        find(str(folder))


def test_a_full_disk_leaves_nothing(bert_copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(adopt, "write_weights", full)
    with pytest.raises(TrifoldError, match=r"the disk is full \(.*\), so the model was not made.*TRIFOLD_HOME"):
        find(str(bert_copy))
    assert not list((home.parent / "hub").iterdir())


def test_another_process_that_ends_first_wins(bert_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[int] = []

    def slowly(*arguments: Any) -> None:
        monkeypatch.setattr(adopt, "write_weights", write_weights)
        first.append(find(str(bert_copy)).path.stat().st_ino)
        write_weights(*arguments)

    monkeypatch.setattr(adopt, "write_weights", slowly)
    model = find(str(bert_copy))
    model.verify()
    assert [model.path.stat().st_ino] == first
    assert [path.name for path in model.path.parent.iterdir()] == [model.version]


def test_what_a_killed_process_left_is_not_found_and_goes(bert_copy: Path, home: Path) -> None:
    left = home.parent / "hub" / ".local--x@0123.abcd"
    left.mkdir(parents=True)
    (left / "trifold.json").write_text("{}")
    find(str(bert_copy))
    assert left.is_dir(), "it may be another process at work"
    assert not any(isinstance(m, TrifoldError) for m in listed())
    os.utime(left, (0, 0))
    (bert_copy / "README.md").write_text("another version")
    find(str(bert_copy))
    assert not left.exists()
