"""Orders about what is held: its closing, whole or in part, and its rolling.

Worked example: "take half off the qqq trade" is close QQQ, fraction 0.5; "roll it down and out 30 days" asks which position unless one was
spoken of. What is said of strike, right or expiry only says which trade is meant.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bot.intent.figures import PARTS, FigureReader, Figures
from bot.intent.frames import Frame, asks
from bot.intent.orders import in_account, or_better, pair_in, symbols_of, words_of
from bot.intent.sentence import Sentence
from bot.intent.tokens import Token
from bot.intent.words import CLOSE, CONDITIONS, FILLERS, vocabulary

# Words that may stand beside "everything" when all that is open is to be closed.
_OF_ALL = frozenset(
    "everything all positions position trades trade book portfolio rest entire whole every exposure account "
    "before weekend friday expiry close once holdings options".split()
)


def close_order(sentence: Sentence, tokens: list[Token]) -> Frame:
    """The closing of what is held."""
    if {"sto", "bto"} & words_of(tokens) or (
        ("close" in words_of(tokens) or "stc" in words_of(tokens) or "btc" in words_of(tokens))
        and pair_in([token.text for token in tokens], ("and", "open"))
    ):
        return asks("Is it to be opened or closed?", choices=("open", "close"))
    account = in_account(tokens)
    figures = FigureReader(tokens, structure="option", closing=True).read()
    symbols = symbols_of(sentence, tokens)
    slots: dict[str, Any] = {} if account is None else {"account": account}
    everything = any(token.text == "everything" for token in tokens) or _all_positions(tokens)
    _which(slots, figures, symbols, tokens, sentence)
    _part(slots, figures, tokens)
    if figures.price is not None:
        slots["limit"] = figures.price
    problem = (
        _condition(tokens) or (len(symbols) > 1 and f"Which one first: {' or '.join(symbols[:4])}?") or _clash(figures) or _strange(tokens)
    )
    if problem:
        return asks(str(problem), partial="close", known=slots, choices=tuple(symbols[:4]) if len(symbols) > 1 else ())
    if "symbol" not in slots and "position_id" not in slots:
        foreign = [
            token.raw for token in tokens if token.kind == "word" and len(token.text) > 2 and token.text not in FILLERS | CLOSE | _OF_ALL
        ]
        if everything and not foreign:
            return Frame(label="close", slots={**({} if account is None else {"account": account}), "scope": "all"})
        return asks("Close which position?", partial="close", known=slots)
    return Frame(label="close", slots=slots)


def _all_positions(tokens: list[Token]) -> bool:
    texts = [token.text for token in tokens]
    return any(text in ("all", "everything") and texts[place + 1 : place + 2] != ["but"] for place, text in enumerate(texts)) and not any(
        token.kind in ("number",) and not token.used for token in tokens
    )


def _which(slots: dict[str, Any], figures: Figures, symbols: list[str], tokens: list[Token], sentence: Sentence) -> None:
    identity = figures.position or _numbered(tokens, ("position", "trade", "pos", "number", "no", "id", "spread", "one"), figures)
    if identity is not None:
        slots["position_id"] = identity
    elif len(symbols) == 1:
        slots["symbol"] = symbols[0]


def _numbered(tokens: list[Token], leads: tuple[str, ...], figures: Figures) -> str | None:
    """A number that names something: "position 12", "trade no. 7"."""
    for place, token in enumerate(tokens):
        if token.kind == "number" and not token.spelled and place and tokens[place - 1].text in leads and token.value == int(token.value):
            if tokens[place - 1].text in ("number", "no", "one", "spread") and not (
                place > 1 and tokens[place - 2].text in ("position", "trade", "order")
            ):
                continue
            if figures.quantity == int(token.value):
                figures.quantity = None
            return token.raw
    return None


def _part(slots: dict[str, Any], figures: Figures, tokens: list[Token]) -> None:
    if figures.shares is not None and figures.quantity is None and not any(token.text == "against" for token in tokens):
        slots["quantity"] = figures.shares
    elif figures.quantity is not None:
        slots["quantity"] = figures.quantity
    if figures.fraction is not None:
        slots["fraction"] = figures.fraction
    elif any(token.text in PARTS and not token.used for token in tokens):
        slots["fraction"] = next(PARTS[token.text] for token in tokens if token.text in PARTS and not token.used)
    if slots.get("fraction") == Decimal(1):
        del slots["fraction"]


def _condition(tokens: list[Token]) -> str | None:
    skip = frozenset({"before", "while", "without", "but", "rather", "than"})
    for token in tokens:
        if token.kind == "word" and token.text in CONDITIONS - skip and not or_better(tokens, token):
            return f"I cannot make that wait or choose (\u201c{token.raw}\u201d). What should be closed now?"
        if token.text == "but" and tokens.index(token) and tokens[tokens.index(token) - 1].text in ("all", "everything"):
            return "All but one is several cards: name what to close."
        if token.text in ("not", "never"):
            return "Should it be done or not?"
    return None


def _strange(tokens: list[Token]) -> str | None:
    """A word that nobody knows: what is closed or rolled is then asked about."""
    for token in tokens:
        if token.kind == "word" and not token.used and token.raw.isalpha() and len(token.text) > 3 and token.text not in vocabulary():
            return f"I do not understand \u201c{token.raw}\u201d there. Say it another way?"
    return None


def _clash(figures: Figures) -> str | None:
    return f"The {figures.clashes[0]} is said twice, differently. Which one?" if figures.clashes else None


def roll_order(sentence: Sentence, tokens: list[Token]) -> Frame:
    """The rolling of an open trade."""
    texts = [token.text for token in tokens]
    direction = _direction(texts)
    figures = FigureReader(tokens, structure="option", closing=True).read()
    symbols = symbols_of(sentence, tokens)
    slots: dict[str, Any] = {}
    _which(slots, figures, symbols, tokens, sentence)
    _part(slots, figures, tokens)
    if direction is not None:
        slots["direction"] = direction
    days = [when.days for when in figures.whens if when.days is not None]
    dates = [when.ahead for when in figures.whens if when.days is None and when.ahead is not None]
    if days:
        slots["dte"] = days[-1]
    elif dates:
        slots["dte"] = (dates[-1] - sentence.today).days
    if figures.price is not None:
        slots["limit"] = figures.price
    problem = _condition(tokens) or (len(symbols) > 1 and f"Which one: {' or '.join(symbols[:4])}?") or _clash(figures) or _strange(tokens)
    if problem:
        return asks(str(problem), partial="roll", known=slots, choices=tuple(symbols[:4]) if len(symbols) > 1 else ())
    if "symbol" not in slots and "position_id" not in slots:
        return asks("Roll which position?", partial="roll", known=slots)
    return Frame(label="roll", slots=slots)


def _direction(texts: list[str]) -> str | None:
    down = "down" in texts or "lower" in texts
    up = "up" in texts or "higher" in texts
    out = (
        any(text in ("out", "further", "later") and texts[place + 1 : place + 2] != ["of"] for place, text in enumerate(texts))
        or "both" in texts
    )
    if down and up:
        return None
    if texts and "both" in texts and not up:
        return "down_and_out"
    return {
        (True, False, True): "down_and_out",
        (True, False, False): "down",
        (False, True, True): "up_and_out",
        (False, True, False): "up",
        (False, False, True): "out",
    }.get((down, up, out))
