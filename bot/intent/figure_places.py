"""Figures without a word of their own, told by where they stand: before the symbol a quantity, after it a strike, last a price."""

from __future__ import annotations

from decimal import Decimal

from bot.intent.figure_parts import COINS, PARTS, RIGHTS, SINGLES, Around
from bot.intent.tokens import Token
from bot.intent.words import BUY, SELL


class Placing(Around):
    """Places the bare figures of a sentence."""

    # --- what has no words of its own --------------------------------------------------------------------------------------

    def _place_bare(self) -> None:
        """Place figures by where they stand: before the symbol a quantity, after it or before a right a strike, last a price."""
        anchor = next((index for index, token in enumerate(self._tokens) if token.kind in ("symbol", "contract")), None)
        for place in self._bare:
            token = self._tokens[place]
            if token.used:
                continue
            self._place_one(place, token, anchor)
        self._settle()

    def _place_one(self, place: int, token: Token, anchor: int | None) -> None:
        value: Decimal = token.value
        whole = value == int(value) and value >= 1
        before_right = self._text(place + 1) in RIGHTS and self._text(place + 2) not in ("spread", "spreads", "vertical")
        paired = (
            self._free(place + 1)
            or self._free(place - 1)
            or (self._text(place + 1) in ("and", "over", "by", "to", "-") and self._free(place + 2))
            or (self._text(place - 1) in ("and", "over", "by", "to", "-") and self._free(place - 2))
        )
        if self._found.quantity is not None and value == self._found.quantity and not paired:
            token.used = True  # said once more
        elif (
            whole
            and value <= 20
            and not self._spread
            and self._found.quantity is None
            and self._text(place - 1) in SELL | BUY
            and self._free(place + 1)
            and (self._tokens[place + 1].value >= 20)
        ):
            self._set("quantity", int(value), place)  # two 200 calls
        elif 0 < value < 1 and self._found.delta is None and not self._found.strikes and not self._closing and not self._past:
            self._set("delta", value, place)
        elif self._text(place - 1) in ("own", "have", "hold", "owning") and self._structure != "stock":
            token.used = True  # what is held is no size of the order
        elif self._structure == "stock" and whole and self._found.shares is None and self._kind(place + 1) in ("symbol", "shares"):
            self._found.shares, token.used = int(value), True
        elif self._structure == "stock":
            self._set("price", value, place) if not whole else self._found.loose.append(token.raw)
        elif (
            whole
            and anchor is not None
            and place == anchor + 1
            and self._kind(place + 1) == "structure"
            and (value > 20 or self._found.quantity is not None)
        ):
            self._after_symbol(place, token)
        elif whole and value <= 1_000 and not paired and self._leads(place, anchor):
            self._count_or_strike(place, token, before_right=before_right, anchor=anchor)
        elif (
            (self._structure in ("calendar", "diagonal") and value >= 5 and place > (anchor if anchor is not None else -1))
            or (self._spread and paired and value >= 1)
            or (before_right and (anchor is None or place > anchor or value > 20))
        ):
            self._add_strikes([value])
            token.used = True
        elif anchor is not None and place == anchor + 1 and value >= 1:
            self._after_symbol(place, token)
        elif (
            not whole
            and self._found.price is None
            and (
                self._found.strikes
                or self._structure == "stock"
                or self._closing
                or self._past
                or (self._found.whens and (self._found.delta or self._found.width))
            )
        ):
            self._set("price", value, place)
        elif (
            (paired and value >= 1)
            or (
                self._text(place - 1) == "at"
                and value >= 3
                and not self._found.strikes
                and not self._closing
                and self._structure in SINGLES
            )
        ) or (
            value > 20
            and not self._found.strikes
            and not self._closing
            and (self._text(place - 1) in ("at", "the", "a") or self._structure in SINGLES)
        ):
            self._add_strikes([value])
            token.used = True
        elif (whole and self._closing and self._found.quantity is None and value <= 100) or (
            whole
            and not self._closing
            and self._found.quantity is None
            and self._found.strikes
            and value <= 100
            and self._text(place - 1) not in ("at", "for", "and")
        ):
            self._set("quantity", int(value), place)
        else:
            self._found.loose.append(token.raw)

    def _leads(self, place: int, anchor: int | None) -> bool:
        """Whether a figure stands where a count stands: after a verb or first, before what is counted."""
        before = self._text(place - 1)
        following = self._text(place + 1)
        if anchor is not None and place < anchor and (place == 0 or self._kind(place - 1) not in ("number", "symbol")):
            return True
        if self._kind(place + 1) == "structure":
            return True
        return before in (
            "sell",
            "buy",
            "sto",
            "bto",
            "stc",
            "btc",
            "short",
            "write",
            "sold",
            "bought",
            "close",
            "roll",
            "all",
            "only",
            "just",
            "open",
            "another",
            "cover",
            "exit",
        ) and (self._text(place - 2) not in ("strike",) and following not in ("strike",))

    def _count_or_strike(self, place: int, token: Token, *, before_right: bool, anchor: int | None) -> None:
        value = token.value
        if before_right and (anchor is None or anchor > place) and value > 20:
            named = self._found.quantity is not None or self._found.strikes
            if value >= 100 or named or self._kind(place - 1) == "number":
                self._add_strikes([value])
                token.used = True
            else:
                self._found.loose.append(token.raw)  # "sell 50 puts on X": fifty of them, or those at 50?
            return
        if self._found.quantity is not None and self._found.quantity != value and before_right:
            self._add_strikes([value])
            token.used = True
            return
        self._set("quantity", int(value), place)

    def _after_symbol(self, place: int, token: Token) -> None:
        value = token.value
        if self._closing and self._text(place + 1) not in RIGHTS and value == int(value) and value <= 100 and self._kind(place + 1) == "":
            self._set("quantity", int(value), place)
            return
        if self._kind(place + 1) == "structure" and self._structure in ("iron_condor",) and value <= 100 and value == int(value):
            self._set("quantity", int(value), place)
            return
        self._add_strikes([value])
        token.used = True

    def _settle(self) -> None:
        """Coins and parts in words."""
        for place, token in enumerate(self._tokens):
            if token.used or token.kind != "word":
                continue
            lead = self._text(place - 1), self._text(place - 2)
            if (
                token.text in COINS
                and lead[0] in ("a", "one", "for", "@")
                and not (token.text == "quarter" and self._text(place + 1) == "of")
            ):
                if lead[1] in ("for", "at", "@", "limit", "pay", "want") or token.text != "quarter":
                    self._set("price", COINS[token.text], place)
            elif token.text in PARTS and (self._closing or self._past):
                self._set("fraction", PARTS[token.text], place)
