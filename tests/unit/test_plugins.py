"""Plug-ins handed to the registry from outside the folders."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from core import plugins


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    plugins._REGISTERED.clear()


def broker(name: str, **more: object) -> ModuleType:
    module = ModuleType(f"elsewhere.{name}", "A broker of somebody's own.")
    for key, value in {"NAME": name, "PARAMETERS": object, "build": object, **more}.items():
        setattr(module, key, value)
    return module


def test_register_when_complete_then_named_and_loaded_beside_the_shipped_ones() -> None:
    mine = broker("mine")

    plugins.register("brokers", mine)

    assert plugins.names("brokers") == ("mine", "paper")
    assert plugins.load("brokers", "mine") is mine
    assert plugins.load("brokers", "paper").NAME == "paper"
    assert plugins.problems() == []


def test_register_when_the_name_is_taken_then_refused() -> None:
    with pytest.raises(ValueError, match="there is a 'paper' in core.brokers already"):
        plugins.register("brokers", broker("paper"))


def test_register_when_something_is_missing_then_refused() -> None:
    incomplete = broker("mine")
    del incomplete.build

    with pytest.raises(ValueError, match="has no build"):
        plugins.register("brokers", incomplete)
    assert "mine" not in plugins.names("brokers")
