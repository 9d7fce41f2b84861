"""Slots of a stress question: how far the market moves, by how many points the VIX, or which crash of the past."""

from __future__ import annotations

import re
from typing import Any

from bot.intent.patterns import Match, Tagged, lemma
from bot.intent.sentence import Sentence
from bot.intent.tokens import Token

_DOWN = frozenset(
    "down drop dropped fall falls fell crash crashes tank tanks plunge decline lose lost loses sink sell "
    "selloff tumble dump slide dip correction correct"
    " lower minus bear collapse melt gap worse cut minus - slump slumps shed sheds crashed crater craters".split()
)
_UP = frozenset("melt squeeze".split()) | frozenset(
    "up rally rallies rise rises gain gains jump jumps surge surges climb climbs higher bounce rip soar "
    "soars moon plus + melt-up increase pop pops spike".split()
)


def stress_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    tokens = sentence.tokens
    vol = [
        place
        for place, token in enumerate(tokens)
        if token.text in ("vix", "vol", "volatility", "iv") or (token.kind == "symbol" and token.value in ("VIX",))
    ]
    for place, token in enumerate(tokens):
        if token.kind == "percent":
            if vol and min(vol) < place and _nearest_is_vol(tokens, place, vol):
                continue
            sign = _sign(tokens, place, token)
            slots["spot_pct"] = sign * abs(token.value)
        elif (
            token.kind == "number"
            and vol
            and min(vol) < place + 3
            and _nearest_is_vol(tokens, place, vol)
            and not _is_level(tokens, place)
            and not (min(vol) > place and tokens[place + 1].text in ("and", ","))
        ):
            slots["vix_points"] = _sign(tokens, place, token, default=1) * abs(token.value)
        elif token.kind == "number" and "spot_pct" not in slots and _says_move(tokens, place):
            slots["spot_pct"] = _sign(tokens, place, token) * abs(token.value) / 100
    if "spot_pct" in slots and abs(slots["spot_pct"]) >= 1:
        del slots["spot_pct"]
    scenario = _scenario(sentence)
    if scenario and not ("spot_pct" in slots and scenario == "crash"):
        slots["scenario"] = scenario


def vol_near(tokens: list[Token], place: int) -> bool:
    """Whether a number is said of the VIX."""
    return any(token.text == "vix" or (token.kind == "symbol" and token.value == "VIX") for token in tokens[max(0, place - 3) : place + 3])


def _nearest_is_vol(tokens: list[Token], place: int, vol: list[int]) -> bool:
    """Whether the thing named nearest to a figure, before it first, is volatility and not the market."""
    market = [
        index
        for index, token in enumerate(tokens)
        if token.text
        in ("market", "stock", "stocks", "spot", "index", "everything", "spx", "spy", "shares", "equities", "underlying", "price")
        or (token.kind == "symbol" and token.value != "VIX")
        or token.kind == "shares"
    ]

    def distance(index: int) -> float:
        return place - index if index < place else (index - place) * (1.0 if index - place <= 2 else 3.0) + 0.5

    nearest_vol = min((distance(index) for index in vol), default=99.0)
    nearest_market = min((distance(index) for index in market), default=50.0)
    directions = [index for index, token in enumerate(tokens[:place]) if token.text in _DOWN | _UP and not market]
    if not market and directions and min(place - index for index in directions) < nearest_vol and directions[-1] < min(vol):
        return False
    if min(vol) > place:
        return False
    return nearest_vol < nearest_market


def _is_level(tokens: list[Token], place: int) -> bool:
    before = [token.text for token in tokens[max(0, place - 2) : place]]
    following = [token.text for token in tokens[place + 1 : place + 2]]
    if (following and following[0] in ("points", "point", "pts", "vols", "handles")) or tokens[place].raw[:1] in "+-":
        return False
    return bool(
        set(before) & {"at", "to", "is", "hits", "hit", "reaches", "of", "was", "above", "over", "below", "under", "=", "reach", "past"}
    ) and before[-1:] != ["by"]


def _says_move(tokens: list[Token], place: int) -> bool:
    before = [token.text for token in tokens[max(0, place - 2) : place]]
    return (bool(before) and before[-1] in ("down", "up", "minus", "plus", "drop", "drops", "-", "+")) or tokens[place].raw[:1] in "+-"


def _sign(tokens: list[Token], place: int, token: Token, *, default: int = -1) -> int:
    if token.raw.startswith("-") or token.value < 0:
        return -1
    if token.raw.startswith("+"):
        return 1
    for distance in range(1, 8):
        index = place - distance
        if index < 0:
            break
        word = lemma(tokens[index].text)
        if word in ("-",):
            return -1
        if word in _UP and word != "gap":
            return 1
        if word in _DOWN:
            if word == "gap":
                continue
            return -1
        if tokens[index].kind in ("percent", "number") and distance > 1:
            break
    for index in range(place + 1, min(place + 4, len(tokens))):
        word = lemma(tokens[index].text)
        if word in _UP:
            return 1
        if word in _DOWN:
            return -1
    return default


_SCENARIOS = (
    "covid crash",
    "covid",
    "black monday",
    "flash crash",
    "financial crisis",
    "great financial crisis",
    "volmageddon",
    "dot com",
    "dotcom crash",
    "dotcom",
    "lehman",
    "gfc",
    "2008 crisis",
    "1987 crash",
    "2020 crash",
    "march 2020",
    "february 2018",
    "august 2015",
    "black swan",
    "yen carry",
    "great depression",
    "oil crash",
)


def _scenario(sentence: Sentence) -> str | None:
    text = sentence.text.lower()
    named = next((name for name in sorted(_SCENARIOS, key=len, reverse=True) if re.search(rf"\b{name}\b", text)), None)
    if named is not None:
        return named
    year = re.search(r"\b(1929|1987|1998|2000|2001|2008|2010|2011|2015|2018|2020|2022)\b(?:\s+(crash|crisis|selloff|bear market))?", text)
    if year is not None and re.search(r"scenario|crash|crisis|replay|run|repeat|again|style|like|test", text):
        return f"{year[1]} {year[2]}" if year[2] else year[1]
    words = re.search(r"scenario\s+(?:of\s+|called\s+|named\s+|for\s+)?([a-z][\w -]{2,40})$", text.strip(" ?!."))
    if words is not None and not re.search(r"\b(my|table|on|please|set|for|analysis|book|list|now|today)\b", words[1]):
        return words[1].strip()
    other = re.search(r"(?:run|do|show|apply|replay|play|try|test)\s+(?:me\s+)?(?:the\s+|a\s+)?([a-z][\w -]{2,30}?)\s+scenario", text)
    if other is not None and not re.search(
        r"\b(stress|full|nightly|my|all|standard|usual|worst|case|different|new|own|every|some)\b", other[1]
    ):
        return other[1].strip()
    return None
