"""The slots of what is asked: each command's parameters in normal form, taken from the sentence's symbols, times, figures and words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bot.intent.frames import Frame, asks
from bot.intent.patterns import Match, Tagged
from bot.intent.sentence import Sentence
from bot.intent.slot_alert import alert_slots
from bot.intent.slot_ids import alert_id_slots, order_slots, size_slots, snooze_slots, ticket_slots
from bot.intent.slot_past import backtest_slots, whatif_slots
from bot.intent.slot_settings import settings_slots
from bot.intent.slot_stress import stress_slots
from bot.intent.slot_words import TAILS, captured, help_slots, note_slots, query_slots, topic_slots, trimmed
from bot.intent.structures import HALVES, UNKNOWN
from bot.intent.when import When

SYMBOL = frozenset(
    "positions pnl greeks why quote chain iv earnings news flow scan note alert blacklist wheel optimize backtest mandate".split()
)
STRATEGY = frozenset("why scan backtest optimize mandate pause resume".split())
PERIOD = frozenset("pnl fills journal review attribution calendar".split())
BY = {"pnl": "strategy symbol sector vix greek", "attribution": "strategy symbol sector vix greek", "heatmap": "sector expiry strategy"}
WITH_ACCOUNT = frozenset("status positions pnl fills greeks risk stress heatmap correlation attribution".split())
ACCOUNTS = (
    "ira",
    "roth",
    "roth ira",
    "fidelity",
    "schwab",
    "robinhood",
    "etrade",
    "tastytrade",
    "ibkr",
    "vanguard",
    "webull",
    "merrill",
    "401k",
    "alpaca",
    "tradestation",
    "joint",
    "practice",
)
NEEDS_SYMBOL = frozenset({"quote", "chain", "iv"})
_BY_WORDS = {
    "strategy": "strategy",
    "symbol": "symbol",
    "ticker": "symbol",
    "name": "symbol",
    "underlying": "symbol",
    "stock": "symbol",
    "sector": "sector",
    "industry": "sector",
    "vix": "vix",
    "greek": "greek",
    "theta": "greek",
    "expiry": "expiry",
    "date": "expiry",
    "structure": "strategy",
    "volatility": "vix",
    "symbols": "symbol",
    "<symbol>": "vix",
}


def slots_of(label: str, sentence: Sentence, tagged: Tagged, match: Match | None) -> Frame:
    """The frame of a label that is no order: its slots, or a question for what it cannot do without."""
    slots: dict[str, Any] = {}
    symbols = [
        name for name in sentence.symbols if not (name == "VIX" and label in ("alert", "stress", "vix", "pnl", "attribution", "greeks"))
    ]
    if label in SYMBOL and symbols:
        slots["symbol"] = symbols[0]
    if label in STRATEGY:
        _strategy(slots, sentence)
    if label in PERIOD:
        period = _period(sentence, ahead=label == "calendar")
        if period is not None:
            slots["period"] = period
    if label in BY:
        _by(slots, sentence, tagged, BY[label].split())
    special = _SPECIAL.get(label)
    if special is not None:
        special(slots, sentence, tagged, match)
    account = account_said(sentence) if label in WITH_ACCOUNT else None
    if account is not None:
        slots["account"] = account
        if slots.get("symbol") == "SCHW" and account == "schwab":
            del slots["symbol"]
    problem = _missing(label, slots, sentence, symbols)
    if problem is not None:
        return asks(problem, partial=label, known=slots, choices=tuple(symbols[:4]) if len(symbols) > 1 else ())
    return Frame(label=label, slots=slots)


def _missing(label: str, slots: dict[str, Any], sentence: Sentence, symbols: list[str]) -> str | None:
    if label in NEEDS_SYMBOL and "symbol" not in slots:
        return {"quote": "A quote of which symbol?", "chain": "The chain of which symbol?", "iv": "The volatility of which symbol?"}[label]
    required = {
        "alert": ("metric", "op", "value"),
        "note": ("text",),
        "search_journal": ("query",),
        "explain": ("topic",),
        "whatif": ("change",),
        "drill": ("scenario",),
        "pair": ("code",),
        "confirm": ("ticket",),
        "reprice": ("ticket",),
        "size": ("ticket",),
        "drop": ("ticket",),
        "snooze": ("alert",),
        "ack": ("alert",),
        "backtest": ("strategy", "symbol"),
        "to": ("date",),
    }
    questions = {
        "alert": "An alert on what, above or below which value?",
        "note": "What should the note say?",
        "search_journal": "Search the journal for what?",
        "explain": "Explain which term?",
        "whatif": "Which rule should be changed, as in a target of 25%?",
        "drill": "Which drill: crash, lost connection?",
        "pair": "Which code?",
        "confirm": "Which ticket?",
        "reprice": "Which ticket?",
        "size": "Which ticket?",
        "drop": "Which ticket?",
        "snooze": "Which alert?",
        "ack": "Which alert?",
        "backtest": "Backtest which strategy on which symbol?",
        "to": "Until which day?",
    }
    if any(name not in slots for name in required.get(label, ())):
        return questions[label]
    if label == "cancel" and not slots:
        return "Cancel which order, or all of them?"
    if (
        label == "blacklist"
        and "symbol" not in slots
        and (
            slots.get("action") != "list"
            or (sentence.words & {"it", "that", "this", "them", "him"} and not sentence.words & {"what", "who", "show", "list"})
        )
    ):
        return "Which symbol?"
    return None


def _strategy(slots: dict[str, Any], sentence: Sentence) -> None:
    rights = {token.text.removesuffix("s") for token in sentence.tokens if token.text in ("put", "puts", "call", "calls")}
    sells = sentence.words & {"sell", "selling", "short", "write", "sto"}
    buys = sentence.words & {"buy", "buying", "long", "bto"}
    for token in sentence.of("structure"):
        value = token.value
        if value in HALVES and value != "strangle":
            kind = value.split("_")[0]
            kind = kind if kind in ("put", "call") else next(iter(rights), "")
            money = "debit" if value == "debit_spread" or (buys and not sells) else "credit"
            if kind and (value in ("credit_spread", "debit_spread") or sells or buys):
                slots["strategy"] = f"{kind}_{money}_spread"
        elif value != UNKNOWN:
            slots["strategy"] = value
        return
    if len(rights) == 1 and (sells or buys):
        right = next(iter(rights))
        if sells and right == "put":
            slots["strategy"] = "naked_put"
        elif buys and not sells:
            slots["strategy"] = f"long_{right}"
    elif len(rights) == 1 and "covered" in sentence.words and "call" in rights:
        slots["strategy"] = "covered_call"
    elif sentence.of("shares") and (sells or buys):
        slots["strategy"] = "stock"


def _period(sentence: Sentence, *, ahead: bool) -> str | None:
    for token in sentence.of("time"):
        when: When = token.value
        if ahead and when.ahead is not None and when.named and (when.period is None or len(when.period) == 10):
            return str(when.ahead)
        if ahead and when.period is not None and when.ahead is not None and ".." in when.period and when.period < f"{sentence.today}":
            continue
        if when.period is not None:
            return when.period
    return None


def _by(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, choices: list[str]) -> None:
    tags = tagged.tags
    for place, word in enumerate(tags):
        following = tags[place + 1 : place + 4]
        if word in ("by", "per", "each", "across"):
            skip = following[1:] if following[:1] in (["the"], ["each"], ["every"]) else following
            found = next((_BY_WORDS[each] for each in skip[:1] if each in _BY_WORDS), None)
            if skip[:1] == ["<symbol>"]:
                found = (
                    "vix" if any(token.kind == "symbol" and token.value == "VIX" for token in tagged.tokens[place : place + 4]) else None
                )
            if found in choices:
                slots["by"] = found
                return
        if (
            word in ("which", "what")
            and following[:1]
            and following[0] in ("symbol", "ticker", "sector", "strategy", "name", "underlying")
            and "by" not in slots
        ):
            found = _BY_WORDS[following[0]]
            if found in choices and set(tags) & {
                "made",
                "make",
                "lost",
                "lose",
                "earned",
                "money",
                "cost",
                "most",
                "profit",
                "pnl",
                "best",
                "worst",
            }:
                slots["by"] = found
        if (
            word in ("sector", "expiry", "strategy")
            and word in choices
            and following[:1]
            and following[0]
            in (
                "allocation",
                "breakdown",
                "exposure",
                "concentration",
                "weight",
                "distribution",
                "mix",
                "heatmap",
                "attribution",
                "split",
                "view",
            )
        ):
            slots["by"] = word
        if (
            word in ("delta", "theta", "vega", "gamma", "decay")
            and "greek" in choices
            and set(tags) & {"attribution", "attribute", "drove"}
            and "by" not in slots
        ):
            pass


def _chain(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    rights = {token.text.removesuffix("s") for token in sentence.tokens if token.text in ("put", "puts", "call", "calls")}
    if len(rights) == 1:
        slots["right"] = rights.pop()
    for token in sentence.of("time"):
        when: When = token.value
        if when.days is not None:
            slots["dte"] = when.days
        elif (
            when.ahead is not None
            and (when.named or token.text in ("today", "tomorrow", "monthly", "weekly", "this week", "this month", "weeklies", "monthlies"))
            and not (token.text == "today" and not {"expiring", "expire", "expires", "expiry", "for"} & sentence.words)
        ):
            slots["expiry"] = when.ahead


def account_said(sentence: Sentence) -> str | None:
    """An account named beside another question: "positions in my ira"."""
    found = re.search(
        rf"\b(?:in|on|for|from|of|at)\s+(?:(?:my|the|our)\s+)?({'|'.join(ACCOUNTS)})\b(?:\s+account)?", sentence.text, re.IGNORECASE
    )
    if found is None:
        found = re.search(r"\b(?:in|on|for|from|of)\s+(?:my|the|our)\s+(\w+)\s+account\b", sentence.text, re.IGNORECASE)
    return (
        found[1].lower()
        if found is not None and found[1].lower() not in ("other", "whole", "trading", "entire", "current", "default", "same", "practice_")
        else None
    )


def _blacklist(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    words, text = sentence.words, sentence.text.lower()
    if words & {"off", "remove", "unban", "unblock", "unblacklist", "allow", "whitelist", "permit", "delete", "lift", "un"} or re.search(
        r"\bun-?blacklist|take .* off|\bok again\b|out of the", text
    ):
        slots["action"] = "remove"
    elif "symbol" in slots and not re.search(
        r"\b(?:is|are)\b.*\b(?:on|in)\b.*\b(?:black ?list|ban list|list)\b\s*\??$|^(?:is|are|did)\b", text
    ):
        slots["action"] = "add"
    else:
        slots["action"] = "list"
        slots.pop("symbol", None)


def _mandate(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    words, text = sentence.words, sentence.text.lower()
    if words & {"revoke", "withdraw", "cancel", "remove", "end", "delete"} or re.search(
        r"take .*back|no more auto|stop auto|turn off|disable|\bstop closing\b", text
    ):
        slots["action"] = "revoke"
    elif (
        words & {"list", "show", "which", "what", "active", "any", "have", "see"} and not words & {"grant", "let", "allow"}
    ) or text.strip(" ?.!") in ("mandates", "mandate"):
        slots["action"] = "list"
    else:
        slots["action"] = "grant"
    if slots["action"] == "list":
        slots.pop("strategy", None)


def _pair(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    found = re.findall(r"\b(?=[A-Za-z0-9-]*\d)[A-Za-z0-9-]{4,12}\b", sentence.text)
    if found:
        slots["code"] = found[-1]


def _to(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    for token in sentence.of("time"):
        if token.value.ahead is not None:
            slots["date"] = token.value.ahead


def _drill(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    text = sentence.text.lower()
    before = re.search(r"(?:the|a|an|:|practice|rehearse|run|start|do|practise|try)\s+([a-z][a-z -]{2,40}?)\s+drill", text)
    after = re.search(r"drill\s*(?:for|on|of|about|:|scenario)?\s+(?:the\s+|a\s+|an\s+)?([a-z][a-z -]{2,40})", text)
    other = re.search(
        r"(?:practi[cs]e|rehearse|rehearsal of|dry run(?: of| for)?|emergency)\s*:?\s+(?:for\s+)?(?:a\s+"
        r"|an\s+|the\s+)?([a-z][a-z -]{2,40})",
        text,
    )
    words = (
        after[1]
        if after is not None and after[1].strip() not in ("please", "now", "me", "today")
        else before[1]
        if before is not None
        else other[1]
        if other is not None
        else None
    )
    if words is not None:
        slots["scenario"] = trimmed(
            re.sub(
                r"^(?:emergency|run|do|start|practice|me|through)\s*:?\s+(?=\S)",
                "",
                re.sub(r"\s*(?:drill|please|now)\s*$", "", words.strip()),
            )
        )


def _tax(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    for token in sentence.tokens:
        if token.kind == "number" and 1990 <= token.value <= 2040:
            slots["year"] = int(token.value)
        elif token.kind == "time" and token.value.period is not None:
            years = {part[:4] for part in token.value.period.split("..")}
            if len(years) == 1 and next(iter(years)).isdigit() and ".." in token.value.period:
                slots["year"] = int(next(iter(years)))
            elif token.value.period == "ytd":
                slots["year"] = sentence.today.year


def _account(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    words = captured(slots, "id", sentence, tagged, match)
    slots.pop("id", None)
    if words is None or not sentence.words & {
        "switch",
        "change",
        "use",
        "make",
        "select",
        "choose",
        "set",
        "swap",
        "go",
        "pick",
        "default",
        "move",
        "activate",
    }:
        return
    name = trimmed(
        re.sub(r"\b(?:account|accounts|the|my|default|named|number|to|as)\b", " ", words, flags=re.IGNORECASE),
        tails=TAILS | {"instead", "one"},
    )
    if name and len(name.split()) <= 3:
        slots["id"] = name


def _hedge(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    figure = next((token for token in sentence.tokens if token.kind in ("money", "number")), None)
    if figure is not None and figure.value >= 1:
        slots["budget"] = figure.value


def _kill(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    text = sentence.text.lower()
    if re.search(
        r"\bflat|\bclose (?:out )?(?:everything|all|it all|the book|every)|\bliquidat|\bsell everything"
        r"|\bget (?:me )?out of everything|\bdump everything",
        text,
    ) or sentence.words & {"flatten", "flat"}:
        slots["flatten"] = True


def _review(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    period = slots.get("period")
    if period is not None and period not in ("week", "month"):
        text = sentence.text.lower()
        slots["period"] = "month" if "month" in text else "week" if "week" in text else period


_Special = Callable[[dict[str, Any], Sentence, Tagged, Match | None], None]
_SPECIAL: dict[str, _Special] = {
    "note": note_slots,
    "search_journal": query_slots,
    "explain": topic_slots,
    "help": help_slots,
    "stress": stress_slots,
    "chain": _chain,
    "alert": alert_slots,
    "settings": settings_slots,
    "confirm": ticket_slots,
    "reprice": ticket_slots,
    "drop": ticket_slots,
    "size": size_slots,
    "cancel": order_slots,
    "ack": alert_id_slots,
    "snooze": snooze_slots,
    "blacklist": _blacklist,
    "mandate": _mandate,
    "pair": _pair,
    "to": _to,
    "next": lambda *_: None,
    "drill": _drill,
    "backtest": backtest_slots,
    "whatif": whatif_slots,
    "tax": _tax,
    "account": _account,
    "hedge": _hedge,
    "kill": _kill,
    "review": _review,
}
