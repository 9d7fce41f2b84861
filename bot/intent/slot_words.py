"""Slots that are the words themselves: a note's text, what to search the journal for, the term or command to explain."""

from __future__ import annotations

import re
from typing import Any

from bot.intent.patterns import Match, Tagged
from bot.intent.sentence import Sentence

_ARTICLES = frozenset({"a", "an", "the", "my", "our", "your", "some", "to", "me", "of", "for", "on", "please", "that", "it", "this"})
TAILS = frozenset(
    {"please", "thanks", "now", "mean", "means", "anyway", "exactly", "again", "here", "?", "pls", "thx", "to", "me", "for", "today"}
)


def said(sentence: Sentence, tagged: Tagged, span: tuple[int, int], *, mended: bool = False) -> str:
    """The words of a span as they were written."""
    first, last = tagged.tokens[span[0]], tagged.tokens[span[1] - 1]
    if mended and any(token.kind == "word" and token.mended for token in tagged.tokens[span[0] : span[1]]):
        pieces = [
            token.text if token.kind == "word" and token.mended else sentence.text[token.start : token.end]
            for token in tagged.tokens[span[0] : span[1]]
        ]
        return " ".join(pieces).strip(" \t\"':?!.,;")
    return sentence.text[first.start : last.end].strip(" \t\"':?!.,;")


def captured(slots: dict[str, Any], name: str, sentence: Sentence, tagged: Tagged, match: Match | None) -> str | None:
    if match is None or name not in match.captures:
        return None
    words = said(sentence, tagged, match.captures[name], mended=name in ("key", "topic", "id"))
    if words:
        slots[name] = words
    return words or None


def trimmed(words: str, *, tails: frozenset[str] = TAILS) -> str:
    parts = words.split()
    while parts and parts[0].lower().strip("?,.") in _ARTICLES:
        parts = parts[1:]
    while len(parts) > 1 and parts[-1].lower().strip("?,.!") in tails:
        parts = parts[:-1]
    return " ".join(parts).strip(" ?!.,;:\"'")


def note_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    text = sentence.text
    colon = re.match(
        r"^[^\":]{0,60}?\b(?:note|down|journal|log|memo|entry|trade|remark|comment|book|diary|record|reminder|self)\b[^\":]{0,40}:\s*(.+)$",
        text,
        re.IGNORECASE,
    )
    quoted = re.search(r"\"([^\"]{2,})\"", text)
    words = colon[1] if colon is not None else quoted[1] if quoted is not None else captured(slots, "text", sentence, tagged, match)
    if words is None:
        return
    parts = words.split()
    named = sentence.of("symbol")
    lead = re.match(r"^(?:to|on|for|about|the|my|a|in)\s.*$", words) if colon is None and quoted is None else None
    if colon is None and quoted is None and named and parts and parts[0].upper().strip("$,:") == named[0].value and len(parts) > 1:
        words = " ".join(parts[1:])
    elif lead is not None:
        about = re.match(
            r"^(?:(?:to|on|for|about|in)\s+)(?:(?:the|my|that)\s+)?(?:[A-Za-z.]+\s+)(?:(?:trade|position"
            r"|spread|condor|put|call)\s+)?(?:that\s+|saying\s+)?(.+)$",
            words,
        )
        if about is not None and named and named[0].start < sentence.text.find(about[1]):
            words = about[1]
    slots["text"] = words.strip().strip('"').strip()


def query_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    quoted = re.search(r"[\"']([^\"']{2,})[\"']", sentence.text)
    words = quoted[1] if quoted is not None else captured(slots, "query", sentence, tagged, match)
    if words is not None:
        slots["query"] = trimmed(words, tails=frozenset({"please", "thanks", "?"}))


def topic_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    quoted = re.search(r"\"([^\"]{1,})\"", sentence.text)
    words = quoted[1] if quoted is not None else captured(slots, "topic", sentence, tagged, match)
    if words is None:
        slots.pop("topic", None)
        return
    between = re.search(r"\bdifference between .+", sentence.text, re.IGNORECASE)
    if between is not None:
        slots["topic"] = between[0].rstrip(" ?.!")
        return
    words = re.sub(r"^(?:how|what|why)\s+(?:is|are|does|do|to)?\s*", "", words, flags=re.IGNORECASE) if not quoted else words
    words = re.sub(
        r"\s+(?:like i'?m|like im|to a|for a|for dummies|in plain|in simple|in one|briefly|for beginners"
        r"|as if|so i|in detail|in short|really|all about|work|works|is|are|mean|means)\b.*$",
        "",
        words,
        flags=re.IGNORECASE,
    )
    topic = trimmed(words)
    if topic and topic.lower() not in ("it", "that", "this", "me", "you", "please", "that to me", "this to me"):
        slots["topic"] = topic
    else:
        slots.pop("topic", None)


def help_slots(slots: dict[str, Any], sentence: Sentence, tagged: Tagged, match: Match | None) -> None:
    words = captured(slots, "topic", sentence, tagged, match)
    if (words is None and tagged.tags[:1] == ["how"]) or (words is None and "how" in tagged.tags[:2]):
        at = next((place for place, each in enumerate(tagged.tags) if each in ("i", "one", "you", "we") and place < 5), None)
        skip = frozenset({"go", "about", "actually", "even", "best", "you", "i", "would"})
        if at is not None and at + 1 < len(tagged.tags):
            at += 1
            while at < len(tagged.tags) and tagged.tags[at] in skip:
                at += 1
            if at < len(tagged.tags):
                words = said(sentence, tagged, (at, len(tagged.tags)))
    if words is None:
        named = tagged.tags
        if set(named) & {"trade", "order", "strategy", "structure"} and set(named) & {"kind", "type", "sort"}:
            slots["topic"] = "trades" if "trade" in named else "orders" if "order" in named else "strategies"
        return
    words = re.sub(
        r"\s+(?:with you|here|in here|with this|with this thing|on this|in this bot|with the bot|using this"
        r"|using you|command|commands|please|to me|in this thing|in you|properly|again|order here.*)$",
        "",
        words.strip(" ?!.,"),
        flags=re.IGNORECASE,
    )
    words = re.sub(r",\s*help$", "", words)
    topic = trimmed(words)
    if topic.lower() in (
        "",
        "use this",
        "use this thing",
        "use you",
        "use it",
        "start",
        "me",
        "out",
        "get started",
        "begin",
        "use the bot",
        "use this bot",
        "use this desk",
        "use the desk",
        "work with you",
        "talk to you",
        "work",
        "this work",
        "you work",
        "use",
        "needed",
        "i am lost",
        "im lost",
        "i'm lost",
        "now",
        "work this thing",
    ):
        slots.pop("topic", None)
        return
    slots["topic"] = topic
