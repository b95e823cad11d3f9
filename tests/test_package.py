"""What is published: one wheel with the model in it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_nothing_is_recorded_about_its_use(tmp_path: Path) -> None:
    code = "import trifold; trifold.load().ask('Who?', 'It was Ada.')"
    environ = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "TRIFOLD_HOME": str(tmp_path / "models")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_wheel_carries_the_model_and_stays_small(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 95_000_000
    names = set(zipfile.ZipFile(wheel).namelist())
    model = "trifold/models/embedded/default@1"
    for name in ("trifold.json", "model.int8.onnx", "model.fp32.onnx", "model.safetensors", "tokenizer.json"):
        assert f"{model}/{name}" in names
    assert "trifold/py.typed" in names
    source = ROOT / "src"
    page = [
        path for place in ("interfaces/http/page", "tasks/qa/panel") for path in (source / "trifold" / place).rglob("*")
    ]
    assert {path.relative_to(source).as_posix() for path in page if path.is_file()} <= names
    assert "trifold/interfaces/http/page/index.html" in names
    assert {name.rpartition("/")[2] for name in names} >= {"LICENSE", "NOTICE", "entry_points.txt"}
    assert not any(name.startswith("tests") for name in names)
