"""Orders in words: what is opened, closed, rolled or was done elsewhere. Every word of an order is accounted for, or it is asked about.

The side, the symbol, the structure and every figure come from the sentence alone. Two different symbols, a structure the desk does not
trade, a condition ("if it drops"), an alternative ("or") or a word nobody knows make the order a question, never a smaller order.

Worked example: "sell 2 spy 480/470 put spreads jan 16 for 1.25" is open put_credit_spread SPY, quantity 2, strikes 470 and 480, limit 1.25;
"open a put spread on spy" asks whether it is sold or bought; "sell a straddle on spy" says that straddles are not traded here.
"""

from __future__ import annotations

from typing import Any

from bot.intent.figures import FigureReader, Figures
from bot.intent.frames import Frame, asks
from bot.intent.sentence import Sentence
from bot.intent.structures import UNKNOWN
from bot.intent.tokens import Token
from bot.intent.words import BUY, CONDITIONS, FILLERS, OPENERS, SELL

RIGHTS = {"put": "put", "puts": "put", "call": "call", "calls": "call", "p": "put", "c": "call"}
SOLD = {
    "naked_put",
    "cash_secured_put",
    "put_credit_spread",
    "call_credit_spread",
    "iron_condor",
    "short_strangle",
    "covered_call",
    "credit_spread",
}
BOUGHT = {"protective_put", "long_put", "long_call", "put_debit_spread", "call_debit_spread", "debit_spread"}
BROKERS = (
    "fidelity schwab robinhood etrade tastytrade tastyworks ibkr interactive vanguard webull tda merrill ira roth 401k alpaca tradestation"
    " moomoo public firstrade sofi chase joint practice paper"
).split()
_OWN_SIDE = SOLD | BOUGHT | {"calendar", "diagonal"}
_SHARED = frozenset({"calendar", "diagonal"})


def open_order(sentence: Sentence, tokens: list[Token]) -> Frame:
    """The opening of a trade."""
    side = _side(tokens)
    named = structures_of(tokens)
    if UNKNOWN in named or _naked_call(tokens, named, side):
        return asks(f"{_name_of(tokens)} is nothing this desk trades. Which structure instead?", partial="open")
    strategy, _ = strategy_of(tokens, named, side)
    if strategy is None and side == "both":
        strategy = _two_sided(tokens, named)
    account = in_account(tokens)
    reader = FigureReader(tokens, structure=strategy or (next(iter(named), "") or "option"))
    figures = reader.read()
    symbols = symbols_of(sentence, tokens)
    pmcc = any(token.kind == "structure" and ("pmcc" in token.raw.lower() or "poor" in token.raw.lower()) for token in tokens)
    slots = _open_slots(strategy, figures, symbols, side, pmcc=pmcc)
    if account is not None:
        slots["account"] = account
    problem = _open_problem(tokens, strategy, figures, symbols, side, named)
    if problem is not None:
        question, choices = problem
        return asks(question, partial="open", known=slots, choices=choices)
    return Frame(label="open", slots=slots)


def symbols_of(sentence: Sentence, tokens: list[Token]) -> list[str]:
    named = [
        token.value if token.kind == "symbol" else token.value["symbol"]
        for token in tokens
        if token.kind in ("symbol", "contract") and not (token.used and token.kind == "symbol")
    ]
    return list(dict.fromkeys(named))


def _side(tokens: list[Token]) -> str | None:
    """sell or buy, None where neither is said, "both" where both are."""
    texts = [token.text for token in tokens]
    sells = any(text in SELL and not _is_noun(texts, place) for place, text in enumerate(texts)) or pair_in(
        texts, ("get", "short"), ("go", "short")
    )
    buys = any(text in BUY and not (text == "long" and _of_time(texts, place)) for place, text in enumerate(texts))
    pairs = (
        ("pick", "up"),
        ("pick", "me"),
        ("grab", "me"),
        ("scoop", "up"),
        ("load", "up"),
        ("get", "long"),
        ("get", "me"),
        ("go", "long"),
    )
    own = any(token.kind == "structure" and token.value in _OWN_SIDE for token in tokens)
    if not buys and not sells and not own and (pair_in(texts, *pairs[:5]) or "grab" in texts or "pick" in texts):
        buys = True
    if (
        not buys
        and not sells
        and not own
        and (set(texts) & {"protect", "insure"} or (any(token.kind == "shares" for token in tokens) and "get" in texts))
    ):
        buys = True
    if sells and buys:
        return "both"
    if not sells and not buys:
        credit = any(token.text in ("credit", "cr") for token in tokens)
        debit = any(token.text in ("debit", "db") for token in tokens) or "pay" in texts
        return "sell" if credit and not debit else "buy" if debit and not credit else None
    return "sell" if sells else "buy"


def _is_noun(texts: list[str], place: int) -> bool:
    """Whether "short" or "sell" is part of another phrase: the short strike, short leg."""
    following = texts[place + 1] if place + 1 < len(texts) else ""
    return texts[place] == "short" and (following in ("strike", "strikes", "leg", "legs", "dated", "term", "side", "delta"))


def _of_time(texts: list[str], place: int) -> bool:
    following = texts[place + 1] if place + 1 < len(texts) else ""
    return following in ("dated", "term", "as", "time", "strike", "leg")


def pair_in(texts: list[str], *pairs: tuple[str, ...]) -> bool:
    return any(tuple(texts[place : place + 2]) in pairs for place in range(len(texts) - 1))


def structures_of(tokens: list[Token]) -> set[str]:
    return {token.value for token in tokens if token.kind == "structure"}


def words_of(tokens: list[Token]) -> set[str]:
    return {token.text for token in tokens}


def _naked_call(tokens: list[Token], named: set[str], side: str | None) -> bool:
    """A call sold without a word of shares behind it."""
    rights = {RIGHTS[token.text] for token in tokens if token.text in RIGHTS}
    contract = {token.value["right"] for token in tokens if token.kind == "contract"}
    return side == "sell" and not named and (rights | contract) == {"call"} and not _is_covered(tokens)


def _is_covered(tokens: list[Token]) -> bool:
    texts = words_of(tokens)
    return "covered" in texts or (bool(texts & {"against", "on", "over", "my"}) and any(token.kind == "shares" for token in tokens))


def strategy_of(tokens: list[Token], named: set[str], side: str | None) -> tuple[str | None, bool]:
    """The strategy that structure, side and right make; None where they make none or do not go together."""
    rights = {RIGHTS[token.text] for token in tokens if token.text in RIGHTS}
    rights |= {token.value["right"] for token in tokens if token.kind == "contract"}
    texts = words_of(tokens)
    if {"credit_spread", "debit_spread", "vertical"} & named and len(named) == 1:
        return _vertical(next(iter(named)), rights, side), True
    if named >= {"cash_secured_put", "naked_put"}:
        return None, False
    if len(named) == 2 and named & {"put_spread", "call_spread", "vertical"}:
        wider = named & {"put_spread", "call_spread", "vertical"}
        rest = named - wider
        if len(rest) == 1 and next(iter(rest)).startswith(next(iter(wider)).split("_")[0]):
            named = rest
    if len(named) > 1:
        return None, False
    if named:
        one = next(iter(named))
        if one in ("put_spread", "call_spread"):
            return _vertical(one, {one.split("_")[0]}, side), True
        if (
            (one in SOLD and side == "buy")
            or (one in BOUGHT and side == "sell")
            or (side == "both" and one not in _SHARED and not _two_legs(one, tokens))
        ):
            return None, False
        return one, True
    if any(token.kind == "shares" for token in tokens) and not rights:
        return "stock", False
    return _single(tokens, rights, side, texts), True


def _two_sided(tokens: list[Token], named: set[str]) -> str | None:
    """A vertical told leg by leg ("sell the 85 put, buy the 80"): a credit where the dearer strike is the one sold."""
    rights = {RIGHTS[token.text] for token in tokens if token.text in RIGHTS} | {
        value.split("_")[0] for value in named & {"put_spread", "call_spread"}
    }
    sold = bought = None
    way = ""
    for place, token in enumerate(tokens):
        if token.text in SELL or token.text in BUY:
            way = "sell" if token.text in SELL else "buy"
        elif token.kind == "number" and way and token.value >= 1:
            following = tokens[place + 1].text if place + 1 < len(tokens) else ""
            if following in ("delta", "dte", "contracts", "wide", "x") or (
                token.value < 20
                and ((sold is None and way == "sell") or (bought is None and way == "buy"))
                and tokens[place - 1].text != "the"
            ):
                continue
            if way == "sell" and sold is None:
                sold = token.value
            elif way == "buy" and bought is None:
                bought = token.value
    if len(rights) != 1 or sold is None or bought is None or sold == bought or len(named - {"put_spread", "call_spread", "vertical"}) > 0:
        return None
    right = next(iter(rights))
    credit = (sold > bought) == (right == "put")
    return f"{right}_{'credit' if credit else 'debit'}_spread"


def _two_legs(one: str, tokens: list[Token]) -> bool:
    """Whether "sell this, buy that" tells the legs of a structure that is sold or bought as a whole."""
    return one in ("calendar", "diagonal", "iron_condor")


def _vertical(one: str, rights: set[str], side: str | None) -> str | None:
    side = {"credit_spread": "sell", "debit_spread": "buy"}.get(one, side)
    if len(rights) != 1 or side not in ("sell", "buy"):
        return None
    return f"{next(iter(rights))}_{'credit' if side == 'sell' else 'debit'}_spread"


def _single(tokens: list[Token], rights: set[str], side: str | None, texts: set[str]) -> str | None:
    if len(rights) != 1 or side not in ("sell", "buy"):
        return None
    right = next(iter(rights))
    if side == "sell":
        if right == "call":
            return "covered_call" if _is_covered(tokens) else None
        return "cash_secured_put" if texts & {"secured", "backed"} else "naked_put"
    if right == "put" and (texts & {"protective", "protect", "insure", "insurance", "protection"}):
        return "protective_put"
    return f"long_{right}"


def _open_slots(strategy: str | None, figures: Figures, symbols: list[str], side: str | None, *, pmcc: bool = False) -> dict[str, Any]:
    slots: dict[str, Any] = {}
    if strategy is not None and strategy not in ("put_spread", "call_spread", "credit_spread", "debit_spread", "vertical"):
        slots["strategy"] = strategy
    if len(symbols) == 1:
        slots["symbol"] = symbols[0]
    quantity = figures.shares if strategy == "stock" and figures.shares is not None else figures.quantity
    if quantity is not None:
        slots["quantity"] = quantity
    _put_whens(slots, figures, far=strategy in ("calendar", "diagonal"))
    if strategy == "stock" and side in ("sell", "buy"):
        slots["side"] = side
    if strategy == "diagonal" and pmcc and not figures.rights:
        slots["right"] = "call"
    if strategy in ("calendar", "diagonal") and len(set(figures.rights)) == 1:
        slots["right"] = figures.rights[0]
    for name, value in (
        ("delta", figures.delta),
        ("width", figures.width),
        ("limit", figures.price),
        ("target", figures.target),
        ("stop", figures.stop),
    ):
        if value is not None:
            slots[name] = value
    if figures.strikes:
        slots["strikes"] = sorted(set(figures.strikes))
    return slots


def _put_whens(slots: dict[str, Any], figures: Figures, *, far: bool) -> None:
    days = sorted({when.days for when in figures.whens if when.days is not None})
    dates = sorted({when.ahead for when in figures.whens if when.days is None and when.ahead is not None})
    if days:
        slots["dte"] = days[0]
    if dates:
        slots["expiry"] = dates[0]
    if far and len(days) == 2:
        slots["far_dte"] = days[1]
    if far and len(dates) == 2:
        slots["far_expiry"] = dates[1]


def _open_problem(
    tokens: list[Token], strategy: str | None, figures: Figures, symbols: list[str], side: str | None, named: set[str]
) -> tuple[str, tuple[str, ...]] | None:
    """What keeps this from being an order, as a question; None where nothing does."""
    conditions = [
        token.raw
        for token in tokens
        if not token.used and token.kind == "word" and token.text in CONDITIONS and not or_better(tokens, token)
    ]
    if conditions:
        return f"I cannot make an order wait or choose (\u201c{conditions[0]}\u201d). What should the card hold now?", ()
    if len(symbols) > 1:
        return f"Which one: {' or '.join(symbols[:4])}? One card holds one underlying.", tuple(symbols[:4])
    unknown = _unknown(tokens)
    if unknown:
        return f"I do not understand \u201c{unknown[0]}\u201d in that order. Say it another way?", ()
    if figures.clashes:
        return f"The {figures.clashes[0].replace('_', ' ')} is said twice, differently. Which one?", ()
    if figures.loose:
        return f"What is {figures.loose[0]}: a strike, a quantity or a price?", ("strike", "quantity", "price")
    if (strategy in SOLD and "debit" in words_of(tokens)) or (strategy in BOUGHT and "credit" in words_of(tokens)):
        return "Is it for a credit or a debit: sold or bought?", ("sell", "buy")
    if side == "both" and strategy is None:
        return "Is it sold or bought?", ("sell", "buy")
    if strategy is None:
        if (named & {"put_spread", "call_spread", "vertical"} and side is None) or (not named and figures.rights and side is None):
            return "Is it sold or bought?", ("sell", "buy")
        return "Which structure: a put, a call, a spread, a condor?", ("put", "put credit spread", "iron condor")
    if not symbols:
        return "On which underlying?", ()
    if strategy == "stock" and side is None:
        return "Are the shares bought or sold?", ("buy", "sell")
    return _too_much(strategy, figures)


def _too_much(strategy: str, figures: Figures) -> tuple[str, tuple[str, ...]] | None:
    most = {"iron_condor": 4, "short_strangle": 2, "calendar": 1, "stock": 0}.get(
        strategy, 2 if "spread" in strategy or strategy == "diagonal" else 1
    )
    if len(set(figures.strikes)) > most or (strategy == "iron_condor" and len(set(figures.strikes)) == 3):
        return f"{len(set(figures.strikes))} strikes are not those of one {strategy.replace('_', ' ')}. Which are meant?", ()
    far = strategy in ("calendar", "diagonal")
    days = {when.days for when in figures.whens if when.days is not None}
    dates = {when.ahead for when in figures.whens if when.days is None}
    if len(days) > 1 + far or len(dates) > 1 + far:
        return "Two expiries are said. Which one?", ()
    if (figures.quantity is not None and figures.quantity > 10_000) or figures.quantity == 0:
        return "How many contracts?", ()
    if figures.delta is not None and not 0 < figures.delta <= 1:
        return "Which delta, as in 0.16?", ()
    if (
        figures.rights
        and strategy in ("naked_put", "cash_secured_put", "put_credit_spread", "put_debit_spread", "long_put", "protective_put")
        and "call" in figures.rights
    ):
        return "Puts or calls?", ("put", "call")
    return None


def or_better(tokens: list[Token], token: Token) -> bool:
    place = tokens.index(token)
    following = [other.text for other in tokens[place + 1 : place + 3]]
    return (
        (token.text == "or" and following[:1] in (["better"], ["more"], ["so"], ["less"], ["higher"], ["lower"]))
        or (token.text in ("if", "when") and following in (["possible"], ["you", "can"], ["you", "could"], ["you", "please"]))
        or (token.text == "if" and following[:1] == ["possible"])
        or (token.text == "than")
    )


def _unknown(tokens: list[Token]) -> list[str]:
    """Words of an order that nothing accounts for."""
    known = FILLERS | SELL | BUY | OPENERS
    return [
        token.raw
        for token in tokens
        if not token.used
        and (
            (token.kind in ("word", "d") and token.text not in known and token.text not in RIGHTS and not or_better(tokens, token))
            or token.kind in ("clock", "iso", "tos", "occ")
            or (token.kind == "other" and any(letter.isalnum() for letter in token.text))
            or (token.kind == "sign" and token.text in "<>")
        )
    ]


def _name_of(tokens: list[Token]) -> str:
    found = next((token.raw for token in tokens if token.kind == "structure" and token.value == UNKNOWN), "A call sold without shares")
    return found[:1].upper() + found[1:]


def in_account(tokens: list[Token]) -> str | None:
    """The account an order names: "in my ira", "on the schwab account"."""
    for place, token in enumerate(tokens):
        if (
            token.raw.lower() in BROKERS
            and place
            and (tokens[place - 1].text in ("my", "at", "via") or (place + 1 < len(tokens) and tokens[place + 1].text == "account"))
            and tokens[place - 1].text != "on"
        ):
            for other in tokens[max(0, place - 2) : place + 2]:
                other.used = other.used or other.text in ("in", "my", "the", "account", "at", "via", "from", "on") or other is token
            return token.raw.lower()
    return None
