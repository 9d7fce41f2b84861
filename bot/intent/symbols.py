"""Which words of a sentence are symbols: tickers, company names, nicknames, and contracts by their OCC symbol.

A ticker that is an ordinary word (ALL, IT, ON, NOW, OPEN) is a symbol only where a symbol must stand. A word in capitals that no table
knows may be a ticker all the same; in lower case it never is, so that a slip of the finger becomes nobody's symbol.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import cache

from bot.intent.slang import DATA
from bot.intent.tokens import Token
from bot.intent.words import FILLERS, PLAIN, vocabulary

FILE = DATA / "symbols.txt"
_ACRONYMS = frozenset(
    "DTE OTM ITM ATM IV HV PNL PL OK USD EUR FOMC CPI PPI NFP GDP FED VAR GTC LMT MKT EOD EOM EOW ETA "
    "ASAP FYI BTW OCO BTO BTC STO STC NLV BP"
    " BPR ROI ROC YTD MTD EST ET EDT AM PM TP SL RSI SMA EMA MACD ETF ETFS OCC ID CSV PIN API AI ML CSP "
    "PCS CCS PDS CDS IC ICS PMCC PLEASE NOT"
    " DO DONT STOP KILL HALT PAUSE CANCEL CLOSE SELL BUY OPEN YES NO THE AND OR FOR ANY THIS THAT MY ME IT ALL NEW OLD PUT CALL PUTS CALLS"
    " SPREAD CONDOR ROLL OUT UP DOWN GET OFF TAX IRS IRA LEAP LEAPS SYSTEM USER ADMIN RIGHT LEFT NEVER EVER ALWAYS JUST ONLY VERY SO URGENT"
    " WTF LOL OMG HELP HELLO HEY HI FUCK SHIT DAMN EVERY NONE LAST FIRST ORDER ORDERS TRADE TRADES PAPER "
    "LIVE VWAP TWAP GAMMA DELTA THETA VEGA"
    " POP PDT SEC LLC CEO NOTE WHY HOW WHAT WHEN WHO IS ARE WAS WILL CAN DID BE TO IN ON AT BY OF IF "
    "AS FROM WITH WITHOUT NEXT TODAY NOW JAN FEB"
    " MAR APR MAY JUN JUL AUG SEP SEPT OCT NOV DEC MON TUE TUES WED THU FRI SAT SUN CR DB TLDR RN RE "
    "FW FWD TLDR VS EXP QTY NYSE CBOE OPEX US UK USA"
    " PM WAY TOO MUCH MORE LESS BIG MAX MIN HIT RUN SET ADD LOG LOGS HAVE HAS HAD GO GOT TICKER STOCK "
    "ITS ITSELF EVERYTHING SHORT LONG WAIT AGAIN".split()
)
# Ordinary words that stand anywhere in a sentence; as tickers they need a number in front and figures or a structure behind.
_COMMON = frozenset(
    "a all an are at be big can cost cash day d fast for fun go has he hi hum it key keys low life love "
    "main man mar met next now o on one open or"
    " out path pays peak play plug real run save se see ship shop so spot target team tell true two well "
    "you x app ai five leg arm net eric met de"
    " lmt c i m t v w z k l ms el et li ci cl fis ups snap hood coin cart cars cop hal pep pm app ea "
    "ice grab eat live box five riot race chase".split()
)
_LETTERS = frozenset("c d f k l m t v w x z".split())
_STRUCTURES = frozenset(
    "put puts call calls spread spreads condor condors strangle strangles vertical verticals calendar "
    "calendars diagonal csp csps pcs shares share"
    " iron covered naked cash bull bear ic cc straddle".split()
)
_NOUNS = frozenset(
    "stock shares share options option earnings quote chain iv ivrank ivpercentile price position positions "
    "spread puts calls put call trade news"
    " condor strangle vol trading report flow leaps".split()
)
_LEADS = frozenset("on in for of about my quote chain iv ticker symbol with versus and or news earnings the trade buy sell short".split())
_STRONG_LEADS = frozenset({"ticker", "symbol", "quote"})


@cache
def names() -> dict[str, list[tuple[tuple[str, ...], str, bool]]]:
    """By first word: the words of a name, its ticker, and whether the name is an ordinary word too; the longest first."""
    found: dict[str, list[tuple[tuple[str, ...], str, bool]]] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        ticker, _, rest = line.partition(":")
        listed = [name.strip() for name in rest.split(",")]
        if not any(name.strip("[]") == ticker.lower() for name in listed):
            listed.append(ticker.lower() if len(ticker) > 2 and ticker.lower() not in _COMMON else f"[{ticker.lower()}]")
        for name in listed:
            words = tuple(name.strip("[]").replace("'", "").replace("-", " ").split())
            found.setdefault(words[0], []).append((words, ticker, name.startswith("[")))
    for rows in found.values():
        rows.sort(key=lambda row: -len(row[0]))
    return found


@cache
def tickers() -> frozenset[str]:
    """All tickers of the table."""
    return frozenset(ticker for rows in names().values() for _, ticker, _ in rows)


def join_symbols(tokens: list[Token]) -> list[Token]:
    """The tokens with symbols and contracts made one token each, kinds "symbol" and "contract"."""
    words = [token for token in tokens if token.kind == "word" and token.raw.isalpha() and token.end - token.start == len(token.raw)]
    letters = "".join(token.raw for token in words)
    shouting = len(words) > 1 and sum(map(str.isupper, letters)) * 10 >= 7 * len(letters) and any(_is_ordinary(token) for token in words)
    table = names()
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        size, ticker = _symbol_at(tokens, place, table, shouting=shouting)
        if size:
            last = tokens[place + size - 1]
            found.append(Token("<symbol>", token.raw, token.start, last.end, "symbol", ticker))
            place += size
            continue
        found.append(_contract(token) if token.kind in ("occ", "tos") else token)
        place += 1
    return found


def _symbol_at(
    tokens: list[Token], place: int, table: dict[str, list[tuple[tuple[str, ...], str, bool]]], *, shouting: bool
) -> tuple[int, str]:
    token = tokens[place]
    if token.kind == "cash":
        return 1, token.raw[1:].upper()
    if token.kind == "future":
        return (1, token.raw.upper()) if token.raw.upper() in tickers() or token.raw.isupper() else (0, "")
    if token.kind != "word":
        return 0, ""
    for words, ticker, ordinary in table.get(token.text, ()):
        size = len(words)
        if size > 1 and tuple(_said(other) for other in tokens[place : place + size]) != words:
            continue
        if (
            ordinary
            and token.raw in _ACRONYMS
            and not shouting
            and token.text not in _EMPHASIS
            and (place == 0 or tokens[place - 1].text not in ("on", "in", "of", "my", "quote", "ticker"))
        ):
            continue
        if not ordinary or _stands(tokens, place, size, capitals=token.raw.isupper() and not shouting):
            return size, ticker
    if token.raw.isupper() and not shouting and _may_be_ticker(token, tokens, place):
        return 1, token.raw
    return 0, ""


def _is_ordinary(token: Token) -> bool:
    """Whether a word in capitals is an ordinary word and no ticker: then the whole line is shouted, and capitals say nothing."""
    return token.raw.isupper() and token.text not in names() and (token.text in FILLERS | _SHOUTED or token.text in vocabulary())


def lemma_like(word: str) -> str:
    """A word without its plural s."""
    return word.removesuffix("s")


def _said(token: Token) -> str:
    return str(token.value) if token.kind == "number" else token.text


def _may_be_ticker(token: Token, tokens: list[Token], place: int) -> bool:
    """A word in capitals that no table knows."""
    if not re.fullmatch(r"[A-Z]{2,5}(\.[A-Z])?", token.raw) or token.raw in _ACRONYMS or len(tokens) == 1:
        return False
    if token.text in vocabulary() or lemma_like(token.text) in vocabulary():
        return False
    if token.text != token.raw.lower() or token.text in FILLERS | _SHOUTED | PLAIN:
        return False
    return not (place > 0 and tokens[place - 1].text == "not")


def _stands(tokens: list[Token], place: int, size: int, *, capitals: bool) -> bool:
    """Whether a word that is a name and an ordinary word stands where a symbol must."""
    word = tokens[place].text
    before = tokens[place - 1] if place else None
    after = tokens[place + size] if place + size < len(tokens) else None
    after_text = after.text if after is not None else ""
    figures = after is not None and (after.kind in ("number", "pair", "money", "time", "iso") or after_text in _STRUCTURES)
    counted = before is not None and before.kind == "number" and not before.ordinal
    lead = before.text if before is not None else ""
    if word == "lmt" and not capitals:
        return False
    if counted and figures and not (word in _JOINS and after is not None and after.kind not in ("number", "pair")):
        return True
    if lead in _STRONG_LEADS and (after is None or after_text in "?.!," or after_text in _NOUNS):
        return True
    if capitals:
        if word in _EMPHASIS:
            if after_text in _MOVES and lead in ("when", "if", "once", "that", "whenever", ""):
                return True
            if (
                lead == "on"
                and word in ("it", "on", "all", "open", "now")
                and (after is None or after_text in ("please", ",", ".", "thanks", "?") or figures)
            ):
                return True
            if place == 0 and after_text in _NOUNS:
                return True
            if lead in ("close", "roll", "exit", "flatten", "unwind", "chart") and word not in ("all", "it", "out", "now"):
                return True
            if lead in ("roll", "exit", "unwind") and word == "now" and after is not None:
                return True
            return (lead in _LEADS and (figures or after is None or after_text in _NOUNS or after_text in "?")) and not (
                lead in ("trade", "sell", "buy", "short") and after is None
            )
        return word not in _COMMON_ONLY or len(word) > 1 or figures or after_text in _NOUNS or lead in _LEADS
    if word in _LETTERS:
        return (
            (lead in ("on", "of", "my", "for", "sell", "buy", "the", "short") and figures)
            or (lead in ("alert", "when", "if", "once", "that") and after_text in _MOVES)
            or (lead in ("of", "for", "on", "my") and after is None and word not in ("d", "m", "w", "k"))
            or after_text in ("stock", "shares")
            or (lead in ("on", "of", "for") and after is None and word == "f")
        )
    if word in ("it", "lmt"):
        return False
    if word in _COMMON:
        return (
            lead in ("my",)
            and figures
            and word not in ("all", "open", "next", "on", "one", "two", "five", "main", "key", "real", "best", "big")
        )
    if after_text in _MOVES and lead in ("when", "if", "once", "that", "whenever"):
        return True
    return (
        lead in _LEADS
        or lead in ("close", "roll", "exit")
        or after_text in _NOUNS
        or figures
        or (place == 0 and after_text in ("is", "looks", "down", "up", "under", "below", "above"))
    )


_JOINS = frozenset({"on", "at", "in", "or", "so", "be", "for", "a", "all", "are", "go", "day", "can", "has", "next"})
_MOVES = frozenset(
    "is dips dip falls fall drops drop trades trade goes rises rise hits hit breaks break above below "
    "under over crosses gets reaches climbs tanks closes touches moves".split()
)
_SHOUTED = frozenset(
    "sell buy close roll cancel what how show why when where money made today pause kill stop halt flatten "
    "everything puts calls spread positions position pnl risk help open alert".split()
)
_EMPHASIS = frozenset(
    {"now", "all", "on", "out", "go", "open", "it", "are", "can", "has", "he", "one", "you", "so", "or", "be", "big", "run", "i"}
)
_COMMON_ONLY = frozenset({"a", "i", "d"})


def _contract(token: Token) -> Token:
    """An OCC symbol (SPY240119P00480000) or a platform's short form (.SPY240119P480) as what it names."""
    found = re.fullmatch(r"\.?([A-Z]{1,6})\s*(\d{2})(\d{2})(\d{2})([CP])(\d+(?:\.\d+)?)", token.raw.upper())
    if found is None:
        return token
    root, right, digits = found[1], found[5], found[6]
    strike = Decimal(digits) / 1_000 if token.kind == "occ" else Decimal(digits)
    try:
        expiry = date(2000 + int(found[2]), int(found[3]), int(found[4]))
    except ValueError:
        return token
    value = {"symbol": root, "expiry": expiry, "right": "put" if right == "P" else "call", "strike": strike}
    return Token("<contract>", token.raw, token.start, token.end, "contract", value)
