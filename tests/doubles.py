"""Small stand-ins that are made in memory: tokenizers, graphs, model folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from trifold.models.folder import ModelFolder, write_manifest
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.settings import Answers, QaSettings
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.windows import WindowSize

DATA = Path(os.environ["TRIFOLD_DATA"]) / "qa" if os.environ.get("TRIFOLD_DATA") else None
EXAMPLES = Path(__file__).parents[1] / "examples"


def bert_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer like BERT's whose pieces are single characters: every word splits."""
    letters = [chr(c) for c in range(33, 127)] + list("äöüßéø€东京北是首都שלוםنعم日本語한국")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({v: i for i, v in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def roberta_tokenizer() -> Tokenizer:
    """A byte-level tokenizer like RoBERTa's without merges: an emoji is four tokens of one place."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, **{v: i for i, v in enumerate(alphabet, 3)}}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    return tokenizer


def qa_task(
    tokenizer: Tokenizer | None = None,
    *,
    length: int = 384,
    stride: int = 128,
    null: bool = True,
    calibration: Calibration | None = None,
    answers: Answers = "one",
) -> QaTask:
    settings = QaSettings(
        WindowSize(length, stride), null, ("en",), frozenset({"Latin"}), calibration or Calibration(), answers
    )
    return QaTask("tiny@0", QaTokenizer(tokenizer or bert_tokenizer()), settings)


def save(graph: onnx.GraphProto, path: Path) -> None:
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def echo_graph(path: Path) -> None:
    """`echoed` is `codes`, unchanged; shape (batch, length)."""
    shape = ["batch", "length"]
    save(
        helper.make_graph(
            [helper.make_node("Identity", ["codes"], ["echoed"])],
            "echo",
            [helper.make_tensor_value_info("codes", TensorProto.INT64, shape)],
            [helper.make_tensor_value_info("echoed", TensorProto.INT64, shape)],
        ),
        path,
    )


def echo_folder(path: Path, **changes: Any) -> ModelFolder:
    """A model folder of the echo task of `tests/echo`."""
    path.mkdir(parents=True)
    echo_graph(path / "model.onnx")
    facts: dict[str, Any] = {
        "task": "echo",
        "name": "echo",
        "version": "0",
        "graphs": [{"file": "model.onnx", "precision": "fp32"}],
        "task_settings": {},
    }
    return write_manifest(path, {**facts, **changes})


def qa_graph(path: Path, weights: Mapping[int, tuple[float, float]]) -> None:
    """A reader by the look of single tokens: start and end logits are a table of the token id."""
    size = 1 + max(weights, default=0) + 1000
    tables = []
    for name, column in (("start_table", 0), ("end_table", 1)):
        values = [weights[i][column] if i in weights else 0.0 for i in range(size)]
        tables.append(helper.make_tensor(name, TensorProto.FLOAT, [size], values))
    shape = ["batch", "length"]
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    save(
        helper.make_graph(
            [
                helper.make_node("Gather", ["start_table", "input_ids"], ["start_logits"]),
                helper.make_node("Gather", ["end_table", "input_ids"], ["end_logits"]),
            ],
            "qa",
            [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in inputs],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("start_logits", "end_logits")],
            tables,
        ),
        path,
    )


def qa_folder(path: Path, weights: Mapping[int, tuple[float, float]], **changes: Any) -> ModelFolder:
    """A model folder of the qa task with the character tokenizer and the graph above."""
    path.mkdir(parents=True)
    qa_graph(path / "model.onnx", weights)
    bert_tokenizer().save(str(path / "tokenizer.json"))
    facts: dict[str, Any] = {
        "task": "qa",
        "name": path.name.partition("@")[0],
        "version": path.name.partition("@")[2] or "0",
        "graphs": [{"file": "model.onnx", "precision": "fp32"}],
        "task_settings": qa_task().settings.to_dict(),
    }
    return write_manifest(path, {**facts, **changes})
