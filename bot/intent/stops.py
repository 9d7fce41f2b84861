"""Stops in sentences, found before anything else: kill, halt, pause, cancel. A missed stop costs most.

A question about a stop ("what does halt do?"), a denied one ("don't cancel my orders") and one of everyday life ("pause the video")
is none.
Of several stops in one sentence the one that is meant counts: an emergency is a kill, orders alone are cancelled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.intent import guards
from bot.intent.kinds import QUESTION, head_of
from bot.intent.patterns import Match
from bot.intent.sentence import Sentence
from bot.intent.words import EVERYDAY

ASK = 0.95  # a pattern that says less than this decides nothing
STOPPING = ("kill", "halt", "pause", "cancel")
_STEMS = frozenset(word.rstrip("s") for word in EVERYDAY)
_KEEPS_WORDS = frozenset({"note", "search_journal", "alert", "explain", "log_trade", "settings", "account", "pair", "drill"})


def best_of(found: Mapping[str, Match], *, among: Sequence[str] | frozenset[str] | None = None) -> Match | None:
    wanted = [match for name, match in found.items() if among is None or name in among]
    return max(wanted, key=lambda match: (match.score, match.pattern.command), default=None)


def stop_in(sentence: Sentence, found: Mapping[str, Match], *, negated: bool) -> str | None:
    """The command that stops something, where that is what is said: before anything else, since a missed stop costs most."""
    best = best_of(found, among=STOPPING)
    if best is None or best.score < ASK:
        spoken = None if is_elsewhere(sentence, None) or guards.reported(sentence.text) else by_words(sentence)
        if spoken is not None and (not negated or spoken == "pause"):
            return spoken
    if best is None:
        return None
    label = best.pattern.command
    rival = best_of(found, among=frozenset(found) - set(STOPPING) - {"smalltalk", "out_of_scope", "close", "open", "roll"})
    first = head_of(sentence.tokens)
    if asks_about(sentence):
        return None
    if is_elsewhere(sentence, None) or re.search(r"\bno need to\b", sentence.text.lower()):
        return None
    if guards.reported(sentence.text) and "?" in sentence.text:
        return None
    if label == "pause" and sentence.symbols:
        return None
    if negated and label != "pause" and not _denies_only_orders(sentence):
        return None
    if label == "pause" and negated and best.score < 1.5:
        return None
    label = hardest_of(sentence, found, label)
    if (
        label in ("kill", "halt")
        and first is not None
        and first.text not in QUESTION
        and rival is not None
        and rival.pattern.command not in ("unhalt", "resume", "blacklist", "drop", "mandate", "drill", "help", "explain")
    ):
        rival = None if found[label].score >= 1.5 else rival
    if rival is not None and rival.score >= best.score and rival.pattern.command not in ("risk", "status", "calendar", "positions"):
        return None
    if first is not None and first.text in (
        "pause",
        "kill",
        "halt",
        "cancel",
        "stop",
        "freeze",
        "abort",
        "panic",
        "flatten",
        "shut",
        "emergency",
    ):
        return label
    return label if best.score >= ASK else None


_STRATEGY_OFF = re.compile(
    r"^(?:(?:i|we) (?:do not|don'?t|no longer) (?:want|need) (?:any |to (?:sell|see|do|trade|open) )?(?:any "
    r")?(?:more )?|(?:please )?(?:no more|no|stop|quit|pause|suspend|freeze|hold"
    r"|disable|block|cease|skip|enough|lay off|hold off|turn off|switch off|shut off|bench|park"
    r"|avoid|leave out|end)\b).*|.*\b(?:off|on hold|paused|on pause|on ice|for now stop)[.! ]*$"
)
_ENTRIES_OFF = re.compile(
    r"\b(?:no|stop|skip|pause|hold|freeze|block|halt|suspend|quit|cease|end|enough|done|off|finished"
    r"|through)\b.*\b(?:entries|entry|openings?|opening|new (?:trades?|positions?|entries|stuff"
    r"|risk|ones|orders))\b"
    r"|\b(?:entries|openings|new (?:trades?|positions?|entries|stuff))\b.*\b(?:off|on hold|paused"
    r"|stopped|over|closed|later|suspended)\b|\b(?:only exits|exits only|close only|closing only)\b"
)
_ALL_OFF = re.compile(
    r"^(?:nuke|kill|terminate|abort|panic|mayday)\b|\bmake (?:it|this|everything) (?:all )?stop\b"
    r"|^everything (?:off|down)\b(?!.*\bclose)|^(?:go |get |be )?flat\b(?! is| out)|\bflatten\b.*\b(?:everything"
    r"|all|account|book|now)\b|\beverything\b.*\bflatten\b"
    r"|\b(?:everything|it all|all of it) (?:must|has to|needs to|should|to|ought to|gotta) (?:stop|end|halt|cease)\b"
    r"|^(?:please )?stop what\b|\bput a stop to\b|\bshut it\b(?! up)"
    r"|^all (?:off|stop)\b|\bcut the power\b|\bstop the (?:bot|desk|machine|system|bleeding|madness)\b"
)
_ORDERS_OFF = re.compile(
    r"\b(?:pull|yank|withdraw|remove|clear|kill|drop|cancel|scratch|take (?:down|off)|get rid of"
    r"|call off)\b.*\b(?:working|resting|pending|unfilled|orders?)\b|\border\b.*\b(?:should go"
    r"|has to go|must go|away|out|gone|off)\b"
    r"|\b(?:pull|yank|withdraw|cancel|scrap|void)\b.*\b(?:everything|anything|whatever|all)\b"
    r".*\b(?:broker|filled|fill|working|open)\b"
)
_TOLD = r"^(?:(?:ok|okay|hey|please|just|now|uh|um|no|wait|oh|god|guys?|dude|bot|desk|and|then|so)[ ,!.]+)*"
_TOLD += r"(?:(?:let'?s|let us|you (?:must|should|have to|need to|can|gotta|better)"
_TOLD += r"|(?:i|we) (?:want|need|would like|'?d like) (?:you|it|this|the (?:bot|desk|machine)) to"
_TOLD += r"|(?:can|could|would|will) you(?: please| just)?|time to|better|i said|i'?m telling you to|please|just) )*"
_STOP_TOLD = re.compile(
    _TOLD + r"(?:stop|quit|cease|halt|freeze)"
    r"(?: (?:right there|right now|there|here|this|that|it|all|doing \w+"
    r"|what you are doing|trading|trade"
    r"|anything|everything|at once|immediately|now|please|for \w+|for the \w+|for a \w+))*(?: (?:un)?till? .*|[ .!]*)$"
)
_REST = re.compile(r"\b(?:for (?:now|today|a|the|tonight|this)|until|till|tomorrow|trading|trade)\b")
_PAUSED = re.compile(r"\b(?:want|need|get|keep|put|have|make|like)\b.*\b(?:paused|on hold|stopped|frozen)\b")
_NOTHING_UNTIL = re.compile(
    r"^(?:please |just |ok |and )*(?:no|nothing|zero|(?:do|sell|open|buy|send|place|enter|trade) nothing"
    r"|(?:do not|don'?t) (?:do|send|place) (?:anything|any orders?))\b(?!.*\?)"
    r"(?: (?:new|more|orders?|trades?|trading|entries|goes|gets|is|out|sent|else|at|all))* "
    r"(?:until|till|without|before|today|tomorrow|this week|for now)\b"
)
_NOT_TRADING = re.compile(
    r"^(?:please |just )*(?:do not|don'?t|no|never) (?:do )?(?:any |more )*(?:trade|trading|trades)"
    r"(?: any ?more| for now| today| please|[ .!])*$"
)


def by_words(sentence: Sentence) -> str | None:
    """The stop that the words speak of where no pattern says so: "no condors today", "entries off", "everything off, now"."""
    text = sentence.text.lower().strip()
    figures = sentence.of("number") or sentence.of("pair") or sentence.of("money")
    if sentence.symbols or asks_about(sentence) or re.search(r"\b(?:stop loss|at \d+%)", text):
        return None
    if _ALL_OFF.search(text) and "close" not in sentence.words and not re.search(r"\border", text):
        return "kill"
    if _ORDERS_OFF.search(text) and not sentence.words & {"ticket", "card", "alert"}:
        return "cancel"
    if not figures and not sentence.of("structure") and _STOP_TOLD.search(text):
        return "pause" if _REST.search(text) else "kill"
    quiet = _PAUSED.search(text) or _NOTHING_UNTIL.search(text) or _NOT_TRADING.search(text)
    if quiet and not figures and not sentence.words & {"when", "alert", "if", "stopped"}:
        return "pause"
    if re.search(r"\bhalted?\b", text) and re.search(r"\b(?:want|please|put|desk|now|get|set)\b", text):
        return "halt"
    traded = [token for token in sentence.of("structure") if token.value != "untraded"]
    if traded and not figures and _STRATEGY_OFF.search(text):
        return "pause"
    return "pause" if not figures and not traded and _ENTRIES_OFF.search(text) else None


def hardest_of(sentence: Sentence, found: Mapping[str, Match], label: str) -> str:
    """Of several stops the one that is meant: an emergency is a kill, the word halt a halt, orders alone are cancelled."""
    text = sentence.text.lower()
    orders_only = (
        re.search(
            r"\b(?:kill|stop|cancel|pull|abort|nix|nuke)\b(?:[\s,]+(?:all|em|them|my|the|any|every|of|open|working"
            r"|pending|resting|those|these|each|live|single|#?\d+))*[\s,]+(?:order|orders|bids|gtcs)\b",
            text,
        )
        is not None
    )
    if "halt" in sentence.words and not sentence.words & {"kill", "killswitch"} and "halt" in found:
        return "halt"
    emergency = re.search(
        r"\bemergency|\bkill ?switch|\bpanic|\bpull the plug|\bhard stop|\bmayday|\bred button|\bkill\b(?! "
        r"(?:all |my |the |any |every |open |working |#?\d+ )*orders?\b)|\bshut (?:it |this |that |everything "
        r"|the desk )?(?:all )?down|\bshut down|\bstop (?:everything|it all|all trading|sending|all of it)"
        r"|\bno more orders",
        text,
    )
    if "kill" in found and (emergency is not None or (label == "kill" and not orders_only)):
        return "kill" if not (orders_only and emergency is None) else "cancel"
    if orders_only and "cancel" in found:
        return "cancel"
    return label


def asks_about(sentence: Sentence) -> bool:
    texts = [token.text for token in sentence.tokens]
    if not texts:
        return False
    if texts[0] in QUESTION and texts[:2] not in (["do", "not"],) and texts[:1] != ["have"]:
        return texts[0] not in ("do",)
    return (
        texts[:2] in (["can", "i"], ["could", "i"], ["should", "i"], ["tell", "me"], ["explain", "the"])
        or "explain" in texts[:2]
        or "help" in texts[:2]
    )


def _denies_only_orders(sentence: Sentence) -> bool:
    """Whether a negation goes with a stop ("stop, don't send anything") and does not deny it."""
    texts = [token.text for token in sentence.tokens]
    at = next((place for place, text in enumerate(texts) if text in ("not", "never")), 0)
    following = texts[at + 1 : at + 3]
    return not set(following) & {"stop", "kill", "halt", "pause", "cancel", "flatten", "freeze", "shut", "abort"}


def is_elsewhere(sentence: Sentence, rival: Match | None) -> bool:
    """Whether everyday life is spoken of, and nothing of the trade: "cancel my gym membership", "the price of a tesla model 3"."""
    life = [token for token in sentence.tokens if token.kind in ("word", "symbol") and token.raw.lower().rstrip("s") in EVERYDAY | _STEMS]
    if not life:
        return False
    if rival is not None and rival.pattern.command in _KEEPS_WORDS and rival.score >= 1.5:
        return False
    trade = bool(sentence.of("structure") or sentence.of("contract") or sentence.of("pair")) or bool(
        sentence.words
        & {
            "puts",
            "calls",
            "shares",
            "stock",
            "option",
            "options",
            "strike",
            "delta",
            "contracts",
            "trade",
            "trades",
            "position",
            "positions",
            "spread",
            "portfolio",
            "pnl",
        }
    )
    tickers = [token for token in sentence.of("symbol") if token.raw.isupper() and len(token.raw) > 1]
    return not trade and not tickers
