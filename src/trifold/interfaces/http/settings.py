"""How a server is set up."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trifold.engine.service import Bounds
from trifold.errors import UsageError
from trifold.task import Limits

__all__ = ["MB", "Settings", "is_loopback"]

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `trifold serve` can be told; times in seconds, sizes in MB of 10^6 bytes."""

    models: tuple[str, ...] = ("default",)
    host: str = "127.0.0.1"
    port: int = 8000
    precision: str | None = None
    api_key_file: Path | None = None
    open: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_queue: int = 256
    max_queue_mb: float = 64
    deadline: float = 60
    max_body_mb: float = 8
    max_passage_mb: float = 1
    max_passages: int = 1000
    max_items: int = 1000
    max_file_mb: float = 20
    body_timeout: float = 10
    header_timeout: float = 10
    max_connections: int = 1000
    cache_mb: float = 64
    grace: float = 30
    corrections: Path | None = None
    keep_corrections: bool = True
    max_corrections_mb: float = 100
    log_json: bool = False
    log_level: str = "info"
    docs: bool = True
    web: bool = True
    browser: bool = False

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and self.api_key_file is None and not self.open:
            raise UsageError(
                f"--host {self.host} lets other machines in, and no keys are set up. Give --api-key-file FILE, "
                "or --open to let everybody in."
            )
        if self.browser and not self.web:
            raise UsageError("--browser opens the page, which --no-web leaves out. Give one of them.")
        if self.max_passage_mb > self.max_body_mb:
            raise UsageError(
                f"--max-passage-mb {self.max_passage_mb:g} does not fit in --max-body-mb {self.max_body_mb:g}. "
                "Raise the second or lower the first."
            )
        if self.max_body_mb > self.max_queue_mb:
            raise UsageError(
                f"--max-body-mb {self.max_body_mb:g} does not fit in --max-queue-mb {self.max_queue_mb:g}. "
                "Raise the second or lower the first."
            )

    @property
    def body_bytes(self) -> int:
        return int(self.max_body_mb * MB)

    @property
    def file_bytes(self) -> int:
        """Of a file at most; all bodies share the room of the queue."""
        return int(min(self.max_file_mb, self.max_queue_mb) * MB)

    @property
    def limits(self) -> Limits:
        """Bounds on one request."""
        return Limits(text_bytes=int(self.max_passage_mb * MB), texts=self.max_passages, files=False)

    @property
    def bounds(self) -> Bounds:
        """Bounds on the queue."""
        return Bounds(calls=self.max_queue, size=int(self.max_queue_mb * MB))

    def public(self) -> dict[str, Any]:
        """The settings that clients may know, as JSON types."""
        hidden = {
            "models",
            "host",
            "port",
            "api_key_file",
            "allowed_hosts",
            "cors_origins",
            "corrections",
            "keep_corrections",
            "log_json",
            "log_level",
            "browser",
        }
        return {name: value for name, value in asdict(self).items() if name not in hidden}


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
