"""Labelled sentences: how they are read, checked, and brought to the form in which two answers are compared.

`dev` is for building a parser, `frozen` for judging it; whoever writes a parser leaves `frozen` closed. The labelling itself is
described in `test_sentences.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from core.command import STRATEGIES

FOLDER = Path(__file__).parent
ENDINGS = ("smalltalk", "out_of_scope", "ambiguous")  # what a sentence may be besides a command

_CHOICES: dict[str, tuple[str, ...]] = {
    "strategy": STRATEGIES,
    "right": ("put", "call"),
    "side": ("buy", "sell"),
    "scope": ("all",),
    "direction": ("down", "out", "down_and_out", "up", "up_and_out"),
    "metric": ("price", "pnl_pct", "delta", "vix", "iv_percentile", "margin"),
    "op": ("above", "below"),
    "change": ("hold_to_expiry", "dte", "profit_target", "stop", "delta"),
}
_COUNTS = ("quantity", "dte", "far_dte", "year")
_DAYS = ("expiry", "far_expiry", "when", "start", "end", "date")
_POSITIVE = ("width", "limit", "price", "delta", "stop", "budget", "profit_target", "fraction")
_SIGNED = ("spot_pct", "vix_points")
_WORDS = ("position_id", "order_id", "ticket", "alert", "code", "id", "account", "text", "query", "topic", "scenario", "key", "for")
_LOOSE = ("topic", "key", "scenario")
_SYMBOL = re.compile(r"/?[A-Z][A-Z0-9]{0,5}(\.[A-Z])?")
_PERIODS = ("today", "yesterday", "week", "month", "ytd", "year", "all")

# Parameters by command, in the names of the command table; every command also takes `account`.
PARAMETERS: dict[str, str] = {
    "status": "", "positions": "symbol", "pnl": "period symbol by", "fills": "period", "greeks": "symbol", "risk": "",
    "why": "symbol strategy", "stress": "spot_pct vix_points scenario", "vix": "", "regime": "", "correlation": "", "heatmap": "by",
    "quote": "symbol", "chain": "symbol expiry dte right", "iv": "symbol", "earnings": "symbol", "calendar": "period", "news": "symbol",
    "flow": "symbol", "sectors": "", "scan": "symbol strategy", "plan": "",
    "open": "strategy symbol quantity dte expiry far_dte far_expiry right side delta strikes width limit",
    "close": "symbol position_id scope quantity fraction limit",
    "roll": "symbol position_id direction dte quantity fraction limit", "hedge": "budget", "confirm": "ticket", "reprice": "ticket",
    "size": "ticket quantity", "drop": "ticket", "cancel": "order_id scope",
    "log_trade": "side strategy symbol strikes right quantity expiry price when",
    "note": "text symbol", "journal": "period", "search_journal": "query", "review": "period", "attribution": "period by", "streak": "",
    "alert": "symbol metric op value", "alerts": "", "pause": "strategy", "resume": "strategy", "halt": "", "unhalt": "",
    "kill": "flatten", "blacklist": "action symbol", "mandate": "action strategy symbol", "settings": "key value", "ack": "alert",
    "snooze": "alert for", "pair": "code", "next": "date", "to": "date", "drill": "scenario", "config": "",
    "backtest": "strategy symbol start end dte delta profit_target stop", "whatif": "change value", "optimize": "strategy symbol",
    "wheel": "symbol", "tax": "year", "readiness": "", "ml": "", "explain": "topic", "help": "topic",
}  # fmt: skip
_REQUIRED: dict[str, str] = {
    "quote": "symbol", "chain": "symbol", "iv": "symbol", "open": "strategy symbol", "confirm": "ticket", "reprice": "ticket",
    "size": "ticket", "drop": "ticket", "log_trade": "side symbol price", "note": "text", "search_journal": "query",
    "alert": "metric op value", "blacklist": "action", "mandate": "action", "pair": "code", "drill": "scenario",
    "backtest": "strategy symbol", "whatif": "change", "explain": "topic", "ack": "alert", "snooze": "alert",
}  # fmt: skip
PARAMETERS["account"] = "id"

# What a structure says by itself: its side and its right. Naming them again adds nothing.
_IMPLIED: dict[str, tuple[str, str]] = {
    "naked_put": ("sell", "put"), "cash_secured_put": ("sell", "put"), "put_credit_spread": ("sell", "put"),
    "call_credit_spread": ("sell", "call"), "iron_condor": ("sell", ""), "short_strangle": ("sell", ""), "covered_call": ("sell", "call"),
    "protective_put": ("buy", "put"), "long_put": ("buy", "put"), "long_call": ("buy", "call"), "put_debit_spread": ("buy", "put"),
    "call_debit_spread": ("buy", "call"), "calendar": ("buy", ""), "diagonal": ("buy", ""),
}  # fmt: skip
_SINGLES = {("sell", "naked_put"): "put", ("buy", "long_put"): "put", ("buy", "long_call"): "call"}
_SHORT = 20  # letters
_FILLERS = frozenset({"a", "an", "the", "my", "your", "our", "is", "are", "of", "for", "on", "to"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One labelled sentence. `also` names further labels that count as right, where the text leaves it open."""

    id: str
    text: str
    label: str
    slots: Mapping[str, Any]
    context: tuple[Mapping[str, str], ...] = ()
    today: str | None = None
    also: tuple[str, ...] = field(default=())

    @property
    def said(self) -> str:
        """All that was said, as one line of plain lower-case words: equal for texts that differ in dress only."""
        words = " ".join((*(turn["text"] for turn in self.context), self.text))
        return " ".join(re.findall(r"[a-z]+|\d+(?:[.,:/]\d+)*|[@Δ%#]", words.lower())) or words.strip()


def read(half: str) -> tuple[Sentence, ...]:
    """All sentences of a half, in the order of its files; raises where a line has a key that is none of a sentence's."""
    files = sorted((FOLDER / half).glob("*.jsonl"))
    return tuple(_sentence(json.loads(line)) for file in files for line in file.read_text(encoding="utf-8").splitlines())


def canonical(label: str, slots: Mapping[str, Any]) -> dict[str, Any]:
    """The slots as they are compared: without what others imply, numbers as floats, words without case, articles and commas.

    An ending has no slots to compare. `open iron_condor side=sell` is `open iron_condor`; a logged sale of a naked_put is a sale of a
    put; `"60%"` is 0.6.
    """
    if label in ENDINGS:
        return {}
    kept = {name: value for name, value in slots.items() if value is not None}
    strategy = kept.get("strategy", "")
    if label == "open":
        side, right = _IMPLIED.get(strategy, ("", ""))
        kept = {name: value for name, value in kept.items() if (name, value) not in (("side", side), ("right", right))}
    if label == "log_trade":
        single = _SINGLES.get((kept.get("side", ""), strategy))
        if single:
            kept = {**kept, "right": single}
            del kept["strategy"]
        else:
            implied = _IMPLIED.get(strategy, ("", ""))[1]
            kept = {name: value for name, value in kept.items() if (name, value) != ("right", implied)}
    return {name: _plain(name, value) for name, value in kept.items()}


def is_right(sentence: Sentence, label: str, slots: Mapping[str, Any]) -> bool:
    """Whether an answer is the sentence's whole frame: its label with all its slots and no other, or a label in `also`.

    Topics, keys and scenarios are right where the words of one contain those of the other: "pause" for "pause the desk".
    """
    if label != sentence.label:
        return label in sentence.also
    said, meant = canonical(label, slots), canonical(label, sentence.slots)
    return said.keys() == meant.keys() and all(_same(name, said[name], value) for name, value in meant.items())


def problems(sentence: Sentence) -> list[str]:
    """What is wrong with a line, in words; empty for a sound one."""
    unknown = [label for label in (sentence.label, *sentence.also) if not _is_label(label)]
    if unknown:
        return [f"{sentence.id}: label {label} is not in the table" for label in unknown]
    allowed = {*PARAMETERS.get(sentence.label, "").split(), *(("account",) if sentence.label in PARAMETERS else ())}
    found = [f"{name} is no parameter of {sentence.label}" for name in sentence.slots if name not in allowed]
    found += [f"{name} is missing" for name in _REQUIRED.get(sentence.label, "").split() if name not in sentence.slots]
    found += [f"{name} is not of its form: {value!r}" for name, value in sentence.slots.items() if not _fits(sentence.label, name, value)]
    if sentence.today is not None and not _is_day(sentence.today):
        found.append("today is no date")
    if any(set(turn) != {"role", "text"} or turn["role"] not in ("user", "bot") for turn in sentence.context):
        found.append("a turn of the context has a role and a text")
    if not sentence.text.strip():
        found.append("nothing is said")
    return [f"{sentence.id}: {what}" for what in found]


def doubles(sentences: Iterable[Sentence], *, alike: float = 93.0) -> list[tuple[str, str]]:
    """Pairs of ids whose words are the same, or nearly (by share of equal letters, in percent); of short lines only the same ones.

    "roll V" and "roll T" are two sentences; "sell 2 spy puts at 480, jan 16" and "sell 3 spy puts at 480, jan 16" are one.
    """
    from rapidfuzz import fuzz, process

    said = [(one.id, one.said) for one in sentences]
    found = []
    for place, (name, words) in enumerate(said):
        later = [other for _, other in said[place + 1 :]]
        close = process.extract(words, later, scorer=fuzz.ratio, score_cutoff=alike, limit=None)
        found += [(name, said[place + 1 + index][0]) for other, _, index in close if words == other or len(words) > _SHORT]
    return found


def _same(name: str, said: Any, meant: Any) -> bool:
    if name not in _LOOSE or not isinstance(said, str) or not isinstance(meant, str):
        return bool(said == meant)
    one, other = set(said.split()), set(meant.split())
    return bool(one) and bool(other) and (one <= other or other <= one)


def _sentence(row: dict[str, Any]) -> Sentence:
    return Sentence(**{**row, "also": tuple(row.get("also", ())), "context": tuple(row.get("context", ()))})


def _is_label(label: str) -> bool:
    return label in PARAMETERS or label in ENDINGS


def _fits(label: str, name: str, value: Any) -> bool:
    if label == "mandate" and name == "action":
        return value in ("grant", "revoke", "list")
    if name == "action":
        return value in ("add", "remove", "list")
    if name == "by":
        wanted = "sector expiry strategy" if label == "heatmap" else "strategy symbol sector vix greek"
        return value in wanted.split()
    if name == "value":
        return _fits_value(label, value)
    if name in _CHOICES:
        return value in _CHOICES[name]
    if name in _COUNTS:
        return type(value) is int and (value > 0 or (name == "dte" and value == 0))
    if name in _POSITIVE:
        return _is_number(value) and value > 0 and (name not in ("delta", "fraction", "profit_target") or value <= 1)
    return _fits_words(name, value)


def _fits_words(name: str, value: Any) -> bool:
    if name in _DAYS:
        return _is_day(value)
    if name in _SIGNED:
        return _is_number(value) and value != 0 and (name != "spot_pct" or -1 < value < 1)
    if name == "strikes":
        return isinstance(value, list) and value != [] and all(map(_is_number, value)) and value == sorted(set(value)) and value[0] > 0
    if name == "symbol":
        return isinstance(value, str) and _SYMBOL.fullmatch(value) is not None
    if name == "period":
        return isinstance(value, str) and (value in _PERIODS or all(map(_is_day, value.split("..", 1))))
    if name == "flatten":
        return value is True
    return name in _WORDS and isinstance(value, str) and value.strip() == value != "" and not value.startswith("#")


def _fits_value(label: str, value: Any) -> bool:
    return _is_number(value) or (label == "settings" and isinstance(value, str) and value.strip() != "")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return round(float(value), 6)
    if isinstance(value, list | tuple):
        return tuple(round(float(one), 6) for one in value)
    if name == "value":
        return _number_in(str(value))
    if name in _WORDS:
        words = re.findall(r"[^\W_]+(?:[.%][^\W_]+)*%?", str(value).lower().replace("'s ", " "))
        return " ".join(word for word in words if word not in _FILLERS) or str(value).lower()
    return value


def _number_in(words: str) -> float | str:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([%x]?)", words.strip().lower())
    if match is None:
        return words.strip().lower()
    return round(float(match[1]) / (100 if match[2] == "%" else 1), 6)
