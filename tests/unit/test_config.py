"""Configuration: every mistake is named, tightening applies at once, loosening waits for a person."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.config import ConfigError, SettingsTable, hold_back, load_config, loosened_accounts, parse_config
from core.domain.accounts import AccountKind

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = {"name": "practice", "broker": "paper", "id": "P1", "env": "paper", "kind": "reg_t", "start_cash": 5000}
KEY = "rules.capital.max_fraction"


def test_shipped_file_when_read_then_is_the_default() -> None:
    shipped = load_config(ROOT / "config.yaml")
    default = parse_config({})
    assert replace(shipped, path="", provider_options={}) == default


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"acounts": []}, "unknown key 'acounts'"),
        ({"accounts": []}, "at least one account"),
        ({"accounts": [{**ACCOUNT, "env": "lve"}]}, "env must be paper or live, not 'lve'"),
        ({"accounts": [{**ACCOUNT, "env": "live"}]}, "the paper broker cannot be live"),
        ({"accounts": [{**ACCOUNT, "start_cash": -1}]}, "cannot be negative"),
        ({"accounts": [{**ACCOUNT, "start_cash": "much"}]}, "not a plain number"),
        ({"accounts": [{**ACCOUNT, "kind": "margin"}]}, "kind must be cash, ira, reg_t or portfolio_margin"),
        ({"accounts": [{**ACCOUNT, "colour": "red"}]}, "no key 'colour'"),
        ({"accounts": [{**ACCOUNT, "broker": "ikbr"}]}, "there is no broker 'ikbr'"),
        ({"accounts": [{**ACCOUNT, "charter": {"long_only": "often"}}]}, "long_only must be true or false"),
        ({"accounts": [ACCOUNT, ACCOUNT]}, "two accounts have the name 'practice'"),
        ({"market": {"provider": "crystal_ball"}}, "there is no provider 'crystal_ball'"),
        ({"market": {"speed": "fast"}}, "market: speed must be a number above 0 and up to 100,000, not 'fast'"),
        ({"market": {"speed": -3}}, "market: speed must be a number above 0"),
        ({"market": {"speed": True}}, "market: speed must be a number above 0"),
        ({"market": {"sped": 2}}, "market: simulated has no option 'sped'; it has"),
        ({"market": {"seed": "x"}}, "market: seed must be a whole number, not 'x'"),
        ({"market": {"start": "soon"}}, "market: start must be a day such as 2026-11-20, not 'soon'"),
        ({"watch_list": ["spy"]}, "upper-case symbols"),
        ({"settings": {"rules.capital.max_fracton": 0.1}}, "there is no setting 'rules.capital.max_fracton'"),
        ({"settings": {KEY: 7}}, f"settings: {KEY} must be from"),
        ({"settings": {"desk.walk_steps": 2.5}}, "whole number"),
        ({"fees": "free"}, "fees must be one of"),
        ({"web": {"prot": 1}}, "web must be a mapping such as {host: 127.0.0.1, port: 8765}, or false"),
        ({"web": True}, "web must be a mapping"),
        ({"web": {"port": 70_000}}, "web: port must be a whole number from 0 to 65,535, not 70000"),
        ({"web": {"port": True}}, "web: port must be a whole number"),
        ({"web": {"host": "http://x"}}, "web: host must be an address of this machine such as 127.0.0.1, not 'http://x'"),
        ({"web": {"names": ["a:80"]}}, "web: names must be a list of host names such as [desk.example.org], without ports"),
    ],
)
def test_k1_configuration_when_wrong_then_says_what_and_where(plain: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(plain)
    assert any(words in error for error in caught.value.errors), caught.value.errors


def test_k1_configuration_when_several_mistakes_then_lists_them_all() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"acounts": [], "watch_list": "SPX", "settings": {KEY: 7}})
    assert len(caught.value.errors) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accounts: []\naccounts: []\n", "accounts is given twice"),
        ("a: [1\nb: {\n", "is not valid YAML: expected ',' or ']', but got ':' (line 2, column 2)"),
        ("- 1\n", "must be a mapping"),
        ("\xff", "cannot be read: it is not UTF-8 text"),
    ],
)
def test_k1_file_when_unreadable_then_says_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert words in caught.value.errors[0]
    assert "config.yaml" in caught.value.errors[0]


def test_k1_file_when_missing_then_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config.yaml cannot be read: No such file or directory"):
        load_config(tmp_path / "config.yaml")


def test_settings_when_changed_from_chat_then_win_over_file_and_default() -> None:
    config = parse_config({"settings": {KEY: 0.04}})
    assert SettingsTable(config).values[KEY] == Decimal("0.04")
    assert SettingsTable(config, {KEY: "0.03"}).values[KEY] == Decimal("0.03")
    stale = SettingsTable(config, {KEY: "9", "rules.gone.x": "1"})
    assert stale.values[KEY] == Decimal("0.04")
    assert len(stale.unread) == 2


def test_start_when_the_file_tightens_then_applies_at_once() -> None:
    _, seen, _ = hold_back(parse_config({}), None)
    config, now, held = hold_back(parse_config({"settings": {KEY: 0.03}}), seen)
    assert SettingsTable(config).values[KEY] == Decimal("0.03")
    assert now[KEY] == "0.03"
    assert held == ()


def test_start_when_the_file_loosens_then_the_old_value_stays_and_a_person_is_told() -> None:
    _, seen, _ = hold_back(parse_config({"settings": {KEY: 0.03}}), None)
    config, now, held = hold_back(parse_config({"settings": {KEY: 0.08}}), seen)
    assert SettingsTable(config).values[KEY] == Decimal("0.03")
    assert now[KEY] == "0.03"
    assert held == (
        "config.yaml changes rules.capital.max_fraction from 0.03 to 0.08; that loosens it and is not applied. "
        "`settings rules.capital.max_fraction 0.08` applies it, once you confirm.",
    )


def test_start_when_an_account_is_loosened_then_its_old_terms_stay() -> None:
    old = parse_config({"accounts": [{**ACCOUNT, "kind": "ira", "charter": {"defined_risk_only": True, "symbols": ["SPX"]}}]}).accounts[0]
    new = parse_config({"accounts": [{**ACCOUNT, "kind": "reg_t"}]})
    config, held = loosened_accounts(new, {old.id: old})
    assert config.accounts[0].kind is AccountKind.IRA
    assert config.accounts[0].charter == old.charter
    assert "loosens account practice" in held[0]


def test_start_when_an_account_is_tightened_then_the_new_terms_apply() -> None:
    old = parse_config({"accounts": [{**ACCOUNT, "kind": "reg_t"}]}).accounts[0]
    new = parse_config({"accounts": [{**ACCOUNT, "kind": "cash", "charter": {"long_only": True}}]})
    config, held = loosened_accounts(new, {old.id: old})
    assert config.accounts == new.accounts
    assert held == ()


def test_web_when_configured_then_is_read_and_when_false_then_is_off() -> None:
    web = parse_config({"web": {"port": 0, "host": "::1", "names": ["desk.example.org"]}}).web
    assert (web.on, web.host, web.port, web.names) == (True, "::1", 0, ("desk.example.org",))
    assert parse_config({"web": False}).web.on is False
