"""Numbers in words, as people say and dictate them: "twenty five hundred", "four eighty", "point one six", "a couple".

A strike is often dictated as two numbers run together ("four eighty" is 480, "fifty eight fifty" is 5850). Numbers that cannot be one are
kept apart: "two four eighty" is 2 and 480, "four eighty four seventy" is 480 and 470.

Worked example: "sell two spy four eighty puts for three twenty" has the numbers 2, 480 and 320, the last of which is a price of 3.20
where the words around it make it one.
"""

from __future__ import annotations

from decimal import Decimal

from bot.intent.tokens import Token

_UNITS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"hundred": 100, "thousand": 1_000, "grand": 1_000}
_WHOLE = {"couple": 2, "halfdozen": 6, "dozen": 12, "onehundred": 100, "onethousand": 1_000, "single": 1}
_OH = frozenset({"oh", "o"})
_ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "eleventh": 11,
    "twelfth": 12,
    "thirteenth": 13,
    "fourteenth": 14,
    "fifteenth": 15,
    "sixteenth": 16,
    "seventeenth": 17,
    "eighteenth": 18,
    "nineteenth": 19,
    "twentieth": 20,
    "thirtieth": 30,
}
_POINTED = frozenset(
    {"that", "this", "the", "which", "last", "other", "another", "no", "any", "every", "each", "first", "next", "new", "old"}
)
_STARTS = frozenset({*_UNITS, *_TENS, *_WHOLE, "point", "hundred", *_ORDINALS})


def join_numbers(tokens: list[Token]) -> list[Token]:
    """The tokens with numbers in words made numbers, and those with a percent sign apart made percentages."""
    return _percents(_spelled(tokens))


def _percents(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    for token in tokens:
        if token.text in ("%", "percent") and found:
            last = found[-1]
            if last.text == "a" and len(found) > 1 and found[-2].text == "half":
                last = found[-2]
                found = [*found[:-2], Token("<percent>", last.raw, last.start, token.end, "percent", Decimal("0.005"))]
                continue
            if last.kind == "number":
                found[-1] = Token("<percent>", last.raw, last.start, token.end, "percent", last.value / 100)
                continue
        found.append(token)
    return found


def _spelled(tokens: list[Token]) -> list[Token]:
    if not any(token.text in _STARTS for token in tokens):
        return tokens
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        size, value = _read(tokens, place)
        if size == 0 or (value == 1 and size == 1 and _is_pronoun(tokens, place)):
            token = tokens[place]
            if token.text in _ORDINALS and token.kind == "word" and _dates(tokens, place):
                token = Token("<number>", token.raw, token.start, token.end, "number", Decimal(_ORDINALS[token.text]), True, ordinal=True)
            found.append(token)
            place += 1
            continue
        first, last = tokens[place], tokens[place + size - 1]
        raw = " ".join(token.raw for token in tokens[place : place + size])
        ordinal = tokens[place + size - 1].text in _ORDINALS
        found.append(Token("<number>", raw, first.start, last.end, "number", value, spelled=True, ordinal=ordinal))
        place += size
    return found


def _is_pronoun(tokens: list[Token], place: int) -> bool:
    """Whether "one" stands for a thing: "that one", "set one up", "the iwm one"."""
    if tokens[place].text != "one":
        return False
    before = tokens[place - 1].text if place else ""
    after = tokens[place + 1].text if place + 1 < len(tokens) else ""
    return (
        before in _POINTED
        or after == "up"
        or (place > 1 and tokens[place - 2].text in ("the", "that", "this") and after in ("", ",", "?", ".", "out", "please"))
    )


def _dates(tokens: list[Token], place: int) -> bool:
    """Whether an ordinal word stands by a month's name, as in "january sixteenth"."""
    near = [token.text for token in tokens[max(0, place - 2) : place + 4]]
    return tokens[place].text != "second" and any(word[:3] in _MONTHS and len(word) >= 3 for word in near)


_MONTHS = frozenset({"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"})


def _read(tokens: list[Token], place: int) -> tuple[int, Decimal]:
    """How many tokens from here are one number, and its value; 0 where none begins."""
    words = [token.text if token.kind == "word" else "" for token in tokens[place : place + 12]]
    if words[0] in _WHOLE:
        return 1, Decimal(_WHOLE[words[0]])
    if words[0] == "point":
        size, digits = _digits(words, 1)
        return (1 + size, Decimal(f"0.{digits}")) if size else (0, Decimal(0))
    size, value = _whole(words, 0)
    if size == 0:
        token = tokens[place]
        if token.kind == "number" and len(words) > 1 and words[1] in _SCALES and words[1] != "grand":  # 25 hundred, 5 thousand
            return 2, token.value * _SCALES[words[1]]
        return 0, Decimal(0)
    if size < len(words) and words[size] == "point":
        more, digits = _digits(words, size + 1)
        if more:
            return size + 1 + more, Decimal(f"{value}.{digits}")
    if words[size : size + 3] in (["and", "a", "half"], ["and", "one", "half"]):
        return size + 3, Decimal(value) + Decimal("0.5")
    if words[size : size + 2] == ["and", "half"]:
        return size + 2, Decimal(value) + Decimal("0.5")
    return size, Decimal(value)


def _digits(words: list[str], place: int) -> tuple[int, str]:
    """Digits after a spoken point: "one six", "sixteen", "oh five", "twenty five"."""
    size, digits = 0, ""
    while place + size < len(words) and size < 4:
        word = words[place + size]
        if word in _OH:
            digits += "0"
        elif word in _UNITS:
            digits += str(_UNITS[word])
        elif word in _TENS:
            following = words[place + size + 1] if place + size + 1 < len(words) else ""
            if 0 < _UNITS.get(following, 0) < 10:
                digits, size = digits + str(_TENS[word] + _UNITS[following]), size + 1
            else:
                digits += str(_TENS[word])
        else:
            break
        size += 1
    return size, digits


def _whole(words: list[str], place: int) -> tuple[int, int]:
    """A whole number in words from a place on: with hundreds and thousands, or dictated in two halves."""
    size, value = _below_hundred(words, place)
    if size == 0:
        return 0, 0
    following = words[place + size] if place + size < len(words) else ""
    if following in _SCALES:
        return _scaled(words, place, size, value)
    if following in _OH and place + size + 1 < len(words) and 0 < _UNITS.get(words[place + size + 1], 0) < 10 and value < 100:
        return size + 2, value * 100 + _UNITS[words[place + size + 1]]  # four oh five
    more, second = _below_hundred(words, place + size, paired=True)
    if more and second >= 10 and value >= 1 and words[place + size + more : place + size + more + 1] not in (["hundred"], ["thousand"]):
        return size + more, value * 100 + second  # four eighty, fifty eight fifty
    return size, value


def _below_hundred(words: list[str], place: int, *, paired: bool = False) -> tuple[int, int]:
    """`paired`: the second half of a dictated number, whose last digit may begin the next one (four eighty, four seventy)."""
    if place >= len(words):
        return 0, 0
    word = words[place]
    if word in _TENS:
        following = words[place + 1] if place + 1 < len(words) else ""
        unit, after = _UNITS.get(following, 0), words[place + 2] if place + 2 < len(words) else ""
        if 0 < unit < 10 and not (paired and (after in _TENS or after in ("dollar", "dollars", "buck", "bucks"))):
            return 2, _TENS[word] + unit
        return 1, _TENS[word]
    if word in _UNITS:
        return 1, _UNITS[word]
    return 0, 0


def _scaled(words: list[str], place: int, size: int, value: int) -> tuple[int, int]:
    total = value
    while place + size < len(words) and words[place + size] in _SCALES:
        total *= _SCALES[words[place + size]]
        size += 1
    joined = place + size < len(words) and words[place + size] == "and"
    more, rest = _below_hundred(words, place + size + joined)
    if more and total >= 1_000 and words[place + size + joined + more : place + size + joined + more + 1] == ["hundred"]:
        more, rest = more + 1, rest * 100
        tail, units = _below_hundred(words, place + size + joined + more + (words[place + size + joined + more :][:1] == ["and"]))
        if tail:
            more, rest = more + tail + (words[place + size + joined + more :][:1] == ["and"]), rest + units
    after = words[place + size + joined + more] if place + size + joined + more < len(words) else ""
    if more and not joined and 0 < rest < total and (after in _TENS or _UNITS.get(after, 0) >= 10):
        return size, total  # six hundred, five ninety
    if more and rest < total:
        return size + joined + more, total + rest
    return size, total
