"""Words of a sentence: characters made ordinary, figures and codes told from words, contractions and slang written out.

A token keeps where it stood and how it was written, since a ticker in capitals and the same letters in lower case differ in what they
can mean. Nothing here knows what a sentence wants.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bot.intent.slang import CONTRACTIONS, PHRASES

LONGEST = 600  # characters that are read; a sentence to a desk is shorter, and time stays bounded
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]")
_ALIKE = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u02bc": "'",
        "`": "'",
        "\u00b4": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u00ab": '"',
        "\u00bb": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": " - ",
        "\u2212": "-",
        "\u2044": "/",
        "\u2026": " ",
        "\u0394": " delta ",
        "\u03b4": " delta ",
        "\u2206": " delta ",
        "\u03b8": " theta ",
        "\u0398": " theta ",
        "\u03b3": " gamma ",
        "\u03bd": " vega ",
        "\u20ac": " eur ",
        "\u00a3": " gbp ",
        "\u00d7": "x",
    }
)
_FRACTIONS = re.compile("([0-9]?)([\u00bd\u00bc\u00be\u2153\u2154])")
_FRACTION_WORDS = {"\u00bd": "half", "\u00bc": "quarter", "\u00be": "3/4", "\u2153": "third", "\u2154": "2/3"}
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_LEX = re.compile(
    rf"""
    (?P<occ>\.?[A-Za-z]{{1,6}}\s{{0,5}}\d{{6}}[CPcp]\d{{8}}\b)
  | (?P<tos>\.?\b[A-Za-z]{{1,6}}\d{{6}}[CPcp]\d+(?:\.\d+)?\b)
  | (?P<iso>\b\d{{4}}-\d{{2}}-\d{{2}}\b(?:\.\.\d{{4}}-\d{{2}}-\d{{2}}\b)?)
  | (?P<dated>\b\d{{1,2}}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*'?\d{{2}}(?:\d{{2}})?\b)
  | (?P<clock>\b\d{{1,2}}:\d{{2}}\s?(?:[ap]m)?\b|\b\d{{1,2}}\s?[ap]m\b)
  | (?P<pair>(?<![\w.])\$?(?:{_NUMBER})[pc]?(?:/\$?(?:{_NUMBER})[pc]?)+(?![\w]))
  | (?P<future>(?<!\w)/[A-Za-z]{{2,3}}\b)
  | (?P<id>\#\s?[A-Za-z0-9][A-Za-z0-9:_-]*)
  | (?P<money>[+-]?\$\s?[+-]?(?:{_NUMBER})\s?(?:[kKmM]\b)?)
  | (?P<cash>\$[A-Za-z]{{1,5}}\b)
  | (?P<code>\b(?-i:(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z][A-Z0-9]{{2,11}})\b)
  | (?P<times>\b[xX]\d+\b)
  | (?P<number>[+-]?(?:{_NUMBER}))(?P<tail>%|[A-Za-z][A-Za-z0-9]*)?
  | (?P<word>[^\W\d_][\w'&]*(?:[-.][^\W\d_][\w']*)*)
  | (?P<sign>[?!.,;:()"@%/<>=&+-])
  | (?P<other>\S)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_TAILS = {
    "dte": ("dte",),
    "d": ("d",),
    "p": ("put",),
    "c": ("call",),
    "put": ("put",),
    "puts": ("puts",),
    "call": ("call",),
    "calls": ("calls",),
    "x": ("x",),
    "m": ("m",),
    "lot": ("lot",),
    "lots": ("lots",),
    "pt": ("point",),
    "pts": ("point",),
    "delta": ("delta",),
    "deltas": ("delta",),
    "day": ("day",),
    "days": ("day",),
    "wk": ("week",),
    "w": ("w",),
    "wide": ("wide",),
    "mo": ("month",),
    "min": ("minute",),
    "mins": ("minute",),
    "h": ("hour",),
    "hr": ("hour",),
    "hrs": ("hour",),
    "ct": ("contracts",),
    "cr": ("credit",),
    "st": (),
    "nd": (),
    "rd": (),
    "th": (),
    "pct": ("%",),
    "y": ("year",),
    "yr": ("year",),
    "s": (),
    "r": ("r",),
    "bps": ("bps",),
}
_MONTH = re.compile(r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*\d")
_ORDINALS = frozenset({"st", "nd", "rd", "th"})


@dataclass(slots=True)
class Token:
    """A word or a figure. `kind` says what it was read as, `value` what that is, `text` is lower case and as patterns see it."""

    text: str
    raw: str
    start: int
    end: int
    kind: str = "word"
    value: Any = None
    spelled: bool = False  # a number written in words
    ordinal: bool = False
    mended: bool = False  # a slip of the finger was put right
    used: bool = field(default=False, compare=False)


def cleaned(text: str) -> str:
    """A text in ordinary characters: full-width digits, curly quotes, Greek letters and what cannot be seen are written plainly."""
    plain = _FRACTIONS.sub(lambda found: f"{found[1]}{'.5 ' if found[1] else ' ' + _FRACTION_WORDS[found[2]] + ' '}", text[:LONGEST])
    plain = unicodedata.normalize("NFKC", _UNSEEN.sub("", plain)).translate(_ALIKE)
    return " ".join("".join(character if character.isprintable() else " " for character in plain).split())[: 2 * LONGEST]


def tokens_of(text: str) -> list[Token]:
    """The tokens of a cleaned text, contractions written out."""
    found: list[Token] = []
    for match in _LEX.finditer(text):
        if (
            match[0] == "-"
            and found
            and found[-1].kind == "number"
            and found[-1].end == match.start()
            and text[match.end() : match.end() + 1].isalnum()
        ):
            continue  # 45-day, 16-delta
        found += _tokens(match)
    return found


def _tokens(match: re.Match[str]) -> list[Token]:
    kind, raw, start, end = match.lastgroup or "", match[0], match.start(), match.end()
    if kind in ("number", "tail"):
        return _number(match)
    if kind == "money":
        return [Token("<money>", raw, start, end, "money", _amount(raw))]
    if kind == "word":
        return _word(raw, start, end)
    if kind == "id":
        return [Token("<id>", raw, start, end, "id", raw[1:].strip())]
    if kind == "iso" and ".." in raw:
        first, second = raw.split("..")
        dots = [Token(".", ".", start + 10, start + 11, "sign"), Token(".", ".", start + 11, start + 12, "sign")]
        return [Token(first, first, start, start + 10, "iso"), *dots, Token(second, second, start + 12, end, "iso")]
    if kind == "dated":
        found = re.fullmatch(r"(\d+)([a-z]+)'?(\d+)", raw.lower())
        day, month_name, year = (found[1], found[2], found[3]) if found is not None else ("", "", "")
        number = Decimal(year if len(year) == 4 else f"20{year}")
        return [
            Token("<number>", day, start, end, "number", Decimal(day), ordinal=True),
            Token(month_name[:3], month_name, start, end),
            Token("<number>", str(number), start, end, "number", number),
        ]
    if kind == "code":
        return _code(raw, start, end)
    if kind == "times":
        return [Token("x", "x", start, start + 1), Token("<number>", raw[1:], start + 1, end, "number", Decimal(raw[1:]))]
    if kind == "clock":
        return [Token("<clock>", raw, start, end, "clock", raw)]
    if kind == "other":
        return [Token(raw, raw, start, end, "other")]
    return [Token(raw.lower(), raw, start, end, kind)]


def _code(raw: str, start: int, end: int) -> list[Token]:
    """Capitals and digits run together: a ticker with its strike (MSFT550C), or an id."""
    if re.fullmatch(r"[PC]\d{2,5}|[A-Z]{3,9}\d{1,2}|X\d+", raw) and ((raw[0] in "PCX" and raw[1].isdigit()) or _MONTH.match(raw.lower())):
        return (
            _word(raw, start, end)
            if raw[0] != "X"
            else [Token("x", "x", start, start + 1), Token("<number>", raw[1:], start + 1, end, "number", Decimal(raw[1:]))]
        )
    found = re.fullmatch(r"([A-Z]{2,5})(\d{2,5})([CP]?)", raw)
    if found is not None:
        from bot.intent.symbols import tickers  # the table of names, which is itself made of tokens

        if found[1] in tickers():
            split = start + len(found[1])
            right = [Token({"C": "call", "P": "put"}[found[3]], found[3], end - 1, end)] if found[3] else []
            return [
                Token(found[1].lower(), found[1], start, split),
                Token("<number>", found[2], split, end, "number", Decimal(found[2])),
                *right,
            ]
    return [Token("<id>", raw, start, end, "id", raw)]


def _amount(raw: str) -> Decimal:
    digits = raw.lower().replace("$", "").replace(",", "").replace(" ", "").replace("+", "")
    scale = {"k": 1_000, "m": 1_000_000}.get(digits[-1:], 1)
    return Decimal(digits.rstrip("km")) * scale


def _number(match: re.Match[str]) -> list[Token]:
    raw, tail, start, end = match["number"], (match["tail"] or ""), match.start(), match.end()
    value = Decimal(raw.replace(",", "").lstrip("+"))
    low = tail.lower()
    month = re.fullmatch(r"(jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*", low)
    if month is not None:  # 16jan, 21aug26
        return [Token("<number>", raw, start, start + len(raw), "number", value, ordinal=True), Token(low, tail, start + len(raw), end)]
    if low == "c" and "." not in raw and value < 100 and match.string[max(0, start - 4) : start].strip().endswith(("for", "at", "@")):
        return [Token("<money>", match[0], start, end, "money", value / 100)]  # 85c
    if low == "k":
        return [Token("<number>", match[0], start, end, "number", value * 1_000)]
    if low and low != "%" and low not in _TAILS:  # letters run on: a code nobody can read as a number
        return [Token(match[0].lower(), match[0], start, end, "other")]
    token = Token("<number>", raw, start, start + len(raw), "number", value, ordinal=low in _ORDINALS)
    if low in ("%", "pct"):
        return [Token("<percent>", match[0], start, end, "percent", value / 100)]
    return [token, *(Token(word, tail, start + len(raw), end, "word" if word != "d" else "d") for word in _TAILS.get(low, ()))]


def _word(raw: str, start: int, end: int) -> list[Token]:
    low = raw.lower().rstrip("'")
    dated = re.fullmatch(r"(jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*(\d{1,2})(?:'?(\d{2}))?", low)
    if dated is not None:  # jan16, jan16'26
        split = start + len(low) - len(dated[2]) - (len(dated[3]) if dated[3] else 0)
        year = [Token("<number>", f"20{dated[3]}", end - 2, end, "number", Decimal(2000 + int(dated[3])))] if dated[3] else []
        return [
            Token(dated[1], raw, start, split),
            Token("<number>", dated[2], split, end, "number", Decimal(dated[2]), ordinal=True),
            *year,
        ]
    strike = re.fullmatch(r"([pc])(\d{2,5})", low)
    if strike is not None:  # P580
        return [
            Token("<number>", raw, start, end, "number", Decimal(strike[2])),
            Token("put" if strike[1] == "p" else "call", raw, start, end),
        ]
    possessive = low.endswith("'s") and low not in CONTRACTIONS
    if possessive:
        low, raw = low[:-2], raw[:-2]
    if low in CONTRACTIONS:
        return [Token(word, word, start, end) for word in CONTRACTIONS[low]]
    if low.endswith("n't"):
        return [Token(low[:-3], raw[:-3], start, end), Token("not", "not", start, end)]
    if "-" in low and low not in PHRASES:
        parts, place, found = raw.split("-"), start, []
        for part in parts:
            found += _word(part, place, place + len(part)) if part else []
            place += len(part) + 1
        return found
    return [Token(low.replace("'", "") if low != "'" else low, raw, start, end)] if low else []


def in_plain_words(tokens: list[Token]) -> list[Token]:
    """Slang of one or several words replaced by plain words, the longest first."""
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        for words, plain in PHRASES.get(token.text, ()):
            size = len(words)
            if size == 1 and _is_letter(token):
                continue
            if tuple(other.text for other in tokens[place : place + size]) == words:
                last = tokens[place + size - 1]
                found += [Token(word, token.raw if size == 1 else word, token.start, last.end) for word in plain]
                place += size
                break
        else:
            found.append(token)
            place += 1
    return found


def spelled_letters(tokens: list[Token], known: frozenset[str]) -> list[Token]:
    """Tickers spelled letter by letter ("s p y") as one word."""
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        size = 0
        while place + size < len(tokens) and size < 5 and tokens[place + size].kind == "word" and len(tokens[place + size].raw) == 1:
            size += 1
        while size > 2 and "".join(token.raw for token in tokens[place : place + size]).upper() not in known:
            size -= 1
        if size > 2:
            word = "".join(token.raw for token in tokens[place : place + size])
            found.append(Token(word.lower(), word, tokens[place].start, tokens[place + size - 1].end))
            place += size
            continue
        found.append(tokens[place])
        place += 1
    return found


def _is_letter(token: Token) -> bool:
    """Whether this is one capital letter, which may be a ticker (U, R) and is never slang."""
    return len(token.raw) == 1 and token.raw.isupper()
