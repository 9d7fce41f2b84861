"""What every test may count on: seeded properties, no socket beyond loopback, real market data by environment only."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

# No deadline: the machine may be busy. Nothing random: a red run is red again. `HYPOTHESIS_PROFILE=explore` looks further, `unshrunk`
# says only whether something is wrong, without the minutes that a small example costs.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("unshrunk", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate))
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class OutsideConnection(RuntimeError):
    """A test tried to leave the machine. No OSError, so that code which survives lost connections cannot swallow it."""


def _is_loopback(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_outside(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise OutsideConnection(f"a test may not open a socket beyond loopback: {address!r}; use a fake server on 127.0.0.1")


def _guarded(original: Any, *, address_at: int) -> Any:
    def call(self: socket.socket, *args: Any) -> Any:
        _refuse_outside(self.family, args[address_at])
        return original(self, *args)

    return call


def _guarded_lookup(original: Any) -> Any:
    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        numeric = ":" in str(text) or str(text).replace(".", "").isdigit()
        if not numeric and not _is_loopback(host):
            raise OutsideConnection(f"a test may not look up a name beyond this machine: {host!r}")
        return original(host, *args, **kwargs)

    return lookup


def pytest_configure(config: pytest.Config) -> None:
    """Close the door before any test module is imported; desks under test leave the compiler alone."""
    os.environ.setdefault("DESK_COMPILED", "0")
    patch = pytest.MonkeyPatch()
    for name, address_at in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name), address_at=address_at))
    patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))
    config.add_cleanup(patch.undo)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded market data, from DESK_REAL_DATA; tests that need it are skipped where it is not set."""
    value = os.environ.get("DESK_REAL_DATA")
    if not value:
        pytest.skip("DESK_REAL_DATA is not set: no recorded market data on this machine")
    folder = Path(value)
    assert folder.is_dir(), f"DESK_REAL_DATA names no folder: {folder}"
    return folder
