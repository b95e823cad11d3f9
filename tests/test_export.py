"""From a checkpoint to the graphs of a model folder, with tiny random models of each architecture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from doubles import bert_tokenizer, qa_task
from hub_doubles import KINDS, tiny_reader, tiny_tokenizer
from trifold.engine.session import Session
from trifold.errors import EngineError, ModelDamaged
from trifold.models.rounding import compensated, quantise_weight
from trifold.task import Limits, Unit
from trifold.tasks.qa.making.export import export_reader

torch = pytest.importorskip("torch")

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
WORDS = "the quick brown fox jumps over a lazy dog and reads some more words than fit"


def units(count: int, tokenizer: Tokenizer | None = None) -> list[Unit]:
    """Windows of very different lengths: shorter and longer than what is traced."""
    task = qa_task(tokenizer, length=128, stride=16)
    words = WORDS.split()
    texts = [" ".join(words[i % 8 :] * (1 + i % 3)) for i in range(count)]
    requests = [task.check({"question": f"where {i}?", "passage": text}, Limits()) for i, text in enumerate(texts)]
    return [unit for request in requests for unit in task.encode(request).units]


@pytest.fixture(scope="module", params=["float16", "float32"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A model folder's graphs, and the reader they were made of."""
    from transformers import BertConfig, BertForQuestionAnswering

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=bert_tokenizer().get_vocab_size(),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=128,
    )
    reader: Any = BertForQuestionAnswering(config)
    reader.eval()
    for parameter in reader.parameters():
        parameter.data *= 4  # random weights are so small that every answer is alike
    folder = tmp_path_factory.mktemp("exported")
    reader.to(getattr(torch, request.param)).save_pretrained(folder)
    export_reader(folder, units(20), units(1)[0])
    return folder, reader.float()


def expected(reader: Any, unit: Unit, names: Sequence[str] = INPUTS) -> tuple[Any, Any]:
    with torch.no_grad():
        out = reader(**{name: torch.tensor(unit.arrays[name][None]) for name in names})
    return out.start_logits[0].numpy(), out.end_logits[0].numpy()


def test_the_fp32_graph_computes_what_torch_computes(exported: tuple[Path, Any]) -> None:
    folder, reader = exported
    session = Session(folder / "model.fp32.onnx")
    for unit in units(10):
        (found,) = session.run([unit])
        start, end = expected(reader, unit)
        np.testing.assert_allclose(found["start_logits"], start, atol=1e-4)
        np.testing.assert_allclose(found["end_logits"], end, atol=1e-4)


def test_the_int8_graph_is_close(exported: tuple[Path, Any]) -> None:
    folder, reader = exported
    session = Session(folder / "model.int8.onnx")
    for unit in units(10):
        (found,) = session.run([unit])
        start, _ = expected(reader, unit)
        assert np.abs(found["start_logits"] - start).max() < 0.1 * np.abs(start).max()


@pytest.mark.parametrize("graph", ["model.int8.onnx", "model.fp32.onnx"])
def test_a_window_does_not_depend_on_its_neighbours(exported: tuple[Path, Any], graph: str) -> None:
    session = Session(exported[0] / graph)
    batch = units(16)
    assert len({unit.cost for unit in batch}) > 1, "nothing is padded"
    for unit, together in zip(batch, session.run(batch), strict=True):
        (alone,) = session.run([unit])
        for name in alone:
            np.testing.assert_allclose(together[name], alone[name], atol=1e-4)


def input_names(graph: Path) -> list[str]:
    import onnx

    return [entry.name for entry in onnx.load(graph, load_external_data=False).graph.input]


def shares_its_weights(graph: Path) -> bool:
    """Whether a graph takes nearly all of its numbers from the file that stands beside it."""
    import onnx

    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    inside = sum(len(t.raw_data) for t in tensors)
    locations = {e.value for t in tensors for e in t.external_data if e.key == "location"}
    return locations == {"model.safetensors"} and inside < 0.05 * (graph.parent / "model.safetensors").stat().st_size


def test_graphs_hold_no_second_copy_of_the_weights(exported: tuple[Path, Any]) -> None:
    assert shares_its_weights(exported[0] / "model.fp32.onnx")


def test_the_probe_holds_where_it_was_made(exported: tuple[Path, Any]) -> None:
    folder, _ = exported
    assert Session(folder / "model.int8.onnx").agrees_with(folder / "probe.json")


@pytest.fixture(scope="module", params=KINDS)
def architecture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """The kind, its folder with both graphs, and the reader they were made of."""
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    reader = tiny_reader(kind)
    reader.save_pretrained(folder)
    windows = units(8, tiny_tokenizer(kind))
    export_reader(folder, windows, windows[0])
    return kind, folder, reader


def test_every_architecture_is_exported_as_torch_computes_it(architecture: tuple[str, Path, Any]) -> None:
    kind, folder, reader = architecture
    session, fast = Session(folder / "model.fp32.onnx"), Session(folder / "model.int8.onnx")
    batch = units(6, tiny_tokenizer(kind))
    taken = input_names(folder / "model.fp32.onnx")
    assert taken[:2] == ["input_ids", "attention_mask"]
    assert ("token_type_ids" in taken) == (kind in {"bert", "electra"})
    assert min(unit.cost for unit in batch) < max(unit.cost for unit in batch) - 30, "nothing is padded"
    for unit, exact, near in zip(batch, session.run(batch), fast.run(batch), strict=True):
        start, end = expected(reader, unit, taken)
        np.testing.assert_allclose(exact["start_logits"], start, atol=1e-4)
        np.testing.assert_allclose(exact["end_logits"], end, atol=1e-4)
        assert np.abs(near["start_logits"] - start).max() < 0.15 * np.abs(start).max()


def test_every_architecture_shares_its_weights(architecture: tuple[str, Path, Any]) -> None:
    assert shares_its_weights(architecture[1] / "model.fp32.onnx")


def test_a_checkpoint_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    tiny_reader("bert", head="").save_pretrained(tmp_path)
    with pytest.raises(ModelDamaged, match=r"its weights lack qa_outputs.* answer at random"):
        export_reader(tmp_path, (), units(1)[0], int8=False)


def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trifold.tasks.qa.making import export

    tiny_reader("distilbert").save_pretrained(tmp_path)
    fused = export._reader_graph

    def with_another_head(reader: Any) -> Any:
        model = fused(reader)
        for weight in model.graph.initializer:
            if weight.name.endswith("qa_outputs.bias"):
                weight.raw_data = np.array([9, 9], np.float32).tobytes()
        return model

    monkeypatch.setattr(export, "_reader_graph", with_another_head)
    with pytest.raises(EngineError, match="does not compute what torch computes"):
        export_reader(tmp_path, (), units(1)[0], int8=False)


def assert_no_saturation(integers: np.ndarray[Any, Any]) -> None:
    """vpmaddubsw adds two products of unsigned 8 bits and signed 8 bits in 16 bits."""
    assert integers.dtype == np.int8
    padded = np.concatenate([integers, np.zeros((len(integers) % 2, integers.shape[1]), np.int8)]).astype(int)
    pairs = padded.reshape(-1, 2, integers.shape[1])
    assert (np.maximum(pairs, 0).sum(1) * 255 <= 32767).all()
    assert (np.minimum(pairs, 0).sum(1) * 255 >= -32768).all()


@pytest.fixture(params=[6, 7])
def weight(request: pytest.FixtureRequest) -> np.ndarray[Any, Any]:
    drawn = np.random.default_rng(0).normal(0, 1, (request.param, 200)).astype(np.float32)
    drawn[:2] = 3.0  # two large neighbours of one sign, the case that overflows
    return drawn


def test_quantised_weights_saturate_on_no_processor(weight: np.ndarray[Any, Any]) -> None:
    integers, steps = quantise_weight(weight)
    assert_no_saturation(integers)
    np.testing.assert_allclose(integers * steps, weight, atol=float(0.51 * steps.max()))


def test_compensation_keeps_pairs_within_their_bound() -> None:
    """Pairs stand near the bound, and a small input must make up for its ten times larger neighbour's error."""
    chance = np.random.default_rng(0)
    weight = (3.0 + chance.uniform(-0.05, 0.05, (64, 200))).astype(np.float32)
    base = chance.normal(0, 1, (500, 32))
    rows = np.stack([10 * base, base + chance.normal(0, 0.01, base.shape)], axis=2).reshape(500, 64)
    assert_no_saturation(compensated(weight, rows.astype(np.float32))[0])


def test_compensated_rounding_is_closer_and_saturates_nowhere(weight: np.ndarray[Any, Any]) -> None:
    rows = np.random.default_rng(1).normal(0, 1, (500, len(weight))).astype(np.float32)
    rows += rows[:, :1]  # inputs that move together, so that one weight can make up for another
    errors = []
    for integers, steps in (quantise_weight(weight), compensated(weight, rows)):
        assert_no_saturation(integers)
        errors.append(float(((rows @ (integers * steps) - rows @ weight) ** 2).mean()))
    assert errors[1] < errors[0]
