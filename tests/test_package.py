"""What is published: one wheel with the model in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_carries_the_model_and_stays_small(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 95_000_000
    names = set(zipfile.ZipFile(wheel).namelist())
    model = "trifold/models/embedded/default@0"
    for name in ("trifold.json", "model.int8.onnx", "model.fp32.onnx", "model.safetensors", "tokenizer.json"):
        assert f"{model}/{name}" in names
    assert "trifold/py.typed" in names
    assert {name.rpartition("/")[2] for name in names} >= {"LICENSE", "NOTICE", "entry_points.txt"}
    assert not any(name.startswith("tests") for name in names)
