"""Which words name a structure: the desk's own strategies, halves of a name that a side completes, and structures the desk does not trade.

"put spread" is a credit spread when sold and a debit spread when bought; "bull put" says its side by itself. A structure that the desk
does not trade is known by name so that it is never taken for a neighbour: a straddle is no strangle, a naked call no covered one.
"""

from __future__ import annotations

from functools import cache

from bot.intent.slang import DATA
from bot.intent.tokens import Token

UNKNOWN = "untraded"  # a structure with a name, which the desk does not trade
HALVES = frozenset({"put_spread", "call_spread", "credit_spread", "debit_spread", "vertical", "strangle", "put_vertical", "call_vertical"})


@cache
def _phrases() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for line in (DATA / "structures.txt").read_text(encoding="utf-8").splitlines():
        value, _, rest = line.partition(": ")
        for phrase in rest.split(", ") if not line.startswith("#") else ():
            words = tuple(phrase.split())
            found.setdefault(words[0], []).append((words, value))
    for rows in found.values():
        rows.sort(key=lambda row: -len(row[0]))
    return found


def words() -> set[str]:
    """Every word of the table, for the closed vocabulary."""
    return {word for rows in _phrases().values() for phrase, _ in rows for word in phrase}


def join_structures(tokens: list[Token]) -> list[Token]:
    """The tokens with structures made one token each, kind "structure"; a plural is the same structure."""
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        size, value = _structure_at(tokens, place)
        if size == 0:
            found.append(tokens[place])
            place += 1
            continue
        first, last = tokens[place], tokens[place + size - 1]
        raw = " ".join(token.raw for token in tokens[place : place + size])
        text = "<shares>" if value == "shares" else "<strategy>"
        found.append(Token(text, raw, first.start, last.end, "shares" if value == "shares" else "structure", value))
        place += size
    return found


def _structure_at(tokens: list[Token], place: int) -> tuple[int, str]:
    first = tokens[place]
    if first.kind not in ("word", "contract_word"):
        return 0, ""
    for phrase, value in _phrases().get(_singular(first.text), ()):
        size = len(phrase)
        if all(
            _singular(token.text) == word for token, word in zip(tokens[place : place + size], phrase, strict=False)
        ) and place + size <= len(tokens):
            if value == "vertical" and phrase == ("spread",) and not _is_structure(tokens, place):
                continue
            if phrase[-1] == "ratio" and not _trade_near(tokens, place, "ratio"):
                continue
            if phrase in (
                ("condor",),
                ("calendar",),
                ("collar",),
                ("future",),
                ("futures",),
                ("coin",),
                ("strip",),
                ("box",),
                ("reversal",),
                ("ladder",),
            ) and not _trade_near(tokens, place, phrase[0]):
                continue
            return size, value
    return 0, ""


def _singular(word: str) -> str:
    if word in ("pcs", "ccs", "pds", "cds", "bps", "ics", "csps", "nps", "shs", "guts", "futures"):
        return {"ics": "ic", "csps": "csp", "nps": "np"}.get(word, word)
    if word.endswith("flies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _is_structure(tokens: list[Token], place: int) -> bool:
    """Whether "spread" is a trade here and not the distance from bid to ask."""
    near = {token.text for token in tokens[max(0, place - 3) : place + 3]}
    return not near & {"ask", "bid", "wide", "tight", "max", "maximum", "liquidity"} or any(token.kind == "pair" for token in tokens)


def _trade_near(tokens: list[Token], place: int, word: str) -> bool:
    """Whether an ordinary word is a structure here: a symbol or a number stands in the sentence, and not as a day on a calendar."""
    kinds = {token.kind for token in tokens}
    before = tokens[place - 1].text if place else ""
    if word == "calendar":
        if {"on", "economic", "earnings", "market", "event", "events", "fed"} & {
            token.text for token in tokens[max(0, place - 2) : place]
        } and ("pair" not in kinds and before in ("the", "economic", "earnings", "market", "event", "events", "fed")):
            return False
        return (
            bool(kinds & {"symbol", "pair", "contract"})
            or tokens[place].text == "calendars"
            or (place > 0 and before in ("put", "call", "a", "pause", "resume", "stop"))
        )
    if word in ("future", "futures") and any(token.kind == "symbol" and token.value == "VIX" for token in tokens):
        return False
    if word in ("future", "futures", "coin", "strip", "box", "reversal", "ladder", "collar", "ratio"):
        verbs = {"sell", "buy", "sto", "bto", "open", "put", "trade", "long", "short", "get", "do"}
        return bool({token.text for token in tokens if token.text != "put" or word != "ratio"} & verbs) and (
            word != "ratio" or "delta" not in {t.text for t in tokens}
        )
    return True
