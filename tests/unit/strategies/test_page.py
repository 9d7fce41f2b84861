"""The page of strategies says the defaults that are in force."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from core import plugins
from core.settings import defaults

PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text(encoding="utf-8")
ON_OPTIONS = [plugins.load("strategies", name) for name in plugins.names("strategies") if name != "stock"]


@pytest.mark.parametrize("strategy", ON_OPTIONS, ids=lambda strategy: strategy.NAME)
def test_page_when_compared_with_the_settings_then_every_default_is_as_written(strategy: ModuleType):
    own = defaults(strategy.PARAMETERS)
    cells = next(line for line in PAGE.splitlines() if line.startswith(f"| {strategy.NAME} |")).strip("| ").split(" | ")

    assert cells[2] == f"{own.whole('dte')} ({own.whole('min_dte')} to {own.whole('max_dte')})"
    assert float(cells[3]) == float(own.number("delta"))
    assert cells[4].startswith(f"{own.number('profit_target'):.0%} of the ")
    gate = own.values.get("iv_percentile", own.values.get("max_iv_percentile"))
    assert cells[5] == "any" if not gate else cells[5].endswith(f"{gate:.0%}")
