"""What is not meant: quoted and pasted text, reported speech, negations and hypotheticals; and what is only said around an order.

Each guard gives back the tokens that still count. An order within quotation marks, after "fwd:" or told of somebody else is nobody's order;
"don't sell SPY" leaves nothing; "don't close SPY, close QQQ" leaves the second half. "Skip the confirmation" and its kin are taken out: the
order around them stays that order, and still needs its press.
"""

from __future__ import annotations

import re

from bot.intent.tokens import Token

_PASTED = re.compile(
    r"^\s*(?:fwd?\b|fw:|forwarded|re:|from:|subject:|begin forwarded|---|>|\[?\s*system\b|<\s*/?\s*system"
    r"|<<|###|\{\s*\"|assistant:|user:|admin:|developer:|bot:|tool:"
    r"|important:? (?:new )?instructions?|ignore (?:all |any |your |the |everything )*(?:previous"
    r"|prior|above|instructions?|prompt)|disregard (?:all |any |your |the )*(?:previous|prior|above"
    r"|instructions?)|new instructions?|<\s*/?\s*\w+>)"
    r"|\b(?:system (?:prompt|message|note|override|notice)|forwarded message|original message|end of (?:message"
    r"|system)|as an ai|developer mode|dan mode|admin override|sudo)\b"
    r"|\[(?:system|admin|inst|assistant|user)\b|<(?:system|user|assistant|instructions?)\b|\bnew instructions?:"
    r"|\bpasted?:|\bcopied (?:from|this)|\bpasting\b|\bi paste\b",
    re.IGNORECASE,
)
_REPORTERS = (
    r"he|she|they|friend|buddy|brother|sister|dad|father|mom|mother|wife|husband|guy|guru|analyst"
    r"|analysts|cramer|newsletter|article|email|e-mail|mail|tweet|post|message|boss|"
    r"someone|somebody|reddit|telegram|discord|twitter|news|headline|headlines|report|colleague"
    r"|neighbor|neighbour|trader|advisor|adviser|book|video|youtube|chat|"
    r"chatgpt|gpt|signal|service|letter|note|memo|text|group|forum|people|everyone|everybody|uncle"
    r"|cousin|coworker|mentor|podcast|blog|site|website|screenshot|card|"
    r"goldman|broker|manager|website|sign|poster|comment|thread|feed|ad"
)
_REPORTED = re.compile(
    rf"\b(?:{_REPORTERS})\b(?:\s+\w+){{0,3}}?\s+(?:just\s+)?(?:say|says|said|saying|told|tells|tell"
    rf"|wrote|writes|writing|recommend|recommends|recommended|suggest|suggests|suggested|posted"
    rf"|posts|"
    r"tweeted|tweets|advises|advised|texted|texts|sent|sends|reads|read|goes|went|urges|urged|thinks"
    r"|thought|claims|claimed|asked|asks|mentions|mentioned|swears|yelled|announced)\b"
    rf"|\b(?:{_REPORTERS})\s+(?:just\s+|already\s+|has\s+|have\s+|also\s+)?(?:is selling|is buying"
    rf"|sold|bought|are selling|are buying|sells|buys)\b"
    r"|\byou (?:said|told me|recommended|suggested)\b|\b(?:according to|quote|unquote|i (?:read"
    r"|saw|heard|got an?|received)|the (?:text|line|message"
    r"|mail) (?:is|was|says)|it (?:says|said|reads|read))\b",
    re.IGNORECASE,
)
_SKIPS = re.compile(
    r"\b(?:override|overriding|bypass|ignore|disable|lift|forget about|disregard)\s+(?:all\s+|the\s+"
    r"|my\s+|your\s+|any\s+|every\s+)*(?:limits?|rules?|risk limits?|governor|checks?|warnings?"
    r"|guard ?rails?|safety|restrictions?|safeguards?)(?:\s*,)?(?:\s+and\b)?"
    r"|\b(?:no need to (?:ask|confirm|check)(?: me)?|you (?:don'?t|do not) (?:need|have) to (?:ask"
    r"|confirm)(?: me)?|(?:i'?m|i am|this is) (?:the |an |your )?(?:admin|owner|boss|administrator"
    r"|developer|ceo)(?: here| of this desk)?|confirm (?:it )?automatically|automatically confirm(?:ed)?"
    r"|auto ?confirmed|urgent!*|emergency order|asap!*|as the owner)(?:\s*[,:!.]+)?(?:\s+and\b)?"
    r"|(?:,|\band\b|\bbut\b|;|-|\.)?\s*(?:please\s+)?\b(?:skip|bypass|forget|ignore|omit|drop|without"
    r"|with no|no need for|don'?t (?:need|want|wait for|bother with|show|send|give me)|do not (?:need"
    r"|want|show|wait for)|no)\s+"
    r"(?:(?:me|the|any|a|all|that|your|those|further|another|more|its|usual|with)\s+){0,3}(?:confirm(?:ation"
    r"|ations|ing)?|confirm button|confirm step|preview|previews|card|cards|button|buttons|ticket"
    r"|questions?|questions? asked|"
    r"asking|are you sure|prompts?|checks?|safety checks?|risk checks?|warnings?|approval|double check)\b(?:\s+(?:needed"
    r"|required|asked|necessary|please|step|steps|this time|at all|again|stuff|nonsense))*"
    r"|(?:,|\band\b|\bbut\b|;|\.)?\s*\b(?:do not|don'?t|dont|never|stop)\s+(?:ask(?:ing)?|bug|bother"
    r"|check with|wait for|confirm|prompt|question)\b(?:\s+(?:me|again|for|about|it|with|any|anything"
    r"|the|a|first|confirmation|permission|questions?|this|time))*"
    r"|(?:,|\band\b|;|\.)?\s*\b(?:just do it|do it now|do it|no questions asked|without asking(?: me)?(?: "
    r"again| first)?|without confirming|straight to (?:the )?(?:market|broker|exchange)|send it (?:right "
    r"away|straight away|immediately|now|live|directly)"
    r"|execute it? ?(?:now|immediately|right away|directly)|i (?:already )?(?:pre-?)?(?:confirm(?:ed)?"
    r"|approve[d]?|authori[sz]e)(?: it| this| that)?(?: already| in advance| now)?|pre-?approved"
    r"|pre-?confirmed|auto-?confirm(?: it)?|consider (?:it|this) confirmed"
    r"|confirm it (?:yourself|for me|too|right away|immediately|automatically)|and confirm(?: it)?"
    r"|yes i'?m sure|i'?m sure|i am sure|trust me|yolo|fire it off|no confirmation|and send it"
    r"|send it|i know what i'?m doing)\b",
    re.IGNORECASE,
)
_HYPOTHETIC = re.compile(
    r"\b(?:what if|whatif|should i|should we|shall i|i was about to|was about to|i almost|nearly"
    r"|was going to|were going to|would be a|would it be|would i|would we|would you (?!please|mind"
    r"|kindly|sell|buy|close|open|roll)|what would|what happens|what'd happen|how would|might i"
    r"|if i (?:were to|sold|sell|bought|buy|open|opened|close|closed|had|did|put|wrote|write|was)"
    r"|if we (?:sold|sell|bought|buy|open|opened|close|closed|were)|suppose|supposing|hypothetical"
    r"|hypothetically|imagine|let'?s say|say i|pretend|theoretically|in theory|thinking (?:of|about)"
    r"|thought about|considering|consider|wondering|wonder|contemplating|tempted to|might (?:sell"
    r"|buy|open|close|roll)|maybe i|maybe we|maybe i'?ll"
    r"|i might|i may|i could|we could|we might|would have|could have|should have|if only|is it (?:a )?(?:good"
    r"|smart|wise|worth|ok|okay|safe|time|better|too)|is now|good idea|bad idea|worth (?:selling"
    r"|buying|opening)|pros and cons|do you think|what do you think|do you recommend|would you recommend"
    r"|is selling|is buying|was thinking|planning to|plan to|going to (?:sell|buy|open) .*(?:tomorrow"
    r"|next|later)|wanted to|i wish|dreaming|tempting"
    r"|why (?:do|does|did|would|should|can|not)|how come|ever (?:sold|sell|buy)|some day|someday|one day)\b",
    re.IGNORECASE,
)
_DOES_IT = re.compile(
    r"\bso (?:please|do|set|sell|open|go|let'?s)|please (?:set|do|sell|open|go|put)|set (?:one|it|that) up|let'?s do|go ahead|do it",
    re.IGNORECASE,
)
_BOUNDARY = frozenset({",", ";", ".", "but", "instead", "rather", "!", "?", ":", "just", "only"})
_CLAUSE_VERBS = frozenset(
    {"close", "sell", "buy", "roll", "open", "sto", "bto", "btc", "stc", "cancel", "pause", "kill", "halt", "show", "exit", "tell", "alert"}
)


def pasted(text: str) -> bool:
    """Whether a text gives itself out as forwarded, pasted or as the machine's own."""
    return _PASTED.search(text) is not None


_LABELLED = re.compile(
    r"^[^:]{0,80}\b(?:screenshot|text|message|mail|email|tweet|post|headline|signal|alert from"
    r"|quote|quoting|copied|copy|paste|says|said|reads|article"
    r"|newsletter|idea from|tip|recommendation|subject|chat|group|channel|log|transcript)\b[^:]{0,40}:(?!\d)",
    re.IGNORECASE,
)


def reported(text: str) -> bool:
    """Whether a text tells what somebody else says or does, or says of itself that it is a copy."""
    return _REPORTED.search(text) is not None or (
        _LABELLED.search(text) is not None and not re.match(r"^\W*(?:log|record|note|book)\b", text.lower())
    )


_ASKS_LEAVE = re.compile(r"^(?:\W*\w+\W+){0,6}?(?:can|could|may) (?:i|we)\b", re.IGNORECASE)
_MUSES = re.compile(
    r"^\s*(?:\w+\s+){0,2}(?:selling|buying|closing|opening|rolling|shorting|trading)\b.*\b(?:is"
    r"|would|was|seems|makes|sounds|feels|are|isn't|story of)\b",
    re.IGNORECASE,
)


def hypothetical(text: str) -> bool:
    """Whether a text plays with a thought and asks for nothing to be done."""
    return (_HYPOTHETIC.search(text) is not None and _DOES_IT.search(text) is None) or _MUSES.search(text) is not None


def asks_leave(text: str) -> bool:
    """Whether a text asks whether something may be done: "can I sell puts on SPX?"."""
    return _ASKS_LEAVE.match(text) is not None


def without_skips(text: str) -> str:
    """A text without "skip the confirmation" and the like; unchanged where nothing else would be left."""
    plain = re.sub(r"\s+", " ", _SKIPS.sub(" ", text)).strip(" ,;.-")
    return plain if plain else text


def without_quotes(text: str) -> tuple[str, bool]:
    """A text without what stands in quotation marks, if that is more than a word or two, and whether something was taken out."""
    found = re.sub(
        r"\"[^\"]*\"|\"[^\"]{12,}$|(?:(?<=\s)|^)'[^']{6,}'(?=[\s?.!,;:]|$)",
        lambda match: " " if len(match[0].split()) > 2 else match[0].strip("\"'"),
        text,
    )
    return found, found != text and len(found.split()) < len(text.split())


def without_negated(tokens: list[Token]) -> tuple[list[Token], bool]:
    """The tokens outside negated clauses, and whether there was one: "do not close SPY, close QQQ" leaves the second half."""
    kept: list[Token] = []
    place, found = 0, False
    while place < len(tokens):
        size = _negation(tokens, place)
        if not size:
            kept.append(tokens[place])
            place += 1
            continue
        found = True
        while kept and kept[-1].text in ("please", "i", "we", "you", "to", "said", "and", "just"):
            kept.pop()
        place = _clause_end(tokens, place + size)
    return kept, found


def _negation(tokens: list[Token], place: int) -> int:
    """How many tokens a negation of a whole clause takes here; 0 where there is none."""
    texts = [token.text for token in tokens[place : place + 4]]
    if texts[:2] in (
        ["do", "not"],
        ["did", "not"],
        ["will", "not"],
        ["would", "not"],
        ["should", "not"],
        ["can", "not"],
        ["must", "not"],
        ["does", "not"],
        ["is", "not"],
    ):
        return 2
    if texts[:1] in (["never"], ["dont"]) or texts[:3] == ["by", "no", "means"]:
        return 1
    if (
        texts[:1] == ["not"]
        and texts[1:2]
        and texts[1]
        in (
            "sell",
            "buy",
            "close",
            "open",
            "roll",
            "to",
            "going",
            "selling",
            "buying",
            "closing",
            "opening",
            "want",
            "cancel",
            "yet",
            "doing",
            "sure",
            "interested",
        )
    ):
        return 1
    if texts[:1] == ["forget"] and texts[1:2] and texts[1] in ("the", "about", "that", "it", "my", "those", "this"):
        return 1
    if texts[:3] == ["no", "longer", "want"] or texts[:2] == ["instead", "of"] or texts[:2] == ["rather", "than"]:
        return 2
    return 0


def _clause_end(tokens: list[Token], place: int) -> int:
    while place < len(tokens):
        text = tokens[place].text
        if text in (",", ";", ".", "but", "instead", "rather", "!", ":"):
            return place + 1
        if text == "and" and place + 1 < len(tokens) and tokens[place + 1].text in _CLAUSE_VERBS:
            return place + 1
        place += 1
    return place


_GREETS = re.compile(
    r"^(?:(?:hey|hi|hello|yo|hiya|please|pls|plz|kindly|ok|okay|k|so|um+|uh+|erm?|hmm+|well|alright|all right|sorry"
    r"|(?:good )?morning|good afternoon|good evening|quick one(?=[:,])|quick question(?=[:,])|question(?=[:,])|btw|by the way|dear"
    r"|honestly|anyway|basically|and then|(?:listen|look|desk|bot|mate|buddy|bro|man|dude|team|guys|actually|now|then|right|just)(?=,))"
    r"(?: (?:desk|bot|there|mate|buddy|team|guys))?\s*[,.:;!-]*\s+)+",
    re.IGNORECASE,
)
_ASKS_FOR = re.compile(
    r"^(?:(?:can|could|would|will) (?:you|u|ya)(?: please| kindly| just| quickly| maybe)? |i(?:'d"
    r"| would|d) (?:like|love) (?:you )?to |i (?:want|need|wanna) (?:you )?to |i wanna |"
    r"(?:please )?go ahead and |let'?s |be so kind and |do me a favou?r and |i want you to |please )+(?!know"
    r"|be\b|you\b|do\b|hear|see you|help)",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"[\s,.;-]*\b(?:please|pls|plz|thanks(?: a lot| so much)?|thank you(?: very much| so much)?"
    r"|thx|ty|cheers|mate|buddy|bro|dude|asap|right away|right now|immediately|at once|"
    r"if you can|if you could|if possible|if you please|for me|ok|okay|will you|would you|could you"
    r"|kindly|(?<!for )(?<!on )(?<!of )(?<!quote )(?-i:now))\s*[!?.,]*$",
    re.IGNORECASE,
)


def without_manners(text: str) -> str:
    """A text without the greeting before it and the thanks behind it; unchanged where that is all it says."""
    plain = text
    for pattern in (_GREETS, _ASKS_FOR, _GREETS):
        rest = pattern.sub("", plain, count=1).strip()
        plain = rest if re.search(r"\w", rest) else plain
    for _ in range(4):
        rest = _THANKS.sub("", plain).rstrip(" ,;")
        if rest == plain or not re.search(r"\w", rest):
            break
        plain = rest
    return re.sub(r"[!]+$|(?<=\w)\?{2,}$", lambda found: "?" if "?" in found[0] else "", plain) or text
