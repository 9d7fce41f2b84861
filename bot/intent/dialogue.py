"""What is said next: an answer to the desk's question, a change to what was asked before, or a word that points back ("close half of it").

A sentence that is whole by itself is taken by itself, above all one that stops something. Where it is a piece, it completes or changes what
went before, and the result is one frame. What the desk said (a headline, a journal) is searched for names of things and never for orders.

Worked example: after "sell a put on spy" and the desk's "Which strike or delta, and how many days?", "16 delta 45 days" gives
`open naked_put SPY delta=0.16 dte=45`; after "iron condor spx 45 dte" and its card, "make it 30 days" gives the condor at 30 days.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from bot.intent import guards
from bot.intent.figures import FigureReader
from bot.intent.frames import AMBIGUOUS, ENDINGS, OUT_OF_SCOPE, SMALLTALK, Frame
from bot.intent.kinds import order_kind
from bot.intent.offline import single
from bot.intent.patterns import Tagged
from bot.intent.sentence import Sentence, read
from bot.intent.slots import slots_of
from bot.intent.words import FILLERS

LONGEST = 6  # turns that are looked at
_POINTERS = frozenset(
    {
        "it",
        "that",
        "this",
        "those",
        "these",
        "them",
        "one",
        "ones",
        "both",
        "same",
        "rest",
        "second",
        "first",
        "third",
        "last",
        "other",
        "remainder",
        "half",
    }
)
_STARTS = frozenset(
    {
        "and",
        "also",
        "same",
        "only",
        "just",
        "instead",
        "whatabout",
        "make",
        "then",
        "but",
        "or",
        "ok",
        "now",
        "with",
        "actually",
        "no",
        "not",
        "do",
        "try",
        "use",
        "change",
        "yes",
        "sure",
    }
)
_CHANGES = frozenset({"also", "same", "make", "only", "just", "above", "below", "over", "under"})
_STOPS = frozenset({"kill", "halt", "pause", "resume", "unhalt"})
_INHERIT = frozenset({"quote", "iv", "earnings", "news", "flow", "chain"})
_HELD = frozenset({"close", "roll", "positions"})
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}
_MOST_WORDS = 14  # of an answer; more is a sentence of its own
_DIRECTIONS = {"both": "down_and_out", "down": "down", "up": "up", "out": "out"}


def follow_up(text: str, context: Sequence[Mapping[str, str]], today: date) -> Frame | None:
    """The frame of a text said after others; None where it is to be taken by itself."""
    turns = [turn for turn in context if isinstance(turn.get("text"), str)][-LONGEST:]
    before = next((turn["text"] for turn in reversed(turns) if turn.get("role") == "user"), "")
    told = next((turn["text"] for turn in reversed(turns) if turn.get("role") == "bot"), "")
    if not before or guards.pasted(text) or guards.without_quotes(text)[1]:
        return None
    alone = single(text, today)
    named = re.search(r"\b[Tt]icket\s+#?([A-Z0-9]{2,12})\b", told)
    if named is not None and re.search(r"\b(?:drop|discard|scrap|forget|throw|bin|toss)\b", text.lower()) and len(text.split()) <= 8:
        return Frame(label="drop", slots={"ticket": named[1]})
    if alone.label in _STOPS or alone.label == SMALLTALK:
        return _meant_stop(alone, text, before, told, today)
    sentence = read(text, today)
    words = [token.text for token in sentence.tokens if token.kind != "sign"]
    if not words or len(words) > _MOST_WORDS:
        return None
    earlier = [turn for turn in turns if turn.get("text") not in (before, told)]
    prior = single(before, today) if not earlier else (follow_up(before, earlier, today) or single(before, today))
    return _Follow(text, sentence, words, alone, prior, before, told, today).frame()


def _meant_stop(alone: Frame, text: str, before: str, told: str, today: date) -> Frame:
    """A stop as it was said, with the strategy that "them" stands for, or the order that an ordinal picks from a list."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    if alone.label in ("pause", "resume") and "strategy" not in alone.slots and words & {"them", "those", "these", "that", "it"}:
        named = [token.value for said in (before, told) for token in read(said, today).of("structure")]
        if named:
            return replace(alone, slots={**alone.slots, "strategy": named[0]})
    if alone.label == "kill" and words & set(_ORDINALS) and not words & {"everything", "all", "switch"} and (orders := _orders_in(told)):
        place = next(_ORDINALS[word] for word in sorted(words) if word in _ORDINALS)
        if -len(orders) <= place < len(orders) and not re.search(r"kill everything|\bkill\b", told.lower()):
            return Frame(label="cancel", slots={"order_id": orders[place]})
    return alone


def _orders_in(told: str) -> list[str]:
    """The ids of orders in what the desk said."""
    if not re.search(r"\b[Oo]rders?\b|\b[Ww]orking\b", told):
        return []
    return list(dict.fromkeys(re.findall(r"(?:\b[Oo]rders?(?:\s+[a-z]+){0,2}:?\s+#?|#)([A-Z]?\d[\w-]*)", told)))


class _Follow:
    """One text in the light of the turn before it."""

    def __init__(
        self, text: str, sentence: Sentence, words: list[str], alone: Frame, prior: Frame, before: str, told: str, today: date
    ) -> None:
        self._text, self._sentence, self._words, self._alone, self._prior = text, sentence, words, alone, prior
        self._before, self._told, self._today = before, told, today
        self._asked = told.rstrip().endswith("?")

    def frame(self) -> Frame | None:
        """The merged frame, None where the text stands by itself."""
        pointed = self._pointed()
        if pointed is not None:
            return pointed
        if self._whole():
            if (
                self._alone.label == self._prior.label
                and set(self._words) & {"that", "it", "this", "those", "them"}
                and not self._prior.ends
            ):
                return replace(self._alone, slots={**self._prior.slots, **self._alone.slots})
            return self._inherited()
        if self._prior.label in (SMALLTALK, OUT_OF_SCOPE):
            return None
        if self._alone.partial == "open" and self._prior.label in ("chain", "quote") and (joined := self._from_chain()) is not None:
            return joined
        if self._asked or self._prior.label == AMBIGUOUS:
            completed = self._completed()
            if completed is not None:
                return completed
        return self._changed()

    # --- by itself -------------------------------------------------------------------------------------------------------

    def _whole(self) -> bool:
        """Whether the text is a sentence of its own and no piece of the last one."""
        alone = self._alone
        if alone.label in ENDINGS:
            return False
        if self._words[0] == "same":
            return False
        if alone.label == "quote" and len(self._words) <= 4 and not set(self._words) & {"quote", "price", "last", "bid", "spot"}:
            return False  # a bare symbol is an answer first
        if alone.label in ("pnl", "chain", "quote", "calendar", "next", "positions") and self._is_piece() and self._asked:
            return False
        piece = self._words[0] in _STARTS and (
            alone.label == self._prior.label or alone.label in ("pnl", "stress", "chain", "positions", "settings", "close", "alert")
        )
        if piece and self._words[0] in ("and", "same", "also", "only", "whatabout", "just", "make"):
            return False
        if (
            alone.label == self._fragment_label()
            and len(self._words) <= 4
            and alone.label in ("close", "roll", "open", "alert", "chain", "settings", "size")
            and order_kind(self._sentence.tokens) is None
        ):
            return False
        if alone.label == "open" and self._asked and not self._verbs():
            return False
        return not (set(self._words) & {"instead"} and alone.label not in ("close", "roll", "cancel"))

    def _is_piece(self) -> bool:
        """Whether only figures, days, rights and symbols are said: an answer, and no question."""
        kinds = {"time", "number", "percent", "money", "pair", "sign", "symbol", "structure"}
        return all(
            token.kind in kinds or token.text in FILLERS or token.text in ("put", "puts", "call", "calls")
            for token in self._sentence.tokens
        )

    def _fragment_label(self) -> str:
        return self._prior.partial or self._prior.label

    def _verbs(self) -> bool:
        return bool(set(self._words) & {"sell", "buy", "sto", "bto", "open", "short", "close", "roll", "write"})

    def _inherited(self) -> Frame | None:
        """A short question takes the symbol that was spoken of."""
        alone = self._alone
        if alone.label in _INHERIT and "symbol" not in alone.slots and len(self._words) <= 6 and (symbol := self._symbol()):
            return replace(alone, slots={"symbol": symbol, **alone.slots})
        return alone

    # --- pointing back -----------------------------------------------------------------------------------------------------

    def _pointed(self) -> Frame | None:
        """A command whose object points back, or is left out: "roll that", "cancel the first one", "and what's the stock at"."""
        label = self._alone.partial if self._alone.label == AMBIGUOUS else self._alone.label
        slots = dict(self._alone.known if self._alone.label == AMBIGUOUS else self._alone.slots)
        pointing = bool(set(self._words) & _POINTERS)
        if label in ("confirm", "reprice", "size", "drop") or (
            self._ticket() and set(self._words) & {"drop", "reprice", "requote", "confirm", "size", "scrap", "discard"}
        ):
            return self._of_ticket(label)
        if self._ticket() and self._resizes():
            return self._of_ticket("size")
        if self._alone.ends and set(self._words) & {"pull", "cancel", "withdraw", "scratch", "yank"} and _orders_in(self._told):
            label = "cancel"
        if label == "cancel" and "order_id" not in slots and (pointing or "order" in self._words) and slots.get("scope") != "all":
            order = self._order()
            return Frame(label="cancel", slots={"order_id": order}) if order else None
        if (
            label == "close"
            and {"both", "all", "everything"} & set(self._words)
            and not self._sentence.symbols
            and len(self._symbols(self._told)) > 1
        ):
            return Frame(label="close", slots={"scope": "all"})
        if (
            label in _HELD
            and "symbol" not in slots
            and "position_id" not in slots
            and slots.get("scope") != "all"
            and (pointing or label != "positions" or self._alone.label == AMBIGUOUS)
        ):
            if label == "positions" and not set(self._words) & {"it", "that", "one", "those", "them"}:
                return None
            if self._prior.partial == label and not self._symbol():
                return None
            return self._with_symbol(label, slots)
        if label == "explain" and pointing:
            return self._of_list()
        if label == "" and pointing and set(self._words) & {"more", "tell", "about", "detail", "details"} and self._sentence.symbols:
            return Frame(label="positions", slots={"symbol": self._sentence.symbols[0]})
        if (
            self._words[0] not in _CHANGES
            and not self._is_piece()
            and label in ("quote", "iv", "news", "earnings", "chain")
            and "symbol" not in slots
            and label != self._prior.label
            and (symbol := self._symbol())
        ):
            return replace(self._alone, label=label, slots={**slots, "symbol": symbol}, question="")
        if (
            label == "open"
            and "symbol" not in slots
            and {"it", "them", "that"} & set(self._words)
            and "strategy" in slots
            and (symbol := self._symbol())
        ):
            return Frame(label="open", slots={**slots, "symbol": symbol})
        return None

    def _with_symbol(self, label: str, slots: dict[str, Any]) -> Frame | None:
        named = {name: self._prior_slots()[name] for name in ("position_id",) if name in self._prior_slots()}
        if not named and (symbol := self._symbol()):
            named = {"symbol": symbol}
        return Frame(label=label, slots={**named, **slots}) if named else None

    def _prior_slots(self) -> Mapping[str, Any]:
        return self._prior.known if self._prior.label == AMBIGUOUS else self._prior.slots

    def _symbol(self) -> str | None:
        """The one symbol that was spoken of: by the person, else by the desk."""
        said = self._prior_slots().get("symbol")
        if isinstance(said, str):
            return said
        mine = self._symbols(self._before)
        theirs = self._symbols(self._told)
        for found in (mine, theirs):
            if len(found) == 1:
                return found[0]
        place = next((_ORDINALS[word] for word in self._words if word in _ORDINALS), None)
        if place is not None and theirs and -len(theirs) <= place < len(theirs):
            return theirs[place]
        return None

    def _symbols(self, text: str) -> list[str]:
        return read(text, self._today).symbols

    def _ticket(self) -> str | None:
        found = re.search(r"\b[Tt]icket\s+#?([A-Z0-9]{2,12})\b", self._told)
        return found[1] if found is not None else None

    def _resizes(self) -> bool:
        if order_kind(self._sentence.tokens) is not None and self._verbs():
            return False
        counted = re.search(
            r"\b(?:only|just|make it|make that|size|do|with|to)?\s*\b(\d+|one|two|three|four|five|six|seven"
            r"|eight|nine|ten|a couple(?: of)?)\s*(?:contracts?|lots?|units?|x|please|instead|only)?\s*(?:please"
            r"|instead)?$",
            self._text.lower().strip(" ?!."),
        )
        return (
            counted is not None
            and not set(self._words) & {"dte", "days", "delta", "limit", "wide", "strike"}
            and not self._sentence.of("time")
        )

    def _of_ticket(self, label: str) -> Frame | None:
        ticket = self._alone.slots.get("ticket") or self._ticket()
        if label not in ("confirm", "reprice", "size", "drop"):
            label = next(
                (
                    name
                    for word, name in (
                        ("drop", "drop"),
                        ("scrap", "drop"),
                        ("discard", "drop"),
                        ("reprice", "reprice"),
                        ("requote", "reprice"),
                        ("confirm", "confirm"),
                        ("size", "size"),
                    )
                    if word in self._words
                ),
                "",
            )
        if not ticket or not label:
            return None
        slots: dict[str, Any] = {"ticket": ticket}
        numbers = [token for token in self._sentence.of("number") if token.value == int(token.value)]
        if label == "size" and numbers:
            slots["quantity"] = int(numbers[-1].value)
        return Frame(label=label, slots=slots)

    def _order(self) -> str | None:
        orders = _orders_in(self._told)
        place = next((_ORDINALS[word] for word in self._words if word in _ORDINALS), None)
        if place is not None and orders and -len(orders) <= place < len(orders):
            return str(orders[place])
        named = self._sentence.symbols
        if named and orders:
            parts = re.split(r"(?=\b[Oo]rder\s+#?\w|#\w)", self._told)
            matching = [part for part in parts if named[0] in part]
            found = re.search(r"(?:\b[Oo]rder\s+#?|#)([\w-]+)", matching[0]) if matching else None
            return found[1] if found is not None else None
        return str(orders[0]) if len(set(orders)) == 1 else None

    def _of_list(self) -> Frame | None:
        """One of the things the desk listed with a colon: "VaR 95%: ... Expected shortfall: ..."."""
        listed = [
            re.sub(r"\s*[\d.,]+%?$", "", name).strip() for name in re.findall(r"(?:^|[.;]\s+)([A-Za-z][A-Za-z %0-9-]{1,40}?):", self._told)
        ]
        place = next((_ORDINALS[word] for word in self._words if word in _ORDINALS), 0 if len(listed) == 1 else None)
        if place is None or not listed or not -len(listed) <= place < len(listed):
            return None
        return Frame(label="explain", slots={"topic": listed[place].lower()})

    def _from_chain(self) -> Frame | None:
        """An order picked from a chain just shown: "sell the 580, two of them"."""
        slots = self._prior.slots
        right, days = slots.get("right"), slots.get("dte")
        words = [
            self._text,
            str(slots.get("symbol", "")),
            f"{right}s" if right and not {"put", "puts", "call", "calls"} & set(self._words) else "",
            f"{days} dte" if days else "",
        ]
        number = self._sentence.of("number")
        if len(number) >= 1 and "strike" not in self._words and right:
            words[0] = re.sub(rf"\b{re.escape(number[0].raw)}\b", f"{number[0].raw} strike", words[0], count=1)
        found = single(" ".join(word for word in words if word), self._today)
        return found if found.label == "open" else None

    # --- completing ----------------------------------------------------------------------------------------------------------

    def _completed(self) -> Frame | None:
        """The last sentence said again with the answer in it."""
        wanted = self._fragment_label()
        if not wanted or wanted in ENDINGS:
            return None
        answer = self._worded()
        for joined in (f"{self._before}, {answer}", f"{answer} {self._before}"):
            found = single(joined, self._today)
            if found.label == wanted and self._keeps(found):
                return self._directed(found)
        return None

    def _keeps(self, found: Frame) -> bool:
        """Whether nothing that was said before is lost or changed, but for what the answer names again."""
        return (
            all(name in found.slots for name in self._prior_slots() if name not in ("symbol", "text", "topic", "key"))
            and found.slots != self._prior.slots
        )

    def _directed(self, found: Frame) -> Frame:
        return found

    def _worded(self) -> str:
        """The answer with the unit the question asked for, where it is a bare figure."""
        numbers = self._sentence.of("number")
        text = self._text.strip(" ?!")
        bare = re.fullmatch(
            r"(?:make it|make that|just|only|about|around|say|maybe|like|at|to|for|the)?\s*\$?(\d*\.?\d+"
            r"|[a-z ]+?)\s*(?:please|thanks|then|i guess|of them)?",
            text.lower(),
        )
        if len(numbers) != 1 or bare is None or len(self._words) > 4:
            return text
        asked = self._told.lower()
        value = numbers[0].value
        for words, form in (
            ("how many days|to how many days|dte|which expiry|what expiry|days", "{} dte"),
            ("price|limit|credit|at what|pay", "@ {}"),
            ("strike", "{} strike"),
            ("delta", "{} delta"),
            ("wide|width|wing", "{} wide"),
            ("how many|size|contracts|quantity|all of it", "{} contracts"),
            ("year", "{}"),
        ):
            if re.search(words, asked) and not (form == "{} delta" and value > 100):
                return form.format(value)
        return text

    # --- changing ------------------------------------------------------------------------------------------------------------

    def _changed(self) -> Frame | None:
        """The last frame with what the text names put in its place."""
        label = self._fragment_label()
        if label in ENDINGS or not label:
            return None
        fragment = self._fragment(label)
        before = dict(self._prior_slots())
        if not fragment and not (
            self._words[0] in ("same", "again")
            or set(self._words) <= {"same", "again", "please", "yes", "sure", "it", "do", "all", "of", "ok"}
        ):
            return None
        for one, other in (
            ("dte", "expiry"),
            ("expiry", "dte"),
            ("far_dte", "far_expiry"),
            ("far_expiry", "far_dte"),
            ("quantity", "fraction"),
            ("fraction", "quantity"),
            ("strikes", "delta"),
            ("delta", "strikes"),
        ):
            if one in fragment and other not in fragment:
                before.pop(other, None)
        merged = {**before, **fragment}
        if label == "stress" and set(fragment) == {"vix_points"} and "scenario" not in before:
            merged = {**before, **fragment}
        missing = self._missing(label, merged)
        return None if missing else Frame(label=label, slots=merged)

    @staticmethod
    def _missing(label: str, slots: Mapping[str, Any]) -> bool:
        needs = {
            "open": ("strategy", "symbol"),
            "quote": ("symbol",),
            "chain": ("symbol",),
            "iv": ("symbol",),
            "alert": ("metric", "op", "value"),
            "log_trade": ("side", "symbol", "price"),
        }
        if label in ("close", "roll") and not set(slots) & {"symbol", "position_id", "scope"}:
            return True
        return any(name not in slots for name in needs.get(label, ()))

    def _fragment(self, label: str) -> dict[str, Any]:
        """The slots a piece of a sentence names, read as those of a command."""
        tokens = read(self._worded(), self._today).tokens
        sentence = Sentence(text=self._text, tokens=tokens, today=self._today)
        if label in ("open", "close", "roll", "log_trade"):
            return self._order_fragment(label, sentence)
        if label == "settings":
            figure = next((token for token in tokens if token.kind in ("percent", "number", "money")), None)
            return (
                {"value": figure.value}
                if figure is not None
                else {"value": next((word for word in self._words if word in ("on", "off")), None)}
                if set(self._words) & {"on", "off"}
                else {}
            )
        found = slots_of(label, sentence, Tagged(tokens), None)
        slots = dict(found.known if found.label == AMBIGUOUS else found.slots)
        if label == "alert" and "metric" not in slots and "metric" in self._prior_slots():
            slots |= self._alert_fragment(sentence)
        return slots

    def _alert_fragment(self, sentence: Sentence) -> dict[str, Any]:
        prior = self._prior_slots()
        metric = {"vix": "vix", "margin": "margin", "delta": "delta", "pnl_pct": "position profit", "iv_percentile": "ivpercentile"}.get(
            str(prior.get("metric")), ""
        )
        symbol = str(prior.get("symbol", "")) if prior.get("metric") != "vix" else ""
        found = single(f"alert me when {symbol} {metric} {self._text}", self._today)
        return {name: value for name, value in found.slots.items() if name in ("op", "value", "metric")} if found.label == "alert" else {}

    def _order_fragment(self, label: str, sentence: Sentence) -> dict[str, Any]:
        prior = self._prior_slots()
        figures = FigureReader(
            sentence.tokens, structure=str(prior.get("strategy", "option")), closing=label in ("close", "roll"), past=label == "log_trade"
        ).read()
        slots: dict[str, Any] = {}
        if len(sentence.symbols) == 1:
            slots["symbol"] = sentence.symbols[0]
        price = {"log_trade": "price"}.get(label, "limit")
        quantity = figures.quantity if figures.quantity is not None else figures.shares
        for name, value in (
            ("quantity", quantity),
            ("delta", figures.delta),
            ("width", figures.width),
            (price, figures.price),
            ("fraction", figures.fraction),
            ("position_id", figures.position),
        ):
            if value is not None:
                slots[name] = value
        if figures.strikes and label in ("open", "log_trade"):
            slots["strikes"] = sorted(set(figures.strikes))
        for when in figures.whens:
            if when.days is not None:
                slots["dte"] = when.days
            elif when.ahead is not None:
                slots["expiry"] = when.ahead
        if label == "roll":
            slots.pop("expiry", None)
            direction = self._direction()
            if direction:
                slots["direction"] = direction
        if label == "log_trade" and figures.done is not None:
            slots["when"] = figures.done
        loose = [token for token in sentence.of("number") if not token.used]
        if (
            len(loose) == 1
            and not slots.get("quantity")
            and loose[0].value == int(loose[0].value)
            and 0 < loose[0].value <= 100
            and label in ("open", "close", "roll")
        ):
            slots["quantity"] = int(loose[0].value)
        elif len(loose) == 1 and loose[0].value != int(loose[0].value) and price not in slots:
            slots[price] = loose[0].value
        return slots

    def _direction(self) -> str | None:
        words = set(self._words)
        if "both" in words:
            return "up_and_out" if "up" in self._told.lower() and "down" not in self._told.lower() else "down_and_out"
        if {"down", "out"} <= words:
            return "down_and_out"
        if {"up", "out"} <= words:
            return "up_and_out"
        return next((_DIRECTIONS[word] for word in ("down", "up", "out") if word in words), None)
