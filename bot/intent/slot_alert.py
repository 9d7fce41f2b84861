"""Slots of an alert: what is watched, above or below which value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bot.intent.patterns import Match, Tagged
from bot.intent.sentence import Sentence
from bot.intent.tokens import Token


def alert_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    words = sentence.words
    tokens = sentence.tokens
    figure = next((token for token in reversed(tokens) if token.kind in ("number", "percent", "money") and not token.ordinal), None)
    if figure is None:
        half = "half" in words
        figure = Token("<percent>", "50%", 0, 0, "percent", Decimal("0.5")) if half else None
    names_vix = any(token.kind == "symbol" and token.value == "VIX" for token in sentence.tokens) or "vix" in words
    metric = None
    if "margin" in words or "buyingpower" in words:
        metric = "margin"
    elif (
        words & {"ivpercentile", "ivrank", "percentile"}
        or ("iv" in words and figure is not None and figure.kind == "percent")
        or "iv" in words
    ):
        metric = "iv_percentile"
    elif "delta" in words:
        metric = "delta"
    elif names_vix and not [name for name in sentence.symbols if name != "VIX"]:
        metric = "vix"
    elif (
        figure is not None
        and figure.kind == "percent"
        and (
            words
            & {
                "trade",
                "position",
                "condor",
                "spread",
                "put",
                "puts",
                "call",
                "calls",
                "profit",
                "loss",
                "pnl",
                "credit",
                "made",
                "makes",
                "loses",
                "losing",
                "gain",
                "down",
                "up",
                "strangle",
                "trades",
                "positions",
            }
            or sentence.of("structure")
        )
    ):
        metric = "pnl_pct"
    elif figure is not None and sentence.symbols:
        metric = "price"
    if metric is None or figure is None:
        return
    slots["metric"] = metric
    value = figure.value
    loses = bool(words & {"loses", "lose", "losing", "loss", "down", "lost", "losses", "negative", "red", "minus"})
    op = _op(sentence, metric)
    if metric == "pnl_pct":
        value = value if figure.kind == "percent" else value / 100 if value > 5 else value
        value = -abs(value) if loses else value
        op = "below" if loses else "above" if op is None or words & {"up", "profit", "made", "makes", "gain", "reaches", "hits"} else op
    elif metric in ("iv_percentile", "margin"):
        value = value if figure.kind == "percent" or value <= 1 else value / 100
    elif metric == "delta":
        value = value / 100 if value > 1 else value
    elif metric == "price" and figure.kind == "percent":
        del slots["metric"]
        return
    if op is None:
        op = "above" if metric in ("delta", "margin") else None
    if op is not None:
        slots["op"] = op
    slots["value"] = value


_ABOVE = frozenset(
    "above over exceeds exceed beyond past rises rise up higher more greater breaks > tops hits_up crosses "
    "climbs climb reaches reach breaches gets_up least jumps"
    " jump surpasses goes_up rallies rally spikes spike clears takes_out breakout upside top".split()
)
_BELOW = frozenset(
    "below under beneath less lower falls fall drops drop down dips dip < cheaper sinks sink slips slip "
    "loses lose underneath breaks_down tanks downside goes_down"
    " crashes crash declines touches_down bottom plunges plunge slides tumbles".split()
)


def _op(sentence: Sentence, metric: str) -> str | None:
    texts = [token.text for token in sentence.tokens]
    above = [place for place, text in enumerate(texts) if text in _ABOVE]
    below = [place for place, text in enumerate(texts) if text in _BELOW]
    figures = [place for place, token in enumerate(sentence.tokens) if token.kind in ("number", "percent", "money")]
    if above and below:
        last = figures[-1] if figures else len(texts)
        strong_above = [place for place in above if texts[place] in ("above", "over", ">", "past", "exceeds", "beyond", "upside")]
        strong_below = [place for place in below if texts[place] in ("below", "under", "<", "beneath", "less", "downside")]
        if strong_above and not strong_below:
            return "above"
        if strong_below and not strong_above:
            return "below"
        return "above" if abs(max(above) - last) < abs(max(below) - last) else "below"
    if above:
        return "above"
    if below:
        return "below"
    if set(texts) & {"hits", "hit", "reaches", "touches", "gets", "crosses", "reach", "at"}:
        return "above" if metric in ("vix", "delta", "margin", "pnl_pct", "iv_percentile") else None
    return None
