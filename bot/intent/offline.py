"""Sentences without a model: one sentence becomes one command with its slots, or ends as small talk, out of scope, or a question.

Stops come first and are never missed. What is quoted, pasted, reported, denied or only imagined is no order. An order is read by the
grammar of orders, where every word counts; anything else by the patterns that lie beside the commands. No book is consulted.

Worked example: "sell 2 spy 480 puts for 3.20" is `open strategy=naked_put symbol=SPY quantity=2 strikes=480 limit=3.20`; "should I sell spy
puts?" is `scan`; "don't sell anything" and "my friend says 'sell 2 spy 480 puts'" are questions back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

from bot.intent import guards
from bot.intent.elsewhere import logged_trade
from bot.intent.frames import OUT_OF_SCOPE, SMALLTALK, Frame, asks
from bot.intent.held import close_order, roll_order
from bot.intent.kinds import order_kind
from bot.intent.likeness import nearest_label
from bot.intent.orders import open_order
from bot.intent.patterns import ANSWERS, SMALL, Match, Tagged, likely, matches
from bot.intent.sentence import Sentence, read
from bot.intent.slots import slots_of
from bot.intent.stops import ASK, STOPPING, asks_about, best_of, hardest_of, is_elsewhere, stop_in
from bot.intent.tokens import Token, cleaned
from bot.intent.typed import typed_line
from bot.intent.words import BUY, FILLERS, SELL, TERM_PHRASES, TERMS, desk_words

_OVER_ORDERS = frozenset(
    "alert backtest optimize whatif stress mandate settings note search_journal blacklist pause resume "
    "kill halt unhalt cancel confirm reprice size drop help"
    " explain hedge log_trade drill to next account journal ack snooze pair plan tax".split()
)


def parse(text: str, *, context: Sequence[Mapping[str, str]] = (), today: date) -> Frame:
    """What a sentence means, said on a day, after what was said before."""
    if context:
        from bot.intent.dialogue import follow_up

        merged = follow_up(text, context, today)
        if merged is not None:
            return merged
    return single(text, today)


@lru_cache(maxsize=256)
def single(text: str, today: date) -> Frame:
    """A sentence by itself."""
    plain = cleaned(text)
    if not re.search(r"\w", plain):
        if "?" in plain:
            return Frame(label="help")
        return (
            Frame(label=SMALLTALK)
            if any(ord(character) > 0x2000 for character in plain)
            else asks("Say what you would like to know or do.")
        )
    line = typed_line(plain)
    if line is not None:
        return line
    if guards.pasted(plain) or guards.pasted(text[:400].lstrip()):
        return _nobodys(plain, today)
    if re.fullmatch(r"(?:settings?\s+)?[a-z_]{3,}(?:\.[a-z_0-9]{2,})+(?:\s*(?:=|to|:)?\s*[\w.%-]+)?", plain):
        sentence = read(plain, today)
        return slots_of("settings", sentence, Tagged(sentence.tokens), None)
    rest = guards.without_manners(plain)
    if rest != plain and _is_talk(plain, today):
        return Frame(label=SMALLTALK)
    plain = rest
    line = typed_line(plain)
    if line is not None:
        return line
    bare, quoted = guards.without_quotes(plain)
    if quoted and guards.reported(bare):
        return asks("That is what somebody else said; nobody's order. What would you like yourself?")
    sentence = read(plain, today)
    words_kept = _quoting(sentence) if quoted else None
    if words_kept is not None:
        return words_kept
    if quoted:
        if not re.search(r"\w", bare):
            return asks("That is quoted text; nobody's order. What would you like yourself?")
        sentence = read(bare, today)
    return _meaning(sentence, quoted=quoted)


def _is_talk(plain: str, today: date) -> bool:
    """Whether a whole text is small talk, its greeting or thanks included."""
    sentence = read(plain, today)
    found = matches(Tagged(sentence.tokens))
    talk = found.get(SMALLTALK)
    rival = best_of(found, among=frozenset(found) - {SMALLTALK, OUT_OF_SCOPE})
    return (
        talk is not None
        and "^" in talk.pattern.source[:7]
        and talk.pattern.source.endswith("$")
        and not sentence.symbols
        and (rival is None or rival.score < talk.score)
    )


def _nobodys(plain: str, today: date) -> Frame:
    """Text that is not the person's own: nothing in it is acted on."""
    return asks("That looks pasted or forwarded, so I act on nothing in it. What would you like yourself?")


def _quoting(sentence: Sentence) -> Frame | None:
    """Commands that take the words of a quotation as their text."""
    tagged = Tagged(sentence.tokens)
    found = matches(tagged)
    best = best_of(found)
    if best is not None and best.pattern.command in ("note", "search_journal", "explain") and best.score >= 2:
        return slots_of(best.pattern.command, sentence, tagged, best)
    return None


def _meaning(sentence: Sentence, *, quoted: bool) -> Frame:
    tagged = Tagged(sentence.tokens)
    found = matches(tagged)
    term = _term(sentence)
    if term is not None:
        return Frame(label="explain", slots={"topic": term})
    kept, negated = guards.without_negated(sentence.tokens)
    stop = stop_in(sentence, found, negated=negated)
    if stop is not None:
        return slots_of(stop, sentence, tagged, found.get(stop))
    if asks_about(sentence):
        asked = next((word for word in ("kill", "halt", "pause", "cancel", "flatten", "resume", "unhalt") if word in sentence.words), None)
        if (
            asked is not None
            and not sentence.symbols
            and re.search(
                r"\bhappens? (?:if|when)|\bwhat does\b|\bhow does\b|\bdifference\b|\bwhat will\b|\bif i (?:press|hit|type|say)",
                sentence.text.lower(),
            )
        ):
            between = re.search(r"difference between .+", sentence.text, re.IGNORECASE)
            return (
                Frame(label="explain", slots={"topic": between[0].rstrip(" ?.!")})
                if between is not None
                else Frame(label="help", slots={"topic": asked})
            )
    talk = _talk(sentence, found)
    if talk is not None:
        return talk
    if negated:
        return _denied(sentence, kept, found, tagged)
    return _order_or_question(sentence, tagged, found, quoted=quoted)


_ASKS_TERM = re.compile(
    r"^(?:(?:so|and|hey|hi|ok|okay|please|sorry|wait|um|uh|quick question|question|tell me|can you (?:tell "
    r"me|explain)(?: to)?(?: me)?|could you (?:tell me|explain)(?: to)?(?: me)?|please explain(?: to)? "
    r"me|do you know|remind me|i forgot),?\s+)*"
    r"(?:what(?:'?s| is| are|'re|s)?(?: meant by)?|wats|define|explain|describe|definition of|meaning "
    r"of|what the (?:hell|heck) (?:is|are))\s+(?:me\s+|to me\s+)?(?:again\s+|exactly\s+)?(?:what is\s+"
    r"|what are\s+)?(?:an?\s+|the\s+)?"
    r"(?P<topic>[a-z&0-9][a-z&0-9' /-]{0,40}?)(?:\s+(?:mean|means|anyway|exactly|again|please|pls"
    r"|actually|even|called|here|all about|supposed to be|for a beginner|for beginners|in options"
    r"|in trading|in simple terms|in plain english|to me|like i'?m five|like im five|really))*\s*[?.!]*$",
    re.IGNORECASE,
)


def _term(sentence: Sentence) -> str | None:
    """The term whose meaning is asked for: "what is theta", "whats a covered call". One's own figure ("my delta") is another question."""
    found = _ASKS_TERM.match(sentence.text)
    if found is None or sentence.symbols not in ([], ["VIX"]):
        return None
    topic = found["topic"].strip()
    plain = topic.lower()
    explicit = (
        re.match(r"^(?:please |can you |could you )*(?:explain|define|describe|definition|meaning)", sentence.text, re.IGNORECASE)
        is not None
        or " mean" in sentence.text.lower()
    )
    if (
        plain in ("the vix", "vix", "regime", "halt", "pause", "fill", "volume", "plan", "roll", "iv")
        and not explicit
        and plain not in ("iv",)
    ):
        return None
    singular = plain.removesuffix("s")
    if plain in TERMS or singular in TERMS or plain in TERM_PHRASES or singular in TERM_PHRASES:
        return topic
    if (
        len(sentence.of("structure")) == 1
        and len([token for token in sentence.tokens if token.kind not in ("sign",)]) <= 6
        and re.search(r"what(?:'?s| is|s)?\s+an?\s|what are\s", plain_text(sentence))
    ):
        return topic
    return None


def plain_text(sentence: Sentence) -> str:
    """The text in lower case."""
    return sentence.text.lower()


def _talk(sentence: Sentence, found: Mapping[str, Match]) -> Frame | None:
    """Small talk and what has nothing to do with a desk, where nothing of a desk is said beside it."""
    talk, away = found.get(SMALLTALK), found.get(OUT_OF_SCOPE)
    rival = best_of(found, among=frozenset(found) - {SMALLTALK, OUT_OF_SCOPE})
    domain = any(token.kind in ("symbol", "structure", "contract", "pair") for token in sentence.tokens)
    if is_elsewhere(sentence, rival):
        return Frame(label=OUT_OF_SCOPE)
    whole = talk is not None and talk.pattern.source.rstrip().endswith("$")
    if (
        talk is not None
        and not domain
        and order_kind(sentence.tokens) is None
        and (rival is None or (rival.score < talk.score and (whole or rival.score < ASK or talk.score >= rival.score + 1)))
    ):
        return Frame(label=SMALLTALK)
    if away is not None and (rival is None or rival.score < away.score) and order_kind(sentence.tokens) is None:
        return Frame(label=OUT_OF_SCOPE)
    return None


def _denied(sentence: Sentence, kept: list[Token], found: Mapping[str, Match], tagged: Tagged) -> Frame:
    """A sentence with a negated clause: what is left of it, or a question."""
    best = best_of(found)
    if best is not None and best.pattern.command in (
        "blacklist",
        "pause",
        "why",
        "explain",
        "alert",
        "note",
        "mandate",
        "resume",
        "log_trade",
        "help",
        "whatif",
        "risk",
        "snooze",
        "settings",
        "drop",
    ):
        if (best.pattern.command == "pause" and sentence.symbols) or (
            best.pattern.command == "blacklist" and sentence.words & {"would", "could"}
        ):
            return asks("So nothing is done. What would you like instead?")
        if best.score >= ASK and (best.pattern.command not in ("explain",) or best.score >= 1.5):
            return slots_of(best.pattern.command, sentence, tagged, best)
    rest = Sentence(text=sentence.text, tokens=kept, today=sentence.today)
    if not any(token.kind != "sign" for token in kept):
        return asks("So nothing is done. What would you like instead?")
    tagged = Tagged(kept)
    left = matches(tagged)
    kind = order_kind(kept)
    top = best_of(left)
    stopping = best_of(left, among=STOPPING)
    if kind is None and stopping is not None and stopping.score >= ASK:
        return slots_of(hardest_of(rest, left, stopping.pattern.command), rest, tagged, stopping)
    if kind is None and (top is None or top.score < ASK):
        return asks("So nothing is done. What would you like instead?")
    return _order_or_question(rest, tagged, left, quoted=False)


def _order_or_question(sentence: Sentence, tagged: Tagged, found: Mapping[str, Match], *, quoted: bool) -> Frame:
    kind = order_kind(sentence.tokens)
    if kind in (None, "close") and _asks_how(sentence):
        return slots_of("help", sentence, tagged, found.get("help"))
    best = best_of(
        found,
        among=frozenset(found) - {SMALLTALK, OUT_OF_SCOPE, "open", "close", "roll", *STOPPING}
        if kind is None
        else _OVER_ORDERS - set(STOPPING) - ({"settings"} if sentence.symbols else frozenset()),
    )
    if kind is not None and not (best is not None and best.score >= _weight(kind, sentence, best)):
        return _ordered(kind, sentence, quoted=quoted, found=found, tagged=tagged)
    if (
        kind is None
        and best is not None
        and best.pattern.command in _FROM_THOUGHT
        and sentence.words & (SELL | BUY | {"sold", "bought"})
        and guards.hypothetical(sentence.text)
    ):
        return _imagined(sentence, {}, tagged)
    if kind is None and (best is None or best.score < LOOSE):
        alike = _alike(sentence, tagged, best)
        if alike is not None:
            return alike
    if kind is None and best is not None and _is_foreign(sentence, tagged, best):
        return Frame(label=OUT_OF_SCOPE)
    if best is not None and best.score >= ASK:
        if best.pattern.command == "log_trade":
            return logged_trade(sentence, sentence.tokens)
        return slots_of(best.pattern.command, sentence, tagged, best)
    return _neither(sentence, found, tagged)


LOOSE = 2.0  # a pattern that says less may be wrong where the sentence is much like others
SURE, QUITE_SURE = 0.42, 0.55
_BY_LIKENESS = ANSWERS | {"account", "resume", "unhalt", "alerts", "next", "blacklist", "mandate", "settings", "ml", *STOPPING}


def _alike(sentence: Sentence, tagged: Tagged, best: Match | None) -> Frame | None:
    """The frame of what a sentence is much like, where that is no order and says more than the pattern that fits."""
    label, sure = nearest_label(tagged.tags)
    known = best.pattern.command if best is not None and best.score >= ASK else ""
    if label == known or sure < (QUITE_SURE if known else SURE) or len(tagged.tags) < 2:
        return None
    if label in (SMALLTALK, OUT_OF_SCOPE):
        return Frame(label=label) if sure >= QUITE_SURE or not known else None
    if label not in _BY_LIKENESS or (label in STOPPING and (sentence.symbols or asks_about(sentence))):
        return None
    if label in ("resume", "unhalt") and sentence.words & {"no", "not", "nothing", "never", "until", "till"}:
        return None
    frame = slots_of(label, sentence, tagged, None)
    return None if frame.ends else frame


_ANY_WORDS = frozenset({"note", "search_journal", "log_trade", "pair", "drill", "confirm", "reprice", "size", "drop", "ack", "snooze"})


def _is_foreign(sentence: Sentence, tagged: Tagged, best: Match) -> bool:
    """Whether too much of a sentence is not of a desk for what little of it fits a pattern: "what do I do now that my battery is dead"."""
    if best.pattern.command in _ANY_WORDS or any(
        token.kind in ("symbol", "structure", "contract", "pair", "id") for token in sentence.tokens
    ):
        return False
    if best.pattern.command == "stress" and (sentence.of("percent") or sentence.words & {"vix", "volatility", "vol", "market", "crash"}):
        return False
    words = [(place, word) for place, word in enumerate(tagged.tags) if word.isalpha() and len(word) > 2]
    foreign = [place for place, word in words if word not in desk_words()]
    if best.pattern.command in ("explain", "help") and "topic" in best.captures:
        first, last = best.captures["topic"]
        inside = [word for place, word in words if first <= place < last and word not in SMALL]
        return bool(inside) and all(word not in desk_words() for word in inside) and (len(inside) > 1 or best.pattern.command == "help")
    return (len(foreign) >= 2 and best.score < 1.1 * len(foreign) + 0.6) or (len(foreign) == 1 and best.score < 1.3 and len(words) > 3)


_FROM_THOUGHT = frozenset(
    {"chain", "quote", "resume", "blacklist", "account", "note", "hedge", "calendar", "positions", "fills", "earnings", "next"}
)


def _asks_how(sentence: Sentence) -> bool:
    """Whether somebody asks how something is done here, and names nothing of their own: "how do I set an alert"."""
    return (
        re.match(
            r"(?:\w+[,.]?\s+){0,3}?how (?:do|can|could|would|should) (?:i|one|we|you) (?!do\b|look\b|hedge"
            r"|protect|roll\b|get rich|trade today|stand\b)|^how to\b",
            sentence.text.lower(),
        )
        is not None
        and not sentence.symbols
        and not sentence.of("percent")
        and not sentence.of("id")
        and not re.search(
            r"\b(?:my|this|these|our) (?:book|portfolio|positions?|trades?|account|put|call|spread)\b|\bif\b|\bdone\b",
            sentence.text.lower(),
        )
    )


def _weight(kind: str, sentence: Sentence, best: Match) -> float:
    """How much a pattern must say to be meant instead of the order that is also there."""
    own = {"open": 2.4, "close": 2.2, "roll": 1.9, "log_trade": 2.5}[kind]
    if (
        best.pattern.command in ("alert", "backtest", "whatif", "optimize", "note", "search_journal", "help", "explain")
        or best.pattern.command in STOPPING
    ):
        own -= 0.9
    return own


_VAGUE_COUNT = re.compile(
    r"\b(?:a few|several|a handful|a bunch|a ton|a load|lots|loads|many)(?: of)? (?!days|weeks|hours|minutes|months)", re.IGNORECASE
)


def _ordered(kind: str, sentence: Sentence, *, quoted: bool, found: Mapping[str, Match], tagged: Tagged) -> Frame:
    text = sentence.text
    if kind != "roll" and (guards.hypothetical(text) or guards.reported(text)):
        return _imagined(sentence, found, tagged)
    if (
        guards.asks_leave(text)
        and kind == "open"
        and not any(
            token.kind in ("number", "pair", "money", "contract") or (token.kind == "time" and token.value.named)
            for token in sentence.tokens
        )
    ):
        return slots_of("why", sentence, tagged, None)
    if kind != "log_trade" and _VAGUE_COUNT.search(text):
        return asks("How many contracts? Say a number.")
    if guards.asks_leave(text) and kind == "close":
        return asks("Shall I prepare its closing? Say it as an order, and you get a card to confirm.")
    stripped = guards.without_skips(text)
    if stripped != text or quoted:
        base = read(guards.without_quotes(stripped)[0] if quoted else stripped, sentence.today)
        kept, _ = guards.without_negated(base.tokens)
        sentence = Sentence(text=base.text, tokens=kept, today=base.today)
        kind = order_kind(kept) or kind
    orders = {"open": open_order, "close": close_order, "roll": roll_order, "log_trade": logged_trade}
    return orders[kind](sentence, sentence.tokens)


def _imagined(sentence: Sentence, found: Mapping[str, Match], tagged: Tagged) -> Frame:
    """An order that is only thought of or told of: the question in it where there is one, never the order."""
    best = best_of(
        found,
        among=frozenset(
            {"risk", "why", "scan", "backtest", "whatif", "stress", "explain", "chain", "iv", "earnings", "pnl", "tax", "help", "quote"}
        ),
    )
    looks = best is not None and best.pattern.command in ("chain", "quote", "iv", "earnings", "pnl") and "?" not in sentence.text
    if best is not None and best.score >= ASK and not looks and not guards.reported(sentence.text):
        return slots_of(best.pattern.command, sentence, tagged, best)
    if not any(token.kind in ("symbol", "contract", "pair") for token in sentence.tokens):
        return Frame(label=SMALLTALK)
    return asks(
        "Is that an order, or a thought? Say it as an order, such as \u201csell 1 SPY 480 put\u201d, and you get a card to confirm."
    )


def _neither(sentence: Sentence, found: Mapping[str, Match], tagged: Tagged) -> Frame:
    """Nothing clear was said: a question where the words are a desk's, out of scope where they are not."""
    foreign = [word for word in tagged.tags if word.isalpha() and len(word) > 2 and word not in desk_words()]
    small = len(foreign) <= (1 if len(tagged.tags) > 4 else 0)
    spoken = likely(tagged) if small and not sentence.words & (SELL | BUY) and not sentence.of("pair") else None
    if spoken is not None:
        return slots_of(spoken, sentence, tagged, None)
    if any(token.kind in ("symbol", "structure", "contract", "pair") for token in sentence.tokens):
        symbols = sentence.symbols
        if len(sentence.tokens) <= 2 and len(symbols) == 1:
            return Frame(label="quote", slots={"symbol": symbols[0]})
        return asks("What about it?", choices=tuple(f"quote {name}" for name in symbols[:2]))
    period = next((token.value.period for token in sentence.of("time") if token.value.period is not None), None)
    if period is not None and all(token.kind in ("time", "sign") or token.text in FILLERS for token in sentence.tokens):
        return Frame(label="pnl", slots={"period": period})
    weak = best_of(found, among=frozenset(found) - {SMALLTALK, OUT_OF_SCOPE})
    if weak is not None and weak.score >= 0.9 and len(sentence.tokens) <= 6:
        return (
            slots_of(weak.pattern.command, sentence, tagged, weak)
            if weak.pattern.command not in ("open", "close", "roll")
            else asks("Which one?", partial=weak.pattern.command)
        )
    desk = sentence.words & _DESK_WORDS
    if (desk and len(sentence.tokens) <= 12) or (len(sentence.tokens) <= 2 and not found and sentence.of("number")):
        return asks("I did not understand that. What would you like to know or do?")
    return Frame(label=OUT_OF_SCOPE)


_DESK_WORDS = frozenset(
    "trade trades sell buy close open roll put puts call calls spread spreads option options position "
    "positions order orders contract contracts strike delta expiry stop limit ticket it that"
    " one them those same do short long".split()
)
