"""Slots of a setting: its key in the words said, and its new value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from bot.intent.patterns import Match, Tagged
from bot.intent.sentence import Sentence
from bot.intent.slot_words import captured, trimmed


def settings_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    dotted = re.search(r"\b([a-z_]+(?:\.[a-z_0-9]+)+)\b(?:\s*(?:to|=|:)?\s*([\w.%-]+))?", sentence.text)
    if dotted is not None:
        slots["key"] = dotted[1]
        if dotted[2]:
            slots["value"] = _number_or_words(dotted[2])
        return
    key, value = captured(slots, "key", sentence, tagged, match), captured(slots, "value", sentence, tagged, match)
    figure = next((token for token in reversed(sentence.tokens) if token.kind in ("number", "percent", "money") and not token.used), None)
    words = sentence.words
    if key is None:
        key = _key_of(sentence)
    if key is None:
        return
    key = re.sub(
        r"\b(?:setting|settings|parameter|set|currently|at|up|down|back|value|please|configured|the|number)\b(?! of)",
        " ",
        f" {key} ",
        flags=re.IGNORECASE,
    )
    key = re.sub(r"[\d.$%]+x?\b|\bpercent\b|\bonly\b", " ", key) if figure is not None and "1256" not in key else key
    slots["key"] = trimmed(" ".join(key.split()), tails=frozenset({"please", "to", "at", "now", "is", "be", "from", "on"}))
    if not slots["key"]:
        del slots["key"]
        return
    if figure is not None:
        slots["value"] = figure.value
    elif value is not None:
        slots["value"] = _number_or_words(trimmed(value))
    elif words & {"enable", "activate"} or (("on" in words and words & {"turn", "switch"}) or (tagged.tags[-1:] == ["on"])):
        slots["value"] = "on"
    elif words & {"disable", "deactivate", "off"}:
        slots["value"] = "off"


def _key_of(sentence: Sentence) -> str | None:
    text = sentence.text.lower()
    found = re.search(
        r"((?:max(?:imum)?|min(?:imum)?|default|daily|weekly|profit|stop|loss|margin|position|positions"
        r"|delta|drawdown|ticket|quiet|per|data|voice|sector)\b[a-z ]*?)"
        r"(?=\s*(?:\d|\$|to\b|at\b|is\b|setting|set\b|of \d|off\b|on\b|\?|$|please))",
        text,
    )
    if found is None:
        found = re.search(r"(?:setting|settings|limits?)\s+(?:for|of|on|configured for)?\s*([a-z ]{3,30})", text)
    return found[1].strip() if found is not None else None


def _number_or_words(words: str) -> Any:
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*([%x]?)", words.strip().lower())
    if found is None:
        return words.strip()
    return Decimal(found[1]) / (100 if found[2] == "%" else 1)
