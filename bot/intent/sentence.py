"""A sentence made ready to be understood: its tokens with figures, times, symbols and structures told, and slips of the finger mended.

A mistyped word is mended only where one word of the closed vocabulary is near, never into a side, a right or a number that another word
is as near to, and never where the letters are a word or a ticker of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache

from bot.intent import structures, symbols, words
from bot.intent.numbers import join_numbers
from bot.intent.patterns import lemma
from bot.intent.times import join_times
from bot.intent.tokens import Token, cleaned, in_plain_words, spelled_letters, tokens_of

_DELICATE = frozenset({"sell", "buy", "put", "puts", "call", "calls", "short", "long", "not", "never"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A text, cleaned, and its tokens."""

    text: str
    tokens: list[Token]
    today: date

    def of(self, kind: str) -> list[Token]:
        """The tokens of a kind."""
        return [token for token in self.tokens if token.kind == kind]

    @property
    def symbols(self) -> list[str]:
        """The tickers named, each once, contracts included."""
        named = [
            token.value if token.kind == "symbol" else token.value["symbol"]
            for token in self.tokens
            if token.kind in ("symbol", "contract")
        ]
        return list(dict.fromkeys(named))

    @property
    def words(self) -> set[str]:
        """All words and tags."""
        return {token.text for token in self.tokens}

    def has(self, *phrase: str) -> bool:
        """Whether words stand in this order, one after the other."""
        texts = [token.text for token in self.tokens]
        return any(tuple(texts[place : place + len(phrase)]) == phrase for place in range(len(texts) - len(phrase) + 1))


def read(text: str, today: date) -> Sentence:
    """Read a text against a day."""
    plain = cleaned(text)
    return sentence_of(plain, tokens_of(plain), today)


def sentence_of(plain: str, tokens: list[Token], today: date) -> Sentence:
    """A sentence from its raw tokens."""
    tokens = join_numbers(in_plain_words(_mended(spelled_letters(tokens, symbols.tickers()))))
    tokens = _corrected(join_times(tokens, today))
    tokens = structures.join_structures(symbols.join_symbols(tokens))
    return Sentence(text=plain, tokens=tokens, today=today)


_TAKES_BACK = (
    ("no", ","),
    ("no", "wait"),
    ("no", "make", "it"),
    ("no",),
    ("actually",),
    ("i", "mean"),
    ("make", "it"),
    ("make", "that"),
    ("scratch", "that"),
    ("sorry",),
    ("well",),
    ("or", "rather"),
    ("rather",),
    ("wait",),
    ("correction",),
    ("oops",),
)
_FIGURES = frozenset({"number", "percent", "money", "time", "pair"})


def _corrected(tokens: list[Token]) -> list[Token]:
    """The tokens with what was taken back left out: "10% ... no, strike 150", "one month, make it 30 dte", "not the 2 but 3"."""
    place = 0
    while place < len(tokens):
        size = next((len(words) for words in _TAKES_BACK if tuple(token.text for token in tokens[place : place + len(words)]) == words), 0)
        before = next((index for index in range(place - 1, max(-1, place - 6), -1) if tokens[index].kind in _FIGURES), None)
        after = next((index for index in range(place + size, min(len(tokens), place + size + 4)) if tokens[index].kind in _FIGURES), None)
        if (
            size
            and before is not None
            and after is not None
            and tokens[place + size].text not in ("more", "less", "later")
            and _alike(tokens[before], tokens[after])
        ):
            tokens = [*tokens[:before], *tokens[before + 1 : place], *tokens[place + size :]]
            place = max(0, before)
            continue
        if tokens[place].text == "not" and place + 3 < len(tokens):
            at = next((index for index in range(place + 1, place + 4) if index < len(tokens) and tokens[index].kind in _FIGURES), None)
            if at is not None and at + 2 < len(tokens) and tokens[at + 1].text == "but" and tokens[at + 2].kind in _FIGURES:
                tokens = [*tokens[:place], *tokens[at + 2 :]]
                continue
            if at is not None and (at + 1 == len(tokens) or tokens[at + 1].text in (",", ".", ":", "!", ";")):
                tokens = [*tokens[:place], *tokens[at + 1 :]]  # three not two: ...
                continue
            if (
                tokens[place + 1].text in ("a", "the")
                and tokens[place + 2].text in ("call", "put", "calls", "puts")
                and tokens[place + 3].text in (",", ";", "but")
            ):
                tokens = [*tokens[:place], *tokens[place + 4 :]]  # not a call, a put
                continue
        elif tokens[place].text == "not" and place + 1 < len(tokens) and tokens[place + 1].kind == "number" and place:
            tokens = [*tokens[:place], *tokens[place + 2 :]]
            continue
        place += 1
    return tokens


def _alike(left: Token, right: Token) -> bool:
    return left.kind == right.kind or {left.kind, right.kind} <= {"number", "percent", "money"}


def _mended(tokens: list[Token]) -> list[Token]:
    known = words.vocabulary()
    for token in tokens:
        if (
            token.kind == "word"
            and token.text not in known
            and lemma(token.text) not in known
            and len(token.text) >= 4
            and token.text.isascii()
            and token.text.isalpha()
        ):
            found = nearest(token.text) or (nearest(token.text[:-1]) if token.text.endswith("s") else None)
            token.text, token.mended = found or token.text, found is not None
    return tokens


@cache
def _shelves() -> dict[str, list[str]]:
    """The vocabulary by first letter: the first letter of a word is seldom the wrong one."""
    found: dict[str, list[str]] = {}
    for word in sorted(words.targets()):
        if len(word) >= 4:
            found.setdefault(word[0], []).append(word)
    return found


_MENDED: dict[str, str | None] = {}
_MENDED_MOST = 20_000


def nearest(word: str) -> str | None:
    """The one word of the vocabulary that a mistyped word is, None where there is none or several."""
    if word in _MENDED:
        return _MENDED[word]
    if len(_MENDED) > _MENDED_MOST:
        _MENDED.clear()
    _MENDED[word] = found = _nearest(word)
    return found


def _nearest(word: str) -> str | None:
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    if len(word) > 20:
        return None
    most = 1 if len(word) < 8 else 2
    shelf = _shelves().get(word[0], []) + (_shelves().get(word[1], []) if word[1] != word[0] else [])
    near = process.extract(word, shelf, scorer=OSA.distance, score_cutoff=most, limit=4)
    if not near:
        return None
    best = min(distance for _, distance, _ in near)
    found = {other for other, distance, _ in near if distance == best}
    if len(found) > 1:
        stems = {other.rstrip("s") for other in found}
        if len(stems) > 1:
            swapped = {other for other in found if sorted(other) == sorted(word)}
            if len(swapped) != 1:
                return None if found & _DELICATE or len(found) > 3 else min(found, key=lambda other: (-_common_start(other, word), other))
            return swapped.pop()
    return min(found, key=lambda other: (abs(len(other) - len(word)), other))


def _common_start(left: str, right: str) -> int:
    size = 0
    while size < min(len(left), len(right)) and left[size] == right[size]:
        size += 1
    return size
