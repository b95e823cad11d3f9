"""Writes docs/openapi.json, the description of the REST API, from the server itself.

python recipes/openapi.py
"""

from __future__ import annotations

import json
from pathlib import Path

from trifold.interfaces.http.app import api
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.settings import Settings

TARGET = Path(__file__).parents[1] / "docs" / "openapi.json"


def described() -> str:
    """The document as it is committed."""
    return json.dumps(api(Desk(Settings())).openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(described(), encoding="utf-8")
