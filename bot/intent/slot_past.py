"""Slots of what is asked of the past: a backtest's parameters, the rule that is changed in a what-if."""

from __future__ import annotations

from typing import Any

from bot.intent.patterns import Match, Tagged
from bot.intent.sentence import Sentence
from bot.intent.when import When


def backtest_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    tokens = sentence.tokens
    for place, token in enumerate(tokens):
        texts = [other.text for other in tokens[max(0, place - 3) : place + 4]]
        if token.kind == "time":
            when: When = token.value
            if when.days is not None:
                slots["dte"] = when.days
            elif when.period is not None and ".." in when.period:
                start, end = when.period.split("..")
                slots["start"] = start
                if not when.since and not (place and tokens[place - 1].text in ("from", "since", "starting")):
                    slots["end"] = end
            elif when.back is not None and when.since:
                slots["start"] = when.back
        elif token.kind == "percent":
            after, before = texts, [other.text for other in tokens[max(0, place - 3) : place]]
            behind = [other.text for other in tokens[place + 1 : place + 3]]
            if "stop" in behind[:2] or "loss" in behind[:2] or ("stop" in before and "target" not in behind and "profit" not in behind):
                slots["stop"] = token.value
            elif set(after) & {"target", "profit", "profits", "tp", "winner", "winners"}:
                slots["profit_target"] = token.value
        elif token.kind == "number":
            following = tokens[place + 1].text if place + 1 < len(tokens) else ""
            before_text = tokens[place - 1].text if place else ""
            if following == "delta" or before_text == "delta" or (following == "d" and token.value <= 50):
                slots["delta"] = token.value / 100 if token.value >= 1 else token.value
            elif following == "x" or (before_text in ("stop", "at") and "stop" in texts and token.value <= 10):
                slots["stop"] = token.value
            elif following == "d":
                slots["dte"] = int(token.value)
    if "end" in slots and slots["end"] == str(sentence.today):
        del slots["end"]


def whatif_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    words = sentence.words
    figure = next((token for token in reversed(sentence.tokens) if token.kind in ("percent", "number")), None)
    days = next((token.value.days for token in sentence.of("time") if token.value.days is not None), None)
    if days is not None:
        slots.update(change="dte", value=days)
    elif "delta" in words and figure is not None:
        slots.update(
            change="delta",
            value=figure.value / 100 if figure.value > 1 or (figure.kind == "number" and figure.value >= 1) else figure.value,
        )
    elif words & {"stop", "stops", "stopped", "sl", "loss"} and figure is not None:
        slots.update(change="stop", value=figure.value)
    elif words & {"target", "profit", "profits", "targets", "tp", "winners", "gain", "gains"} and figure is not None:
        slots.update(change="profit_target", value=figure.value)
    elif words & {
        "held",
        "hold",
        "kept",
        "keep",
        "holding",
        "expiry",
        "early",
        "waited",
        "expire",
        "ride",
        "keeping",
        "never",
        "let",
        "longer",
    }:
        slots["change"] = "hold_to_expiry"
    elif figure is not None and figure.kind == "percent" and words & {"closed", "taken", "took", "exited", "out", "take"}:
        slots.update(change="profit_target", value=figure.value)
