"""A trade done elsewhere, told in the past tense: "sold 2 SPY 480 puts for 3.20 yesterday at schwab".

A single option is told by side and right; spreads, condors, covered calls and shares name their strategy.
"""

from __future__ import annotations

from typing import Any

from bot.intent.figures import FigureReader, Figures
from bot.intent.frames import Frame, asks
from bot.intent.orders import BOUGHT, BROKERS, RIGHTS, SOLD, strategy_of, structures_of, symbols_of
from bot.intent.sentence import Sentence
from bot.intent.structures import UNKNOWN
from bot.intent.tokens import Token
from bot.intent.words import BUY, SELL


def logged_trade(sentence: Sentence, tokens: list[Token]) -> Frame:
    """A trade done elsewhere, told in the past tense."""
    texts = [token.text for token in tokens]
    named = structures_of(tokens)
    side = _past_side(texts, named)
    account = _account(tokens)
    strategy = None
    rights = {RIGHTS[token.text] for token in tokens if token.text in RIGHTS} | {
        token.value["right"] for token in tokens if token.kind == "contract"
    }
    if named and UNKNOWN not in named:
        strategy, _ = strategy_of([token for token in tokens if token.text not in SELL | BUY], named, side)
    shares = any(token.kind == "shares" for token in tokens)
    if not named and not rights and (shares or side is not None):
        strategy = "stock"
    figures = FigureReader(tokens, structure=strategy or "option", past=True).read()
    symbols = symbols_of(sentence, tokens)
    slots: dict[str, Any] = {}
    if side is not None:
        slots["side"] = side
    if strategy is not None and strategy not in ("naked_put", "long_put", "long_call", "put_spread", "call_spread", "vertical"):
        slots["strategy"] = strategy
    if len(symbols) == 1:
        slots["symbol"] = symbols[0]
    if figures.strikes:
        slots["strikes"] = sorted(set(figures.strikes))
    single = rights or ({"put"} if named & {"naked_put", "long_put"} else {"call"} if named & {"long_call"} else set())
    if len(single) == 1 and "strategy" not in slots:
        slots["right"] = next(iter(single))
    quantity = figures.shares if figures.shares is not None else figures.quantity
    if quantity is not None:
        slots["quantity"] = quantity
    expiries = [when.ahead for when in figures.whens if when.ahead is not None]
    if expiries:
        slots["expiry"] = expiries[0]
    if figures.price is not None:
        slots["price"] = figures.price
    if figures.done is not None:
        slots["when"] = figures.done
    if account is not None:
        slots["account"] = account
    return _logged(slots, figures, symbols, named)


def _logged(slots: dict[str, Any], figures: Figures, symbols: list[str], named: set[str]) -> Frame:
    question = ""
    if len(symbols) > 1:
        question = f"Which one: {' or '.join(symbols[:4])}? One entry holds one underlying."
    elif figures.clashes:
        question = f"The {figures.clashes[0]} is said twice, differently. Which one?"
    elif UNKNOWN in named:
        question = "That structure is not booked here. Tell me its legs one by one?"
    elif "symbol" not in slots:
        question = "On which underlying was it?"
    elif "side" not in slots:
        question = "Was it sold or bought?"
    elif "price" not in slots:
        question = "At which price?"
    elif figures.loose:
        question = f"What is {figures.loose[0]}: a strike, a quantity or a price?"
    if question:
        return asks(question, partial="log_trade", known=slots)
    return Frame(label="log_trade", slots=slots)


def _past_side(texts: list[str], named: set[str]) -> str | None:
    sold = {"sold", "shorted", "wrote", "written", "sale", "sto'd", "stod", "stced", "stc'd"}
    bought = {"bought", "purchased", "picked", "covered", "purchase", "btod", "btcd", "bto'd", "grabbed", "buy", "bto", "btc"}
    first = next((text for text in texts if text in sold | bought or text in ("sto", "stc", "sell")), None)
    if "bought" in texts and "sold" in texts:
        first = next(text for text in texts if text in ("bought", "sold"))
    if first is not None:
        return "sell" if first in sold or first in ("sto", "stc", "sell") else "buy"
    if "closed" in texts or "exited" in texts:
        return "buy" if "paid" in texts or not named & BOUGHT else "sell"
    if named & (SOLD - {"credit_spread"}):
        return "sell"
    if named & (BOUGHT - {"debit_spread"}):
        return "buy"
    if "credit" in texts or "received" in texts or "collected" in texts:
        return "sell"
    if "debit" in texts or "paid" in texts:
        return "buy"
    return None


def _account(tokens: list[Token]) -> str | None:
    """The account a trade was done in, by the name said."""
    for place, token in enumerate(tokens):
        if token.kind in ("word", "symbol") and token.raw.lower() in BROKERS and place:
            token.used = True
            return token.raw.lower()
        if (
            token.text in ("account", "acct")
            and place
            and tokens[place - 1].kind == "word"
            and tokens[place - 1].text not in ("my", "the", "other", "an", "another", "his", "this", "that", "outside", "our")
        ):
            token.used = tokens[place - 1].used = True
            return tokens[place - 1].raw.lower()
    return None
