"""What the page is made of: small, its own or kept with its licence, and the same as was fetched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHELL = ROOT / "src" / "trifold" / "interfaces" / "http" / "page"
PANELS = sorted((ROOT / "src" / "trifold" / "tasks").glob("*/panel"))
PINS = ROOT / "recipes" / "npm"
SERVED = {".html", ".css", ".js", ".json", ".svg", ".txt", ".woff2"}


def read(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((PINS / name).read_text("utf-8"))
    return parsed


def test_the_page_stays_small() -> None:
    files = [path for folder in (SHELL, *PANELS) for path in folder.rglob("*") if path.suffix in SERVED]
    assert len(files) > 2
    size = sum(path.stat().st_size for path in files)
    assert size < 300_000, f"the page's files have {size:,} bytes in all"


def test_what_others_wrote_is_what_was_fetched() -> None:
    vendored = read("vendored.json")
    assert {path.name for path in (SHELL / "vendor").iterdir()} == set(vendored)
    for name, pin in vendored.items():
        assert hashlib.sha256((SHELL / "vendor" / name).read_bytes()).hexdigest() == pin["sha256"], name


def test_what_others_wrote_has_its_licence_beside_it_and_is_named_in_the_notice() -> None:
    used = read("package.json")["dependencies"]
    vendored = read("vendored.json")
    assert {pin["package"] for pin in vendored.values()} == set(used)
    notice = (ROOT / "NOTICE").read_text("utf-8")
    for package, version in used.items():
        assert "MIT" in (SHELL / "vendor" / f"{package}.LICENSE.txt").read_text("utf-8")
        assert f"{package} {version}" in notice


def test_every_package_is_pinned_by_its_hash() -> None:
    wanted = {**read("package.json")["dependencies"], **read("package.json")["devDependencies"]}
    locked = read("package-lock.json")["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for place, package in locked.items():
        assert not place or package["integrity"].startswith("sha512-"), place
        assert "registry" not in json.dumps(package), f"{place}: names a registry, which is the user's own to choose"
