"""The compiled kernels, made once for this version of the code and used only by tests that ask for them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core import warming
from core.pricing import compiled

COMPILING_SECONDS = 900.0  # on a machine with much else to do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for the compiler."""
    for item in items:
        if {"kernels", "by_kernel", "each_path"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(COMPILING_SECONDS))


@pytest.fixture(scope="session")
def kernels() -> Mapping[str, Any]:
    """Compile the kernels, or load what another test process or an earlier run has compiled from the same text."""
    pytest.importorskip("numba", reason="numba is not installed: the numpy code is all there is")
    shared = Path(tempfile.gettempdir()) / f"thetadesk-kernels-{os.getuid()}"
    shared.mkdir(mode=0o700, exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert compiled.warm(str(warming.cache_directory(shared)))
    loaded = compiled._LOADED.kernels
    compiled._LOADED.kernels = {}
    return loaded


@pytest.fixture
def by_kernel(kernels: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Have the compiled kernels in use for this test."""
    monkeypatch.setattr(compiled._LOADED, "kernels", kernels)
    return kernels


@pytest.fixture(params=["numpy", "compiled"])
def each_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on either path."""
    if request.param == "compiled":
        request.getfixturevalue("by_kernel")
    yield request.param
