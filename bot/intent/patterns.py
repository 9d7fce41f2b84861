"""Sentence patterns: a small language in which each command says how people ask for it, compiled once and matched against tagged words.

The patterns lie beside the commands in `core/commands/sentences/`, one file a command, whether its own file exists yet or not; how they are
written is told in docs/sentences.md. A pattern that matches scores by how much of it is said: a word of meaning counts 1, a small word a
quarter, a tag such as <symbol> 0.6. The highest score wins, so a longer, closer pattern beats a loose one.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import core.commands
from bot.intent.slang import DATA
from bot.intent.tokens import Token

FOLDER = Path(core.commands.__file__).with_name("sentences")
ENDINGS = DATA / "endings"
ENDS = frozenset({"smalltalk", "out_of_scope", "ambiguous"})  # what the patterns in it are of
_PART = re.compile(r"\.\.\.|\.\.|[()\[\]|^$?]|@\w+|\{\w+\}|<\w+>|[^\s()\[\]|]+")
MACROS = {
    "show": "(show|give|tell|list|get|display|print|see|view|check|pull up|bring up|read|find|let me see"
    "|open up|look at|want|need|fetch)[me|us|to see]",
    "what": "(what is|whatabout|how is|where is|show|tell me|give me|what was|list|check|see|get|view|display)",
    "my": "(my|the|our|all|any|your|me)",
    "add": "(set|make|create|add|arm|put|place|start|need|want|give)",
    "tell": "(tell|alert|ping|notify|warn|message|text|buzz|inform|remind|wake|shout|signal|call|let|email"
    "|page|poke|nudge|holler|flag|signal|give)",
    "stop": "(pause|stop|halt|suspend|freeze|hold|cease|quit)",
    "do": "(do|run|start|launch|perform|make|give|show|kick off|execute|simulate|play)",
    "new": "(new|fresh|further|more|additional|any|another)",
}
SMALL = frozenset(
    "a an the of to in on at for is be it i me my you your we us our do did have had this that these "
    "those with by from as and or so please can will would"
    " could should what how where which who when there any all some up out off now right just not go get give show tell see want need let"
    " much many more no if was".split()
)
_VERBS = {
    "closing": "close",
    "selling": "sell",
    "buying": "buy",
    "opening": "open",
    "rolling": "roll",
    "making": "make",
    "losing": "lose",
    "doing": "do",
    "trading": "trade",
    "holding": "hold",
    "expiring": "expire",
    "hedging": "hedge",
    "showing": "show",
    "cancelling": "cancel",
    "canceling": "cancel",
    "pausing": "pause",
    "using": "use",
    "standing": "stand",
    "running": "run",
    "earning": "earn",
    "reporting": "report",
    "moving": "move",
    "working": "work",
    "happening": "happen",
    "dropping": "drop",
    "blocking": "block",
    "stopping": "stop",
    "keeping": "keep",
    "taking": "take",
    "entering": "enter",
    "putting": "put",
    "going": "go",
    "getting": "get",
    "having": "have",
    "testing": "test",
    "tracking": "track",
    "warning": "warn",
    "betting": "bet",
    "resuming": "resume",
    "scanning": "scan",
    "looking": "look",
    "setting": "setting",
    "has": "have",
    "does": "do",
    "are": "is",
    "am": "is",
    "were": "was",
    "expires": "expire",
    "moves": "move",
    "lost": "lost",
    "goes": "go",
    "news": "news",
    "losses": "loss",
    "taxes": "tax",
    "indices": "index",
    "indexes": "index",
    "strategies": "strategy",
    "entries": "entry",
    "volatilities": "volatility",
    "equities": "equity",
    "symbols": "symbol",
    "expiries": "expiry",
    "gets": "get",
    "theses": "thesis",
    "always": "always",
    "less": "less",
    "loss": "loss",
    "greeks": "greek",
    "cross": "cross",
    "stress": "stress",
    "bps": "bps",
    "yes": "yes",
    "this": "this",
    "his": "his",
    "was": "was",
    "us": "us",
    "is": "is",
    "its": "its",
    "as": "as",
    "access": "access",
    "process": "process",
    "success": "success",
    "miss": "miss",
    "pass": "pass",
    "class": "class",
    "guess": "guess",
    "press": "press",
    "unless": "unless",
    "bias": "bias",
    "status": "status",
    "versus": "versus",
    "thanks": "thanks",
    "plus": "plus",
    "minus": "minus",
    "focus": "focus",
    "bonus": "bonus",
    "virus": "virus",
    "business": "business",
    "readiness": "readiness",
    "express": "express",
    "progress": "progress",
    "various": "various",
    "previous": "previous",
    "obvious": "obvious",
    "serious": "serious",
    "gas": "gas",
    "bus": "bus",
    "texas": "texas",
    "yourself": "yourself",
}


@cache
def lemma(word: str) -> str:
    """A word without plural or -ing, where that is known to be one."""
    found = _VERBS.get(word)
    if found is not None:
        return found
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("shes", "ches", "sses", "xes", "zzes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def tag(token: Token) -> str:
    """How patterns see a token: a word by its lemma, anything else by its kind."""
    if token.kind in ("word", "d"):
        return lemma(token.text)
    if token.kind == "structure":
        return "<strategy>"
    if token.kind == "symbol" and token.value == "VIX":
        return "vix"
    if token.kind == "shares":
        return lemma(token.raw.lower())
    return (
        f"<{token.kind}>"
        if token.kind in ("time", "number", "percent", "money", "pair", "symbol", "id", "contract", "clock")
        else token.text
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One compiled pattern of a command."""

    command: str
    source: str
    expression: str  # compiled when it is first tried
    score: float
    needs: frozenset[str]  # one of these words must be said; empty where nothing must


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A pattern that fits, and the places of its captures as positions of tokens."""

    pattern: Pattern
    score: float
    captures: dict[str, tuple[int, int]] = field(default_factory=dict)


class Tagged:
    """Tokens as patterns see them; punctuation is left out."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = [token for token in tokens if not (token.kind == "sign" and token.text in '?!.,;:()"=+-/@&')]
        self.tags = [tag(token) for token in self.tokens]
        self.text = "".join(f"{each} " for each in self.tags)
        self._starts: list[int] = []
        place = 0
        for each in self.tags:
            self._starts.append(place)
            place += len(each) + 1

    def place(self, offset: int) -> int:
        """The token that begins at or before an offset of the text."""
        return bisect_right(self._starts, offset) - 1


def compiled(command: str, line: str) -> Pattern:
    """One line of a sentence file as a pattern. A leading +1 or -1 adds to its score."""
    bonus, source = 0.0, line.strip()
    lead = re.match(r"([+-]\d+(?:\.\d+)?)\s+", source)
    if lead is not None:
        bonus, source = float(lead[1]), source[lead.end() :]
    parts = _expanded(source)
    nodes, rest = _parsed(parts, 0)
    if rest != len(parts):
        raise ValueError(f"{command}: a bracket too many in the pattern {line!r}")
    pattern = f"(?<![^ ]){''.join(node.regex(last=place == len(nodes) - 1) for place, node in enumerate(nodes))}"
    score = sum(node.score for node in nodes) + bonus + (1.5 if parts[0] == "^" and parts[-1] == "$" else 0)
    wanted = [node.needs for node in nodes if node.needs]
    needs = min(wanted, key=lambda words: (len(words & SMALL) > 0, len(words))) if wanted else frozenset[str]()
    return Pattern(command=command, source=line, expression=pattern, score=round(score, 3), needs=needs)


@cache
def _regex(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _expanded(source: str) -> list[str]:
    found: list[str] = []
    for part in _PART.findall(source):
        found += _expanded(MACROS[part[1:-1]]) if part.startswith("{") else [part]
    return found


@dataclass(slots=True)
class _Node:
    """A piece of a pattern: a word, a gap, a capture, or alternatives of sequences."""

    word: str = ""
    options: list[list[_Node]] = field(default_factory=list)
    optional: bool = False
    score: float = 0.0
    needs: frozenset[str] = frozenset()

    def regex(self, *, last: bool) -> str:
        if self.options:
            inner = "|".join("".join(node.regex(last=False) for node in option) for option in self.options)
            return f"(?:{inner}){'?' if self.optional else ''}"
        if self.word in ("..", "..."):
            return rf"(?:\S+ ){{0,{2 if self.word == '..' else 6}}}?"
        if self.word == "^":
            return "^"
        if self.word == "$":
            return "$"
        if self.word.startswith("@"):
            return rf"(?P<{self.word[1:]}>(?:\S+ )+{'' if last else '?'})"
        return re.escape(self.word) + " "


def _parsed(parts: list[str], place: int, closing: str = "") -> tuple[list[_Node], int]:
    nodes: list[_Node] = []
    while place < len(parts):
        part = parts[place]
        if part in (")", "]", "|"):
            break
        if part in ("(", "["):
            node, place = _group(parts, place)
            nodes.append(node)
            continue
        nodes.append(_leaf(part))
        place += 1
    return nodes, place


def _group(parts: list[str], place: int) -> tuple[_Node, int]:
    optional, closing = parts[place] == "[", "]" if parts[place] == "[" else ")"
    options: list[list[_Node]] = []
    while True:
        option, place = _parsed(parts, place + 1)
        options.append(option)
        if place >= len(parts):
            raise ValueError(f"a bracket is not closed in the pattern {' '.join(parts)!r}")
        if parts[place] == closing:
            break
    if optional:
        return _Node(options=options, optional=True), place + 1
    score = sum(sum(node.score for node in option) for option in options) / len(options)
    each = [next((node.needs for node in option if node.needs), frozenset[str]()) for option in options]
    needs = frozenset[str]().union(*each) if all(each) else frozenset[str]()
    return _Node(options=options, score=score, needs=needs), place + 1


_TIMES = frozenset("today tonight yesterday tomorrow weekly monthly daily ytd mtd intraday".split())  # read as times before


def _leaf(part: str) -> _Node:
    if part == "?":
        raise ValueError("a question mark means nothing in a pattern; [words] are optional")
    if part in ("..", "...", "^", "$"):
        return _Node(word=part, score=0.2 if part in "^$" else 0.0)
    if part.startswith("@"):
        return _Node(word=part, score=0.1)
    word = part if part.startswith("<") else "<time>" if part in _TIMES else lemma(part.lower())
    score = 0.6 if word.startswith("<") else 0.25 if word in SMALL else 1.0
    return _Node(word=word, score=score, needs=frozenset({word}))


def lines() -> Iterator[tuple[str, str]]:
    """Command and line of every sentence file, comments and examples left out."""
    for path in sorted((*FOLDER.glob("*.txt"), *ENDINGS.glob("*.txt"))):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith(("#", ">", "~")):
                yield path.stem, line


def kept_lines() -> Iterator[tuple[str, str]]:
    """Command and text of every whole sentence that is kept for likeness: `~ how is <symbol> do <time>`."""
    for path in sorted((*FOLDER.glob("*.txt"), *ENDINGS.glob("*.txt"))):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("~"):
                yield path.stem, line[1:].strip()


def examples() -> Iterator[tuple[str, str, str]]:
    """Command, sentence and typed line of every example in the sentence files: `> what am I holding => positions`."""
    for path in sorted(FOLDER.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(">"):
                sentence, _, typed = line[1:].partition("=>")
                yield path.stem, sentence.strip(), typed.strip()


@cache
def literals(*, endings: bool = True) -> frozenset[str]:
    """Every plain word of every pattern: the words that a mistyped one may have been meant for."""
    found: set[str] = set()
    for command, line in lines():
        if not endings and command in ENDS:
            continue
        found.update(part.lower() for part in _expanded(re.sub(r"^[+-]\d\S*\s+", "", line.strip())) if part.isalpha())
    return frozenset(found)


@cache
def _index() -> tuple[dict[str, list[Pattern]], list[Pattern]]:
    by_word: dict[str, list[Pattern]] = {}
    always: list[Pattern] = []
    for command, line in lines():
        pattern = compiled(command, line)
        for word in pattern.needs:
            by_word.setdefault(word, []).append(pattern)
        if not pattern.needs:
            always.append(pattern)
    return by_word, always


def matches(tagged: Tagged) -> dict[str, Match]:
    """The best match of each command, by command."""
    by_word, always = _index()
    tried: dict[int, Pattern] = {id(pattern): pattern for word in set(tagged.tags) for pattern in by_word.get(word, ())}
    found: dict[str, Match] = {}
    for pattern in (*always, *tried.values()):
        known = found.get(pattern.command)
        if known is not None and known.score >= pattern.score and (known.captures or "@" not in pattern.source):
            continue
        fit = _regex(pattern.expression).search(tagged.text)
        if fit is None:
            continue
        captures = {
            name: (tagged.place(fit.start(name)), tagged.place(fit.end(name) - 1) + 1)
            for name, said in fit.groupdict().items()
            if said is not None
        }
        if known is None or pattern.score > known.score:
            found[pattern.command] = Match(
                pattern=pattern, score=pattern.score, captures=captures or (known.captures if known is not None else {})
            )
        else:
            found[pattern.command] = Match(pattern=known.pattern, score=known.score, captures=captures)
    _named_first(tagged, found)
    return found


_FIRST = {
    lemma(name): name
    for name in (
        "positions pnl fills greeks risk why stress vix regime correlation heatmap quote chain iv earnings "
        "calendar news flow sectors scan plan hedge"
        " journal attribution streak mandate settings config backtest optimize wheel tax readiness ml"
    ).split()
}
FIRST_WORD = 1.5  # what a command's own name says as the first word


def _named_first(tagged: Tagged, found: dict[str, Match]) -> None:
    """A sentence that begins with a command's name speaks of it, whatever follows."""
    name = _FIRST.get(tagged.tags[0]) if tagged.tags else None
    if name is None or tagged.tags[:2] in (["calendar", "put"], ["calendar", "call"]):
        return
    known = found.get(name)
    score = (known.score if known is not None else 0.0) + FIRST_WORD
    pattern = (
        known.pattern if known is not None else Pattern(command=name, source=name, expression=name, score=score, needs=frozenset({name}))
    )
    found[name] = Match(pattern=pattern, score=score, captures=known.captures if known is not None else {})


ANSWERS = frozenset(
    "status positions pnl fills greeks risk why stress vix regime correlation heatmap quote chain iv "
    "earnings calendar news flow sectors scan plan hedge journal"
    " review attribution streak alerts readiness ml wheel tax config".split()
)
LIKELY = 1.9  # evidence below this is none
AHEAD = 0.4  # and so much more than that of the next command


@cache
def _lexicon() -> dict[str, dict[str, float]]:
    """What each word of the patterns says for each command that only answers: the fewer commands use it, the more."""
    using: dict[str, Counter[str]] = {}
    for command, line in lines():
        if command in ANSWERS:
            for word in {lemma(part.lower()) for part in _expanded(re.sub(r"^[+-]\d\S*\s+", "", line.strip())) if part.isalpha()} - SMALL:
                using.setdefault(word, Counter())[command] += 1
    return {
        word: {command: math.log(1 + len(ANSWERS) / len(counts)) * min(1.0, 0.55 + 0.15 * count) for command, count in counts.items()}
        for word, counts in using.items()
        if len(counts) <= 6
    }


def likely(tagged: Tagged) -> str | None:
    """The command that only answers and that the words alone speak for, where no pattern fits; None where that is none or several."""
    evidence: dict[str, float] = {}
    for word in set(tagged.tags):
        for command, weight in _lexicon().get(word, {}).items():
            evidence[command] = evidence.get(command, 0.0) + weight
    best = sorted(evidence.items(), key=lambda item: (-item[1], item[0]))[:2]
    if not best or best[0][1] < LIKELY or (len(best) > 1 and best[0][1] - best[1][1] < AHEAD):
        return None
    return best[0][0]


def expression_of(pattern: Pattern) -> re.Pattern[str]:
    """The compiled expression of a pattern; raises re.error where it is none."""
    return _regex(pattern.expression)
