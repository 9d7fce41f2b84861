"""The closed vocabulary: words the grammar knows, ordinary words that are left alone, and words an order may carry without meaning more.

The words are data, in `data/words.txt`. What stands under `plain` is never mended into something else; what stands under `conditions` makes
an order one that waits for something, which no sentence can give: it is asked about instead.
"""

from __future__ import annotations

from functools import cache

from bot.intent.slang import DATA


def _sections() -> dict[str, str]:
    """The text of each section of the word file."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (DATA / "words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif name and not line.startswith("#"):
            found.setdefault(name, []).append(line)
    return {section: " ".join(lines) for section, lines in found.items()}


_WORDS = _sections()
SELL = frozenset(_WORDS["sell"].split())
BUY = frozenset(_WORDS["buy"].split())
OPENERS = frozenset(_WORDS["openers"].split())
CLOSE = frozenset(_WORDS["close"].split())
CONDITIONS = frozenset(_WORDS["conditions"].split())
FILLERS = frozenset(_WORDS["fillers"].split())
PLAIN = frozenset(_WORDS["plain"].split())
TERMS = frozenset(_WORDS["terms"].split())
EVERYDAY = frozenset(_WORDS["everyday"].split())
TERM_PHRASES = frozenset(phrase.strip() for phrase in _WORDS["term phrases"].split(","))
NEGATIONS = frozenset({"not", "never", "no", "nothing", "none", "neither", "nor", "nobody", "without"})


@cache
def targets() -> frozenset[str]:
    """Words that a mistyped word may be mended into."""
    from bot.intent import structures, symbols
    from bot.intent.patterns import literals

    base = {
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "today",
        "tomorrow",
        "yesterday",
        "week",
        "month",
        "monthly",
        "weekly",
        "strike",
        "strikes",
        "delta",
        "credit",
        "debit",
        "limit",
        "contract",
        "contracts",
        "shares",
        "expiry",
        "expiring",
        "days",
        "weeks",
        "puts",
        "calls",
        "sell",
        "close",
        "sold",
        "bought",
        "market",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "eleven",
        "twelve",
        "position",
        "positions",
        "everything",
        "cancel",
        "orders",
        "pause",
        "flatten",
        "kill",
        "halt",
        "resume",
        "please",
        "condor",
        "strangle",
    }
    named = {
        word
        for rows in symbols.names().values()
        for phrase, _, ordinary in rows
        if not ordinary and len(phrase) == 1
        for word in phrase
        if word.isalpha()
    }
    base |= {term for term in TERMS if len(term) >= 5} | {"greeks"}
    found = (
        base
        | frozenset(_WORDS["moves"].split())
        | SELL
        | BUY
        | CLOSE
        | structures.words()
        | literals()
        | {word for word in named if len(word) >= 5}
    )
    return frozenset(word for word in found if word.isalpha() and len(word) >= 4)


@cache
def desk_words() -> frozenset[str]:
    """Words that are a desk's, or anybody's way to talk: a word beside them is foreign to a desk."""
    from bot.intent import structures
    from bot.intent.patterns import SMALL, lemma, literals
    from bot.intent.slang import PHRASES

    slang = {word for rows in PHRASES.values() for _, right in rows for word in right}
    known = (
        literals(endings=False)
        | slang
        | SELL
        | BUY
        | OPENERS
        | CLOSE
        | CONDITIONS
        | FILLERS
        | TERMS
        | SMALL
        | structures.words()
        | NEGATIONS
    )
    phrases = {word for phrase in TERM_PHRASES for word in phrase.split()}
    return frozenset(lemma(word) for word in known | phrases) - EVERYDAY


@cache
def vocabulary() -> frozenset[str]:
    """Words that are never mended."""
    from bot.intent import structures, symbols
    from bot.intent.patterns import literals
    from bot.intent.slang import CONTRACTIONS, PHRASES

    named = {word for rows in symbols.names().values() for phrase, _, _ in rows for word in phrase}
    slang = {word for rows in PHRASES.values() for left, right in rows for word in (*left, *right)} | set(CONTRACTIONS)
    past = {
        "stod",
        "btod",
        "btcd",
        "stcd",
        "sold",
        "bought",
        "wrote",
        "shorted",
        "opened",
        "closed",
        "exited",
        "entered",
        "covered",
        "filled",
        "rolled",
        "kept",
        "held",
    }
    return frozenset(
        past | literals() | TERMS | targets() | named | slang | FILLERS | PLAIN | CONDITIONS | NEGATIONS | OPENERS | structures.words()
    )
