"""What the figures of an order are: quantity, strikes, delta, width, price, days. Each figure is told by the words around it.

A figure that could be two things is left unread, and the order is then asked about: no strike, quantity or price is ever guessed.

Worked example: in "sell 2 spy 480 puts at 16 delta for 1.25" the 2 stands between a verb and a symbol and is a quantity, 480 stands before
"puts" and is a strike, 16 before "delta" is 0.16, and 1.25 after "for" is the limit.
"""

from __future__ import annotations

import re
from decimal import Decimal

from bot.intent.figure_parts import COUNTED, EXPIRES, PARTS, RIGHTS, Figures, delta_of, spoken_price
from bot.intent.figure_places import Placing
from bot.intent.tokens import Token
from bot.intent.when import When

__all__ = ["PARTS", "FigureReader", "Figures"]


class FigureReader(Placing):
    """Reads the figures of a sentence once; marks what it used."""

    def read(self) -> Figures:
        """All figures of the sentence."""
        readers = {
            "contract": self._contract,
            "id": self._id,
            "pair": self._pair,
            "percent": self._percent,
            "money": self._money,
            "time": self._time,
            "number": self._number,
        }
        for place, token in enumerate(self._tokens):
            if token.used:
                continue
            reader = readers.get(token.kind)
            if reader is not None:
                reader(place, token)
            elif token.text in RIGHTS:
                self._found.rights.append(RIGHTS[token.text])
                token.used = True
        self._place_bare()
        return self._found

    # --- kinds of tokens -------------------------------------------------------------------------------------------------

    def _contract(self, place: int, token: Token) -> None:
        value = token.value
        self._add_strikes([value["strike"]])
        self._found.rights.append(value["right"])
        self._found.whens.append(When(ahead=value["expiry"], back=value["expiry"]))
        token.used = True

    def _id(self, place: int, token: Token) -> None:
        self._set("position", str(token.value), place)

    def _pair(self, place: int, token: Token) -> None:
        parts = re.findall(r"([\d,]*\.?\d+)([pc]?)", token.text)
        numbers = [Decimal(number.replace(",", "")) for number, _ in parts]
        self._found.rights += [{"p": "put", "c": "call"}[right] for _, right in parts if right and len(parts) > 2]
        following = self._text(place + 1)
        token.used = True
        if following in ("dte", "day", "days") or (self._structure in ("calendar", "diagonal") and following in ("dte", "day")):
            self._found.whens += [When(days=int(number)) for number in numbers]
            self._use(place + 1)
            return
        if following in ("week", "weeks"):
            self._found.whens += [When(days=7 * int(number)) for number in numbers]
            self._use(place + 1)
            return
        if following == "delta" and len(numbers) == 2 and numbers[0] == numbers[1]:
            self._set("delta", delta_of(numbers[0]), place)
            self._use(place + 1)
            return
        if following == "delta":
            self._found.loose.append(token.text)
            return
        self._add_strikes(numbers)

    def _percent(self, place: int, token: Token) -> None:
        near = {self._text(index) for index in range(place - 4, place + 4)}
        if near & {"target", "profit", "profits", "gain", "tp"} and not self._closing:
            self._set("target", token.value, place)
        elif near & {"stop", "sl", "loss"} and not self._closing:
            self._set("stop", token.value, place)
        elif self._closing and not near & {"profit", "up", "down", "loss", "target", "gain"}:
            self._set("fraction", token.value, place)
        elif self._closing:
            token.used = True
        else:
            self._found.loose.append(token.raw)

    def _money(self, place: int, token: Token) -> None:
        following, after = self._text(place + 1), self._text(place + 2)
        if (
            following == "wide"
            or (following in ("point", "points") and after == "wide")
            or after == "wide"
            or "width" in (following, self._before(place))
        ):
            self._set("width", token.value, place)
        elif following in ("strike", "strikes", "put", "puts", "call", "calls") or self._before(place) in ("strike", "strikes"):
            self._add_strikes([token.value])
            token.used = True
        else:
            self._set("price", abs(token.value), place)

    def _time(self, place: int, token: Token) -> None:
        when: When = token.value
        before = self._before(place, skip=frozenset({"the", "a", "in", "on", "at", "by"}))
        if self._past:
            self._past_time(place, token, when, before)
            return
        if token.text in ("daily",) or (when.ahead is None and when.days is None):
            self._found.loose.append(token.raw)
            return
        if (
            not when.named
            and token.text in ("today", "this morning", "this afternoon", "tonight")
            and before not in EXPIRES
            and self._text(place + 1) not in EXPIRES
        ):
            token.used = True
            return
        if (
            token.text == "tomorrow"
            and before not in EXPIRES
            and self._text(place + 1) not in EXPIRES
            and self._text(place - 1) != "for"
            and self._text(place + 1) not in RIGHTS
        ):
            self._found.loose.append(token.raw)
            return
        token.used = True
        if when.days is not None and self._corrects(place) and self._structure not in ("calendar", "diagonal"):
            self._found.whens = [other for other in self._found.whens if other.days is None]
        self._found.whens.append(when)

    def _past_time(self, place: int, token: Token, when: When, before: str) -> None:
        token.used = True
        expires = before in EXPIRES - {"for"} or self._text(place + 1) in EXPIRES - {"for"}
        nexts = self._text(place + 1) in RIGHTS or self._text(place + 1) in (
            "put",
            "puts",
            "call",
            "calls",
            "monthly",
            "for",
            "@",
            "at",
            "<strategy>",
        )
        on = (
            self._text(place - 1) in ("on", "last")
            or token.text.startswith(("on ", "last ", "yesterday", "today", "this "))
            or not when.named
        )
        if when.days is not None and when.ahead is not None and "ago" not in token.text:
            self._found.whens.append(when)
        elif (on and not expires) or when.ahead is None:
            self._found.done = when.back
        elif expires or nexts or self._found.done is not None or self._month_day(token):
            self._found.whens.append(when)
        else:
            self._found.done = when.back

    @staticmethod
    def _month_day(token: Token) -> bool:
        return re.search(r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|\d", token.text) is not None

    def _number(self, place: int, token: Token) -> None:
        value: Decimal = token.value
        following, after, before = self._text(place + 1), self._text(place + 2), self._before(place)
        if token.used:
            return
        if (
            self._text(place - 1) in ("the", "a")
            and self._text(place - 2) in ("sell", "buy", "short", "long")
            and self._spread
            and value >= 5
            and following not in ("delta", "dte", "wide")
        ):
            self._add_strikes([value])
            token.used = True
            return
        if following == "%" or (after == "%" and following == ""):
            self._percent(place, Token("<percent>", token.raw, token.start, token.end, "percent", value / 100))
            token.used = True
            return
        if following == "delta" or ((following == "d" and abs(value) <= 50 and self._kind(place + 2) != "word_") and self._delta_d(place)):
            self._delta_here(place, place + 1)
        elif (
            before == "delta"
            and self._found.delta is None
            and self._kind(place + 1) != "number"
            and following not in ("put", "puts", "call", "calls", "contracts", "dte")
        ):
            self._set("delta", delta_of(abs(value)), place)
        elif following == "d":
            self._found.whens.append(When(days=int(value)))
            token.used = True
            self._use(place + 1)
        elif (
            following == "wide"
            or (
                following in ("point", "points", "dollars", "dollar", "strike", "strikes", "pt")
                and after in ("wide", "wing", "wings", "spread", "width", "apart")
            )
            or following in ("wing", "wings", "w", "width")
            or before in ("width", "wide", "wings", "wing")
        ):
            self._set("width", value, place)
            if following in ("point", "points", "dollars", "dollar", "strike", "strikes", "w", "wide", "wing", "wings", "width"):
                self._use(place + 1)
        elif following in ("shares", "share", "shs") or self._kind(place + 1) == "shares":
            self._found.shares = int(value)
            self._found.counts = True
            token.used = True
        elif self._kind(place + 1) == "symbol" and self._kind(place + 2) == "shares":
            self._found.shares = int(value)
            token.used = True
        elif following in ("cent", "cents"):
            self._set("price", value / 100, place)
        elif following in ("dollars", "dollar", "bucks", "buck"):
            self._set("price", value, place)
            if self._kind(place + 2) == "number" and self._text(place + 3) not in ("contracts", "lots"):
                self._set_price(value + self._tokens[place + 2].value / 100, place + 2)
        elif following in ("strike", "strikes") or (
            before in ("strike", "strikes", "struck")
            and self._text(place - 1) not in ("at", "@", "for")
            and following not in COUNTED - {"x", "of"}
        ):
            self._add_strikes([value])
            token.used = True
        elif (
            (following in COUNTED and self._is_count(place, value))
            or (before in ("x", "quantity", "times", "size") and value == int(value))
            or (self._text(place - 1) == "for" and self._found.price is not None and value == int(value) and value < 100)
        ):
            self._set("quantity", int(value), place)
        elif (
            self._structure in ("calendar", "diagonal")
            and following in ("and", "against", "versus", "to", "-")
            and self._kind(place + 2) == "time"
            and self._tokens[place + 2].value.days is not None
            and value == int(value)
        ):
            self._found.whens.append(When(days=int(value)))
            token.used = True
            self._use(place + 1)
        elif self._is_price(place, token, following, before):
            self._set("price", spoken_price(token), place)
            self._found.price = abs(self._found.price) if self._found.price is not None else None
        else:
            self._bare.append(place)

    def _delta_d(self, place: int) -> bool:
        """Whether "16d" is a delta: it stands before a right, or days are said elsewhere."""
        value = self._tokens[place].value
        return (
            value < 1
            or self._text(place + 2) in RIGHTS
            or (
                value in (5, 10, 16, 20)
                and any(other.kind == "time" and isinstance(other.value, When) and other.value.days is not None for other in self._tokens)
            )
        )

    def _delta_here(self, place: int, marker: int) -> None:
        self._set("delta", delta_of(abs(self._tokens[place].value)), place)
        self._use(marker)

    def _is_count(self, place: int, value: Decimal) -> bool:
        following = self._text(place + 1)
        if value != int(value) or value < 1:
            return False
        if following == "x" and self._kind(place + 2) == "number" and self._tokens[place].value > 20:
            return False
        pointed = (
            following == "of" and self._text(place + 2) in ("my", "the", "those", "these", "them") and self._kind(place + 3) == "number"
        )
        if pointed and (self._text(place + 4) not in RIGHTS or self._tokens[place + 3].value < 20):
            self._use(place + 3)  # one of my three
        if following == "of":
            return (
                self._text(place + 2) in ("my", "the", "those", "these", "them", "our", "a", "his", "any", "position")
                or self._kind(place + 2) == "symbol"
            )
        return True

    def _is_price(self, place: int, token: Token, following: str, before: str) -> bool:
        value = token.value
        direct = self._text(place - 1)
        if direct == "@" or (
            before in ("limit", "lmt", "price", "pay", "paying", "paid", "debit", "collect", "premium", "want", "least") and value < 500
        ):
            return following not in ("put", "puts", "call", "calls", "delta") and not (
                before == "want" and value == int(value) and not token.spelled
            )
        if following in ("credit", "debit", "cr", "db", "lmt", "limit", "premium") and not (
            following in ("lmt", "limit") and self._kind(place + 2) == "number"
        ):
            return not (self._spread and following in ("credit", "debit") and self._text(place + 2) in ("spread", "put", "call"))
        if before == "credit" and self._text(place - 1) in ("credit", "of", "at") and value < 500:
            return True
        if direct == "for" and (self._priced(place) or value != int(value)):
            return following not in ("put", "puts", "call", "calls", "dte", "day", "days", "contracts", "shares")
        if direct == "at" and following not in ("strike", "put", "puts", "call", "calls"):
            return self._at_is_price(value)
        if direct in ("a", "an") and self._text(place - 2) in ("for", "at"):
            return following in ("credit", "debit", "cr", "db", "")
        if self._text(place + 1) == "or" and self._text(place + 2) == "better":
            return True
        return direct == "net" and value < 500

    def _priced(self, place: int) -> bool:
        """Whether what "for N" gives is a price: strikes, a structure or a contract are named already, and N is no count."""
        value = self._tokens[place].value
        return value < 100 or self._tokens[place].spelled or self._structure == "stock"

    def _at_is_price(self, value: Decimal) -> bool:
        if self._structure == "stock" or self._closing:
            return True
        if self._found.strikes or any(other.kind == "pair" for other in self._tokens) or self._found.delta is not None:
            return True
        if self._bare and any(self._text(index + 1) in RIGHTS or self._kind(index - 1) == "symbol" for index in self._bare):
            return True
        if value * 2 == int(value * 2) and value >= 3:
            return False  # at 10.5: a strike
        return value != int(value)
