"""Typed lines within sentences: "open naked_put XSP 1 dte=2 delta=0.065", "/pnl week", "roll SPY direction=out".

A line of this form is read by its names and values and by nothing else, for commands whose file does not exist yet as for the others.
"""

from __future__ import annotations

import re
import shlex
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.intent.frames import Frame
from bot.intent.symbols import tickers
from core import plugins
from core.command import STRATEGIES
from core.commands._planned import planned

_NUMBERS = frozenset(
    {
        "delta",
        "width",
        "limit",
        "price",
        "fraction",
        "spot_pct",
        "vix_points",
        "profit_target",
        "stop",
        "budget",
        "value",
        "target",
        "trail",
        "target_price",
        "stop_price",
        "stop_limit",
        "trail_share",
        "around",
        "concession",
    }
)
_COUNTS = frozenset({"quantity", "dte", "far_dte", "year", "parts", "minutes", "show", "orders", "days"})
_DAYS = frozenset({"expiry", "far_expiry", "when", "start", "end", "date"})
_PERIODS = frozenset({"today", "yesterday", "week", "month", "ytd", "year", "all"})
_SIDES = frozenset({"buy", "sell"})
_RIGHTS = frozenset({"put", "call"})
_POSITIONAL = {
    "pnl": "period symbol",
    "fills": "period",
    "journal": "period",
    "review": "period",
    "attribution": "period",
    "calendar": "period",
    "positions": "symbol",
    "greeks": "symbol",
    "quote": "symbol",
    "chain": "symbol",
    "iv": "symbol",
    "earnings": "symbol",
    "news": "symbol",
    "flow": "symbol",
    "wheel": "symbol",
    "why": "strategy symbol",
    "scan": "strategy symbol",
    "open": "strategy symbol quantity",
    "close": "symbol quantity",
    "roll": "symbol",
    "pause": "strategy",
    "resume": "strategy",
    "backtest": "strategy symbol",
    "optimize": "strategy symbol",
    "log_trade": "side strategy symbol",
    "confirm": "ticket",
    "reprice": "ticket",
    "drop": "ticket",
    "size": "ticket quantity",
    "cancel": "order_id",
    "explain": "topic",
    "help": "topic",
    "ack": "alert",
    "snooze": "alert",
    "to": "date",
    "pair": "code",
    "alert": "symbol",
    "blacklist": "action symbol",
    "mandate": "action strategy symbol",
    "heatmap": "",
    "account": "id",
}


def typed_line(text: str) -> Frame | None:
    """The frame of a typed line; None where the text is a sentence."""
    plain = text.strip()
    slash = plain.startswith("/") and not re.match(r"^/[A-Z]{2,3}\b", plain)
    named = (
        re.search(r"\b[a-z_]+=\S", plain) is not None
        or re.search(r"\b(?:" + "|".join(name for name in STRATEGIES if "_" in name) + r")\b", plain) is not None
    )
    if not slash and not named:
        return None
    try:
        words = shlex.split(plain.removeprefix("/"))
    except ValueError:
        return None
    if not words or words[0].lower() not in {*plugins.names("commands"), *planned()}:
        return None
    return _read(words[0].lower(), words[1:])


def _read(name: str, words: list[str]) -> Frame | None:
    slots: dict[str, Any] = {}
    places = _POSITIONAL.get(name, "").split()
    for word in words:
        key, found, value = word.partition("=")
        if found and re.fullmatch(r"[a-z_]+", key):
            slots[key] = value
            continue
        place = next((each for each in places if each not in slots and _fits(each, word)), None)
        if place is None:
            if name in ("explain", "help") and "topic" in slots:
                slots["topic"] += f" {word}"
                continue
            return None
        slots[place] = word
    if slots.get("order_id") == "all" or (slots.get("symbol") in ("all", "ALL") and name == "close"):
        slots = {**{key: value for key, value in slots.items() if key not in ("order_id", "symbol")}, "scope": "all"}
    try:
        return Frame(label=name, slots={key: _value(key, value) for key, value in slots.items()})
    except (ValueError, InvalidOperation):
        return None


def _fits(name: str, word: str) -> bool:
    low = word.lower()
    if name == "strategy":
        return low in STRATEGIES
    if name == "symbol" and low == "all":
        return True
    if name == "symbol":
        return re.fullmatch(r"/?[A-Z][A-Z0-9]{0,5}(\.[A-Z])?", word) is not None or word.upper() in tickers()
    if name == "quantity":
        return word.isdecimal()
    if name == "period":
        return low in _PERIODS or re.fullmatch(r"\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?", word) is not None
    if name == "side":
        return low in _SIDES
    if name == "action":
        return low in ("add", "remove", "list", "grant", "revoke")
    if name == "date":
        return re.fullmatch(r"\d{4}-\d\d-\d\d", word) is not None
    return name in ("ticket", "order_id", "alert", "code", "topic", "id")


def _value(name: str, word: str) -> Any:
    low = word.lower()
    if name in _COUNTS:
        return int(low)
    if name in _DAYS:
        return date.fromisoformat(low)
    if name in _NUMBERS:
        found = re.fullmatch(r"(-?\d*\.?\d+)(%|x)?", low)
        if found is None:
            return word
        number = Decimal(found[1]) / (100 if found[2] == "%" else 1)
        return number / 100 if name == "delta" and number > 1 else number
    if name == "strikes":
        return sorted(Decimal(part) for part in low.split("/"))
    if name == "symbol":
        return word.upper()
    if name in ("flatten", "follow_vol", "second_order"):
        return low in ("yes", "true", "on", "1", name)
    if name in ("position_id", "order_id", "ticket"):
        return word.removeprefix("#")
    return low if name in ("strategy", "right", "side", "period", "by", "direction", "scope", "metric", "op", "action", "change") else word
