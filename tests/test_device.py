"""A GPU is chosen where one works, and its absence is told only to those who asked for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from doubles import echo_folder
from trifold.engine import device as module
from trifold.engine.device import GPU_BUDGET, device, providers
from trifold.engine.loaded import open_model
from trifold.engine.runner import Runner
from trifold.errors import UsageError
from trifold.models.folder import write_manifest

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


@pytest.fixture(autouse=True)
def asked_again() -> Iterator[None]:
    module.device.cache_clear()
    yield
    module.device.cache_clear()


class Card:
    """ONNX Runtime as it is built for CUDA; `works` says whether a session gets the card."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, works: bool) -> None:
        self.asked: list[list[str]] = []
        real, card = onnxruntime.InferenceSession, self

        class Session:
            def __init__(self, graph: Any, options: Any, providers: list[str]) -> None:
                card.asked.append(providers)
                self._real = real(graph, options, providers=[CPU])

            def get_providers(self) -> list[str]:
                return [CUDA, CPU] if works else [CPU]

            def __getattr__(self, name: str) -> Any:
                return getattr(self._real, name)

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)


def test_the_processor_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert device() == "cpu"
    assert providers() == [CPU]


def test_a_gpu_that_works_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, works=True)
    assert device() == "cuda"
    assert providers() == [CUDA, CPU]


def test_a_gpu_can_be_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, works=True)
    monkeypatch.setenv("TRIFOLD_DEVICE", "cpu")
    assert device() == "cpu"


def test_a_library_for_cuda_without_a_card_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, works=False)
    with pytest.warns(RuntimeWarning, match=r"computing on the processor: .* nvidia-smi"):
        assert device() == "cpu"


@pytest.mark.parametrize("works", [False, None])
def test_a_gpu_that_was_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch, works: bool | None) -> None:
    if works is None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    else:
        Card(monkeypatch, works=works)
    monkeypatch.setenv("TRIFOLD_DEVICE", "cuda")
    with pytest.raises(UsageError, match=r"TRIFOLD_DEVICE: ONNX Runtime finds no CUDA device here"):
        device()


def test_a_device_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_DEVICE", "tpu")
    with pytest.raises(UsageError, match="expected auto, cpu or cuda, found 'tpu'"):
        device()


def test_on_a_gpu_models_run_there_exactly_and_in_large_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, echo_plugin: None
) -> None:
    folder = echo_folder(tmp_path / "echo").path
    (folder / "fast.onnx").write_bytes((folder / "model.onnx").read_bytes())
    graphs = [{"file": "fast.onnx", "precision": "int8"}, {"file": "model.onnx", "precision": "fp32"}]
    facts = {"task": "echo", "name": "echo", "version": "0", "graphs": graphs, "task_settings": {}}
    written = write_manifest(folder, facts)
    assert open_model(written).precision == "int8"
    module.device.cache_clear()
    card = Card(monkeypatch, works=True)
    loaded = open_model(written)
    assert loaded.precision == "fp32"
    assert card.asked[-1] == [CUDA, CPU]
    assert loaded.session is not None
    batches: list[int] = []
    original = type(loaded.session).run

    def spying(self: Any, units: Any) -> Any:
        batches.append(len(units))
        return original(self, units)

    monkeypatch.setattr(type(loaded.session), "run", spying)
    replies = list(Runner(loaded).map((n, {"text": "x" * 20}) for n in range(300)))
    assert len(replies) == 300
    assert max(batches) > 1024 // 20, batches
    assert GPU_BUDGET.batch > 1024
