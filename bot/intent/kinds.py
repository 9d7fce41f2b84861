"""Which order a sentence is, if it is one: the opening, closing or rolling of a trade, or a trade done elsewhere that is to be booked.

Only the verbs, their places and what stands beside them decide; what exactly is ordered is read afterwards. A question is no order, nor is
a structure that is only looked at ("my spy condor").
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.intent.tokens import Token
from bot.intent.words import BUY, CLOSE, OPENERS, SELL

_POLITE = frozenset(
    "please can could would you will hey hi hello ok okay i we want to like need let us go ahead and "
    "now just then so yes yeah well alright also kindly wanna gonna"
    " going try desk bot do me id the a an right good morning sure dear it is am have got time should "
    "must gotta quick quickly immediately actually too thanks"
    " guys man mate bro dude sir , . ! : ; - ? my friend listen look think ready want would really again be time".split()
)
_PAST = frozenset(
    {
        "sold",
        "bought",
        "shorted",
        "wrote",
        "opened",
        "closed",
        "stod",
        "btod",
        "btcd",
        "stcd",
        "purchased",
        "exited",
        "entered",
        "picked",
        "covered",
        "filled",
        "traded",
        "did",
    }
)
QUESTION = frozenset(
    {
        "what",
        "which",
        "who",
        "whom",
        "when",
        "where",
        "why",
        "how",
        "is",
        "are",
        "am",
        "was",
        "were",
        "does",
        "did",
        "has",
        "have",
        "whose",
        "do",
        "should",
        "any",
        "whatif",
    }
)


def head_of(tokens: Sequence[Token]) -> Token | None:
    """The first token that is more than a way to begin."""
    return next((token for token in tokens if not (token.text in _POLITE and token.kind in ("word", "sign"))), None)


def order_kind(tokens: Sequence[Token]) -> str | None:
    """open, close, roll or log_trade where the words are those of an order; None where they are not."""
    texts = [token.text for token in tokens]
    if not texts:
        return None
    thing = (
        any(token.kind in ("structure", "shares", "contract") for token in tokens)
        or bool({"put", "puts", "call", "calls", "p", "c"} & set(texts[1:]))
        or texts[0] in ("puts", "calls")
    )
    question = texts[0] in QUESTION and not (
        texts[0] in ("did", "have", "do") and texts[1:2] != ["i"] and texts[1:2] != ["we"] and texts[0] != "have"
    )
    if _rolls(texts):
        return "roll"
    if (
        {"margin", "buyingpower", "collateral", "requirement", "afford", "ratio"} & set(texts)
        and not {"sto", "bto"} & set(texts)
        and texts[0] not in SELL | BUY
    ):
        return None
    if question and texts[0] != "did":
        return None
    if _told(tokens, texts, thing=thing):
        return "log_trade"
    if question and texts[:1] == ["did"]:
        return None
    if _closes(tokens, texts):
        return "close"
    return "open" if _opens(tokens, texts, thing=thing) else None


def _rolls(texts: list[str]) -> bool:
    if "roll" in texts or "rolling" in texts or "rolls" in texts:
        at = next(place for place, text in enumerate(texts) if text in ("roll", "rolling", "rolls"))
        following = texts[at + 1 : at + 3]
        return (
            following[:1] not in (["off"], ["dice"], ["forward"], ["over"], ["back"], ["the_dice"])
            and following != ["the", "dice"]
            and not (
                texts[:1] in (["help"], ["explain"], ["what"], ["how"])
                and (
                    "mean" in texts
                    or "work" in texts
                    or ("is" in texts[:2] and "<symbol>" not in texts)
                    or texts[0] == "help"
                    or (texts[0] == "how" and texts[1:3] == ["do", "i"] and "<symbol>" not in texts)
                )
            )
        )
    return any(
        texts[place : place + 1] in (["push"], ["extend"], ["kick"], ["move"])
        and {"out", "further", "later"} & set(texts[place + 1 :])
        and {"<symbol>", "put", "call", "puts", "calls", "it"} & set(texts)
        for place in range(len(texts))
    )


def _told(tokens: Sequence[Token], texts: list[str], *, thing: bool) -> bool:
    """A trade told in the past tense, or handed over to be booked."""
    symbol = any(token.kind in ("symbol", "contract") for token in tokens)
    figures = any(token.kind in ("number", "money", "pair") for token in tokens)
    if texts[0] in ("log", "book", "record") or texts[:2] in (["log", "trade"], ["please", "log"], ["please", "record"]):
        return symbol and (thing or figures)
    if "if" in texts or "whatif" in texts or texts[0] in ("what", "how", "when", "which", "why", "show", "list") or "would" in texts[:2]:
        return False
    past = [place for place, text in enumerate(texts) if text in _PAST]
    if not past:
        return False
    if texts[past[0]] == "did" and not (thing and figures):
        return False
    if texts[past[0]] in ("covered", "filled") and "cover" not in texts and len(past) == 1 and not (past[0] <= 2 and figures):
        return False
    if past[0] > 0 and texts[past[0] - 1] in ("be", "is", "get", "was", "been", "being"):
        return False
    return symbol and (thing or figures)


def _closes(tokens: Sequence[Token], texts: list[str]) -> bool:
    symbol = any(token.kind in ("symbol", "contract", "id") for token in tokens)
    anything = symbol or bool(
        {"position", "positions", "everything", "all", "it", "trade", "trades", "that", "them", "this", "those", "one", "half", "rest"}
        & set(texts)
    )
    for place, text in enumerate(texts):
        before, following = texts[place - 1] if place else "", texts[place + 1 : place + 3]
        if text in ("btc", "stc"):
            return place == 0 or before in _POLITE or tokens[place - 1].kind in ("symbol", "contract", "number")
        if (
            text in CLOSE
            and text not in ("cover", "covering", "flatten", "close", "trim", "dump")
            and anything
            and _commands(tokens, place)
        ):
            return True
        if (
            text in ("close", "flatten", "trim", "dump")
            and (anything or text in ("close", "flatten"))
            and _commands(tokens, place)
            and not (text == "close" and following[:1] in (["to"], ["the"]) and following[1:2] in (["bell"], ["limit"], ["market"]))
        ):
            return True
        if (
            text in ("cover", "covering")
            and _commands(tokens, place)
            and symbol
            and not {"call", "calls"} & set(following[:1])
            and "short" in [*texts, "short" if following[:1] in (["my"], ["half"], ["the"], ["all"]) else ""]
        ):
            return True
        if text in ("buy", "buying") and ("back" in texts[place + 1 : place + 6]) and "back" in texts:
            return anything
        if text in ("sell", "selling", "dump") and _held(tokens, texts, place):
            return True
    return anything and _says_out(texts)


def _commands(tokens: Sequence[Token], place: int) -> bool:
    """Whether a verb stands where an imperative stands, or where "to" or "and" leads to it."""
    if place == 0:
        return True
    before = tokens[place - 1]
    if before.text in _POLITE or before.kind == "sign":
        return True
    return (
        before.text in ("um", "uh", "er", "like", "hmm", "then", "completely", "fully", "market", "half", "everything", "order")
        or before.kind in ("symbol", "structure", "number", "percent", "contract", "shares")
        or before.text in ("put", "puts", "call", "calls", "position", "trade", "it")
    )


def _held(tokens: Sequence[Token], texts: list[str], place: int) -> bool:
    """Whether what is sold is said to be held: "sell my calls", "sell half the shares", "the 100 shares I own"."""
    if "short" in texts[place + 1 : place + 2] and "shares" in texts:
        return False
    if (
        any(token.kind == "structure" and token.value in ("covered_call", "cash_secured_put", "naked_put") for token in tokens)
        or "against" in texts
    ):
        return False
    rest = texts[place + 1 :]
    owned = (
        "my" in rest[:3]
        or any(rest[at : at + 2] == ["of", "my"] for at in range(4))
        or rest[:2] in (["the", "rest"], ["all", "my"])
        or "half" in rest[:2]
        or "quarter" in rest[:2]
        or "long" in rest[:4]
    )
    tail = any(
        rest[at : at + 2] in (["i", "own"], ["i", "have"], ["i", "hold"], ["we", "own"], ["we", "hold"], ["i", "bought"], ["i", "got"])
        for at in range(len(rest))
    )
    if "everything" in rest[:2] or rest[:2] == ["all", "of"]:
        return True
    if owned and "my" in rest:
        at = rest.index("my")
        rights = next((index for index, text in enumerate(rest) if text in ("put", "puts", "call", "calls")), 99)
        if rights < at:  # calls on my shares
            return False
    return owned or (tail and not {"put", "puts", "call", "calls"} & set(rest[:3]))


_OUT = (
    ("get", "out"),
    ("get", "me", "out"),
    ("getting", "out"),
    ("get", "rid"),
    ("want", "out"),
    ("let", "go"),
    ("take", "off"),
    ("take", "profit"),
    ("take", "profits"),
    ("take", "half"),
    ("take", "my", "profit"),
    ("take", "my", "profits"),
    ("take", "the", "profit"),
    ("take", "the", "profits"),
    ("take", "the", "win"),
    ("take", "the", "loss"),
    ("take", "gains"),
    ("ring", "the", "register"),
    ("lock", "in"),
    ("cash", "out"),
    ("bail", "on"),
    ("bail", "out"),
    ("close", "out"),
    ("scale", "out"),
    ("shut", "down", "my"),
    ("cut", "my"),
    ("cut", "the"),
    ("be", "done", "with"),
    ("cut", "<symbol>"),
    ("shut", "position"),
    ("shut", "trade"),
    ("halve", "<symbol>"),
    ("trim", "<symbol>"),
    ("need", "out"),
    ("out", "of", "<symbol>"),
    ("i", "am", "out", "of"),
    ("out", "of", "my"),
    ("kill", "my"),
    ("bag", "the"),
    ("book", "the", "profit"),
    ("book", "profits"),
    ("book", "profit"),
    ("buy", "it", "back"),
    ("buy", "them", "back"),
    ("take", "everything", "off"),
    ("take", "it", "off"),
    ("take", "them", "off"),
    ("everything", "off"),
    ("shut", "my"),
    ("pull", "the", "rip"),
    ("reduce", "my"),
    ("halve", "my"),
    ("halve", "the"),
    ("peel", "off"),
    ("bank", "the"),
    ("wrap", "up"),
)


def _says_out(texts: list[str]) -> bool:
    if any(tuple(texts[place : place + len(words)]) == words for words in _OUT for place in range(len(texts))):
        return True
    for place, text in enumerate(texts):
        if text == "take" and "off" in texts[place + 1 : place + 8]:
            return True
        if text in ("exit", "unwind", "liquidate"):
            return True
    return False


def _opens(tokens: Sequence[Token], texts: list[str], *, thing: bool) -> bool:
    if not thing:
        first = head_of(tokens)
        return (
            first is not None
            and first.text in ("sell", "buy", "sto", "bto", "short", "long", "write")
            and len(tokens) > 1
            and any(token.kind in ("symbol", "number", "pair", "time") for token in tokens)
        )
    if _possessive(texts):
        return False
    side = any(text in SELL | BUY or text in ("credit", "debit", "protect", "insure") for text in texts)
    own = any(token.kind == "structure" for token in tokens)
    symbol = any(token.kind in ("symbol", "contract") for token in tokens)
    if (
        "show" in texts[:2]
        or "list" in texts[:1]
        or texts[0]
        in ("find", "scan", "search", "backtest", "compare", "explain", "chain", "hedge", "pause", "resume", "optimize", "wheel_")
        or "what" in texts[:3]
        or "which" in texts[:3]
    ):
        return False
    if any(text in SELL | BUY for text in texts):
        return _sells_now(texts)
    if own and symbol and not (texts[-1] == "?" and not any(token.kind in ("number", "pair", "time", "percent") for token in tokens)):
        return "status" not in texts and "update" not in texts
    if own and _head_opens(tokens):
        return True
    return (
        (side or _head_opens(tokens) or _counted(tokens))
        and bool({"put", "puts", "call", "calls", "p", "c"} & set(texts))
        and (symbol or _head_opens(tokens))
    ) or (any(token.kind == "shares" for token in tokens) and _head_opens(tokens) and symbol)


def _sells_now(texts: list[str]) -> bool:
    at = next(place for place, text in enumerate(texts) if text in SELL | BUY)
    before = texts[max(0, at - 2) : at]
    return not (
        before[-1:] == ["to"] and {"something", "anything", "idea", "candidate", "candidates", "what", "best", "good"} & set(texts[:at])
    )


def _possessive(texts: list[str]) -> bool:
    """Whether the structure is somebody's already: "my spy condor"; "against my shares" is another matter."""
    if any(text in SELL | BUY | {"protective"} for text in texts) or "insure" in texts:
        return False
    return "my" in texts and not {"open", "want", "need", "put"} & set(texts[:4]) and "<shares>" not in texts and "stock" not in texts


def _head_opens(tokens: Sequence[Token]) -> bool:
    first = head_of(tokens)
    return (
        first is not None
        and (first.text in OPENERS - {"show", "run", "go", "make_"} or first.kind == "number")
        and first.text not in ("take", "trade")
    ) or (first is not None and first.text in ("trade", "take") and any(token.kind == "structure" for token in tokens))


def _counted(tokens: Sequence[Token]) -> bool:
    """Whether contracts are counted, which nobody does who only looks: "3 lots", "2 contracts"."""
    texts = [token.text for token in tokens]
    return bool({"lot", "lots", "contract", "contracts", "x"} & set(texts)) and any(token.kind == "number" for token in tokens)
