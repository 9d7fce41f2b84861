"""Slots that name a thing by its id: a ticket, an order, an alert."""

from __future__ import annotations

import re
from typing import Any

from bot.intent.patterns import Match, Tagged
from bot.intent.sentence import Sentence


def _name_after(sentence: Sentence, leads: frozenset[str]) -> str | None:
    """An id said after one of some words, or by its form: #17, K7Q2, order no. 41."""
    tokens = sentence.tokens
    for token in tokens:
        if token.kind == "id":
            return str(token.value)
    for place, token in enumerate(tokens):
        before = [
            other.text
            for other in tokens[max(0, place - 3) : place]
            if other.text not in (".", "no", "number", "nr", "id", "the", "#", ":", "with", "num")
        ]
        if before and before[-1] in leads:
            if token.kind == "number" and not token.spelled:
                return token.raw.lstrip("0") or token.raw
            if re.fullmatch(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{2,12}", token.raw) and token.kind in ("word", "other", "code"):
                return token.raw
    numbered = re.search(r"\b(?:no\.?|number|nr\.?|num)\s*#?(\d+)\b", sentence.text, re.IGNORECASE)
    if numbered is not None:
        return numbered[1]
    for token in tokens:
        if token.kind in ("word", "other") and re.fullmatch(r"(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[A-Za-z])[A-Z0-9]{4,12}", token.raw):
            return token.raw
    return None


def ticket_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    raw = re.search(
        r"\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z][A-Z0-9]{2,11}\b|\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[0-9][A-Z0-9]{2,11}\b", sentence.text
    )
    named = (
        raw[0]
        if raw is not None
        else _name_after(sentence, frozenset({"ticket", "card", "confirm", "reprice", "drop", "size", "requote", "discard", "approve"}))
    )
    if named is not None:
        slots["ticket"] = named


def size_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    ticket_slots(slots, sentence, tagged, match)
    numbers = [
        token for token in sentence.of("number") if token.raw != slots.get("ticket") and token.value == int(token.value) and token.value > 0
    ]
    if numbers:
        slots["quantity"] = int(numbers[-1].value)


def order_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    named = _name_after(sentence, frozenset({"order", "cancel", "pull", "scratch", "withdraw", "number", "no"}))
    plural = {"orders", "everything", "all", "every", "bids", "offers", "any", "whatever", "anything"} & sentence.words
    digits = [token for token in sentence.of("number") if not token.spelled]
    if named is None and not plural and len(digits) == 1 and re.search(rf"^{digits[0].raw}\b|\b{digits[0].raw} order\b", sentence.text):
        named = digits[0].raw
    if named is not None and not (plural and not any(token.kind == "id" for token in sentence.tokens) and "order" not in sentence.words):
        slots["order_id"] = named
    elif plural or sentence.words & {"working", "pending", "resting", "unfilled", "outstanding"}:
        slots["scope"] = "all"


def alert_id_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    named = _name_after(
        sentence,
        frozenset({"alert", "alarm", "ack", "acknowledge", "snooze", "mute", "silence", "warning", "number", "acknowledged", "reminder"}),
    )
    if named is None:
        named = next((token.raw for token in sentence.of("number") if not token.spelled), None)
    if named is not None:
        slots["alert"] = named
    elif len(sentence.symbols) == 1:
        slots["alert"] = sentence.symbols[0]


def snooze_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    alert_id_slots(slots, sentence, tagged, match)
    text = sentence.text.lower()
    length = re.search(r"\b(\d+(?:\.\d+)?)\s*(m|min|mins|minutes?|h|hrs?|hours?|d|days?)\b", text)
    if length is not None:
        slots["for"] = f"{length[1]}{length[2][0]}"
    else:
        spelled = {
            "an hour": "1h",
            "one hour": "1h",
            "half an hour": "30m",
            "two hours": "2h",
            "a day": "1d",
            "one day": "1d",
            "three hours": "3h",
            "thirty minutes": "30m",
            "ten minutes": "10m",
            "fifteen minutes": "15m",
            "until tomorrow": "1d",
            "four hours": "4h",
            "a couple of hours": "2h",
        }
        found = next((value for words, value in spelled.items() if words in text), None)
        if found is not None:
            slots["for"] = found
    if (
        length is not None
        and slots.get("alert") == length[1]
        and not re.search(rf"\b(?:alert|snooze|mute|alarm)\s+#?{length[1]}\b(?!\s*(?:m|h|d))", text)
    ):
        del slots["alert"]
