"""The learning curve in TensorBoard, and what is said where a library is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trifold import MissingExtra
from trifold.tasks.qa.training.logs import loggers
from trifold.training.loop import Epoch

CURVE = [Epoch(0, None, {"domain_f1": 0.1}), Epoch(1, 2.5, {"domain_f1": 0.4, "general_f1": 0.6})]


def test_tensorboard_gets_every_epoch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with loggers(tmp_path, False, "mine") as log:
        for epoch in CURVE:
            log(epoch)
    found = EventAccumulator(str(tmp_path / "mine"))
    found.Reload()
    assert [(event.step, round(event.value, 4)) for event in found.Scalars("domain_f1")] == [(0, 0.1), (1, 0.4)]
    assert [(event.step, event.value) for event in found.Scalars("train_loss")] == [(1, 2.5)]


@pytest.mark.parametrize(("tensorboard", "mlflow", "missing"), [(True, False, "tensorboard"), (False, True, "mlflow")])
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorboard: bool, mlflow: bool, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard" if tensorboard else "mlflow", None)
    with (
        pytest.raises(MissingExtra, match=rf"pip install 'trifold\[{missing}\]'"),
        loggers(tmp_path if tensorboard else None, mlflow, "mine"),
    ):
        pass
