"""Who is let in: names of the server, and origins of pages."""

from __future__ import annotations

import pytest

from trifold.interfaces.http.hosts import Hosts

PUBLIC = "api.example.org"


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        (f"https://{PUBLIC}", PUBLIC, True),  # a proxy speaks TLS with the browser
        (f"http://{PUBLIC}", PUBLIC, True),
        (f"https://{PUBLIC.upper()}", PUBLIC, True),
        (f"https://{PUBLIC}:8443", f"{PUBLIC}:8443", True),
        (f"https://{PUBLIC}", f"{PUBLIC}:8000", False),
        ("https://evil.example", PUBLIC, False),
        (f"https://{PUBLIC}.evil.example", PUBLIC, False),
        ("https://127.0.0.1:8000", "127.0.0.1:8000", False),  # nobody said that a proxy stands there
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("null", PUBLIC, False),
    ],
)
def test_pages_of_this_very_host_may_ask_behind_tls_too(origin: str, host: str, welcome: bool) -> None:
    assert Hosts("127.0.0.1", allowed=[PUBLIC]).welcomes(origin, host, "http") is welcome
    assert not Hosts("127.0.0.1").welcomes(f"https://{PUBLIC}", PUBLIC, "http")
