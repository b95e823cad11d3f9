"""Linear layers in int8: what a row becomes depends on that row alone, and a layer gets the form that it bears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from trifold.models.activations import Rows, Seen, Static, decide
from trifold.models.quantise import quantise

WIDTH, WIDER = 32, 64
CHANCE = np.random.default_rng(0)
WEIGHT = CHANCE.normal(0, 1, (WIDTH, WIDER)).astype(np.float32)


def seen(rows: np.ndarray[Any, Any]) -> Seen:
    return Seen(rows, np.abs(rows).max(0), float(rows.min()), float(rows.max()))


def even(count: int = 2000) -> np.ndarray[Any, Any]:
    """Rows of like size, as behind a layer normalisation."""
    return np.random.default_rng(1).normal(0, 1, (count, WIDTH)).astype(np.float32)


def uneven(count: int = 2000) -> np.ndarray[Any, Any]:
    """Most rows are small, and a few a hundred times as large."""
    rows = even(count) * 0.05
    rows[::50] *= 100
    return rows


def test_rows_of_like_size_get_a_static_scale() -> None:
    assert isinstance(decide(seen(even()), WEIGHT), Static)


def test_rows_of_unlike_size_get_a_scale_each() -> None:
    form = decide(seen(uneven()), WEIGHT)
    assert isinstance(form, Rows)
    assert form.two_sided


def test_what_an_activation_function_left_uses_nearly_all_of_the_range() -> None:
    rows = uneven() * 3
    form = decide(seen(np.maximum(rows, -0.17)), WEIGHT)
    assert isinstance(form, Rows)
    assert form.zero <= 64
    np.testing.assert_array_equal(form.factor, 1)


def graph(rows: np.ndarray[Any, Any], *, gelu: bool) -> onnx.ModelProto:
    """x W + b, with GELU behind it or not."""
    bias = CHANCE.normal(0, 1, WIDER).astype(np.float32)
    constants = [numpy_helper.from_array(WEIGHT, "weight"), numpy_helper.from_array(bias, "bias")]
    add = (
        helper.make_node("BiasGelu", ["product", "bias"], ["y"], domain="com.microsoft")
        if gelu
        else helper.make_node("Add", ["bias", "product"], ["y"])
    )
    shape = ["batch", "length", WIDTH]
    made = helper.make_graph(
        [
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("MatMul", ["same", "weight"], ["product"]),
            add,
        ],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length", WIDER])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=9)
    assert len(rows)
    return model


def run(model: onnx.ModelProto, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray[Any, Any] = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("rows", [even(400), uneven(400)], ids=["static", "rows"])
def test_the_layer_is_close_and_its_rows_do_not_meet(rows: np.ndarray[Any, Any], gelu: bool) -> None:
    exact, fast = graph(rows, gelu=gelu), graph(rows, gelu=gelu)
    fast.CopyFrom(exact)
    quantise(fast, [{"x": part[None]} for part in rows.reshape(8, 50, WIDTH)])
    kinds = [node.op_type for node in fast.graph.node]
    assert "MatMulIntegerToFloat" in kinds
    assert "MatMul" not in kinds
    x = rows[:60].reshape(2, 30, WIDTH)
    together, wanted = run(fast, x), run(exact, x)
    assert np.abs(together - wanted).max() < 0.02 * np.abs(wanted).max()
    for i, j in ((0, 0), (0, 7), (1, 29)):
        alone = run(fast, x[i : i + 1, j : j + 1])
        np.testing.assert_array_equal(alone[0, 0], together[i, j])
    beside_giants = x.copy()
    beside_giants[1] *= 1000
    np.testing.assert_array_equal(run(fast, beside_giants)[0], together[0])


def test_a_small_row_beside_a_giant_keeps_its_precision() -> None:
    """With one scale for the tensor it would vanish."""
    rows = uneven(400)
    exact, fast = graph(rows, gelu=False), graph(rows, gelu=False)
    fast.CopyFrom(exact)
    quantise(fast, [{"x": part[None]} for part in rows.reshape(8, 50, WIDTH)])
    bias = run(exact, np.zeros((1, 1, WIDTH), np.float32))[0, 0]
    small = rows[1:2][None]
    wanted = run(exact, small)[0, 0] - bias
    found = run(fast, small)[0, 0] - bias
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_few_ask_where_that_moves_no_answer_and_all_where_it_would(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from hub_doubles import tiny_reader
    from test_export import units
    from trifold.engine.session import Session
    from trifold.tasks.qa.making.export import export_reader
    from trifold.tasks.qa.making.stages import NOT_READ

    torch.manual_seed(3)
    reader = tiny_reader("bert")
    # A head that finds the same tokens likely before and after the last layer, as trained ones do.
    with torch.no_grad():
        for part in ("attention.output", "output"):
            dense = reader.get_submodule(f"bert.encoder.layer.1.{part}.dense")
            dense.weight *= 0.01
            dense.bias *= 0.01
    kinds = {}
    for name, asking in (("few", 9), ("all", None)):
        folder = tmp_path / name
        folder.mkdir()
        reader.save_pretrained(folder)
        export_reader(folder, units(8), units(1)[0], asking=asking)
        kinds[name] = {node.op_type for node in onnx.load(folder / "model.int8.onnx").graph.node}
    assert "TopK" in kinds["few"]
    assert "TopK" not in kinds["all"]
    few, every = (Session(tmp_path / name / "model.int8.onnx") for name in ("few", "all"))
    for unit in units(6):
        (found,), (wanted,) = few.run([unit]), every.run([unit])
        for name in ("start_logits", "end_logits"):
            asked = found[name] > NOT_READ / 2
            assert asked[0], "the null asks"
            assert asked.sum() == min(9, unit.cost)
            np.testing.assert_allclose(found[name][asked], wanted[name][asked], atol=0.05)


def test_all_ask_where_few_would_move_answers(tmp_path: Path) -> None:
    """A random head finds other tokens likely before the last layer than after it."""
    torch = pytest.importorskip("torch")
    from hub_doubles import tiny_reader
    from test_export import units
    from trifold.tasks.qa.making.export import export_reader

    torch.manual_seed(4)
    tiny_reader("bert").save_pretrained(tmp_path)
    export_reader(tmp_path, units(8), units(1)[0], asking=3)
    assert "TopK" not in {node.op_type for node in onnx.load(tmp_path / "model.int8.onnx").graph.node}
