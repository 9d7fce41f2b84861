"""Keeps secrets out of what is written and said. Pure: what it knows it was told.

Two nets. Secrets somebody handed over (tokens, passwords, a typed PIN) are struck out wherever they occur; what has the shape of a
secret (bot tokens, API keys, passwords in addresses, `name=value` with a telling name) is struck out without being known. Figures are
left alone: a secret of digits only, such as a PIN, is struck out where it is called one, and otherwise only in the texts of errors.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Pens = tuple[re.Pattern[str] | None, re.Pattern[str] | None, re.Pattern[str] | None]

MARK = "****"
_WITHOUT_TEXT = frozenset({int, float, bool, type(None), Decimal, datetime, date})
MOST_SECRETS = 512
MOST_PASSES = 8
MOST_HARMLESS = 2_048
SHORT_TEXT = 80
SHORTEST_WORD = 6  # a shorter "secret" would strike out ordinary words
SHORTEST_LINE = 16  # of a secret of several lines, such as a private key
_TELLING = frozenset(
    "PIN TOKEN TOKENS SECRET SECRETS KEY APIKEY PASSWORD PASSWD PASSPHRASE PASS PWD CREDENTIAL CREDENTIALS AUTH DSN COOKIE".split()
)
_PLACES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})  # directories and sockets in spite of their names
_NUMBER = re.compile(r"[+-]?[\d.,]+")
_SAFE_IN_URL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

_VALUE = r"""(?P<value>\\?"(?:[^"\\\n]|\\(?!"))*\\?"|'[^'\n]*'|[^\s"'`&,;<>{}()\[\]]+)"""
_NAMES = (
    r"api[_-]?key|secret(?:[_-]?key)?|passw(?:or)?d|passphrase|pwd|token|access[_-]?key|private[_-]?key|credentials?|signature|session[_-]?id"
    r"|(?:[_-])pin|(?<![\w])pin(?=\\?[\"']?\s{0,3}=)|(?<=[\"'])pin(?=\\?[\"'])"
)
# Each shape with the words without which it cannot occur, in lower case: most texts hold none of them and cost nothing more.
_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("://",), r"(?P<head>\b[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?:[^\s\"'<>/@:]*:[^\s\"'<>]*|[^\s\"'<>/@]*)@"),
    (("authorization",), r"(?i)(?P<head>\bauthorization\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?)(?:[a-z]+\s+)?[^\s\"',}]+"),
    (("cookie",), r"(?i)(?P<head>\bcookie\\?[\"']?\s{0,3}:\s{0,3}\\?[\"']?)[^\r\n\"']+"),
    (("bearer", "basic"), r"(?i)(?P<head>\b(?:bearer|basic)\s{1,3})(?=[A-Za-z0-9._~+/=-]*[0-9=])[A-Za-z0-9._~+/=-]{8,}"),
    ((":",), r"(?<![\d.,])\d{5,}:[A-Za-z][A-Za-z0-9_-]{19,}"),  # a Telegram bot's token, also inside /bot…/
    (("sk-",), r"\bsk-(?:ant-[A-Za-z0-9_-]{4,}|[A-Za-z0-9_-]{16,})"),
    (("ey",), r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    (("gh", "xox", "akia"), r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|xox[abprs]-[A-Za-z0-9-]{8,}|AKIA[A-Z0-9]{16})\b"),
    ((".",), r"\b[A-Za-z][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"),  # a Discord bot's token
    (("private key",), r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
)
_KEYED_HINTS = ("key", "secret", "passw", "passp", "pwd", "token", "credential", "signature", "session", "pin")
_KEYED = rf"(?i)(?P<name>{_NAMES})(?P<between>\\?[\"']?\s{{0,3}}[:=]\s{{0,3}}){_VALUE}"
_QUERY = r"(?P<head>[?&][\w.\-\[\]]{1,64}=)(?P<value>[^\s&\"'<>#]+)"
_RUN = r"[A-Za-z0-9_-]{20,}"
_OPTION_KEY = r"[A-Z.]{1,6}\d{6}[CP]\d{8}"
_CREDENTIALS = r"\b[A-Za-z][A-Za-z0-9+.-]{0,30}://(?P<user>[^\s\"'<>/@:]*)(?::(?P<password>[^\s\"'<>]*))?@"


class Redaction:
    """The secrets of one process, and the pen that strikes them out."""

    def __init__(self) -> None:
        self._words: dict[str, None] = {}
        self._numbers: dict[str, None] = {}
        self._pens: Pens | None = (None, None, None)
        self._harmless: set[str] = set()  # labels and words that every answer repeats

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Redaction:
        """Knows the value of every variable whose name speaks of a secret, and the passwords in addresses of all the others."""
        made = cls()
        for name, value in environment.items():
            if name not in _PLACES and _TELLING.intersection(re.split(r"[^A-Z]+", name.upper())):
                made.add(value)
            made._learn_addresses(value)
        return made

    def add(self, secret: str) -> None:
        """Strike this out from now on. Too short a word is left to the shapes: it would strike out ordinary words."""
        secret = secret.strip()
        if _NUMBER.fullmatch(secret):
            if len(secret) >= 4:
                _remember(self._numbers, secret)
        else:
            for form in _forms(secret):
                if len(form) >= SHORTEST_WORD:
                    _remember(self._words, form)
        self._pens = None  # made when next needed
        self._harmless.clear()

    def learn(self, text: str) -> None:
        """Find the secrets in a text (a configuration file) and know them from now on, also where they stand alone."""
        self._learn_addresses(text)
        for found in _pattern(_KEYED).finditer(text):
            value = found["value"].strip("\\\"'")
            if found["between"].strip("\\\"' ") and len(value) >= SHORTEST_WORD:
                self.add(value)

    def redact(self, text: str, *, strict: bool = False) -> str:
        """The text without secrets; the very same object where there are none. Doing it twice changes nothing more.

        `strict`, for the texts of errors, also strikes out a known secret of digits where it stands as a number of its own.
        """
        if not strict and text in self._harmless:
            return text
        after = self._once(text, strict)
        if after == text:
            if not strict and len(text) <= SHORT_TEXT:
                self._remember_harmless(text)
            return text
        for _ in range(MOST_PASSES):
            text, after = after, self._once(after, strict)
            if after == text:
                break
        return text

    def clean(self, value: T) -> T:
        """A value (a reply, a list, a mapping, any dataclass) with every text in it redacted; the same object where nothing was."""
        cleaned: T = _cleaned(value, self.redact)
        return cleaned

    def _remember_harmless(self, text: str) -> None:
        if len(self._harmless) >= MOST_HARMLESS:
            self._harmless.clear()
        self._harmless.add(text)

    def _once(self, text: str, strict: bool) -> str:
        if self._pens is None:
            self._pens = _pens(self._words, self._numbers)
        words, called, bare = self._pens
        if words is not None:
            text = words.sub(MARK, text)
        if called is not None:
            text = called.sub(rf"\g<head>{MARK}", text)
        if strict and bare is not None:
            text = bare.sub(MARK, text)
        return _shapes_struck(text)

    def _learn_addresses(self, text: str) -> None:
        if "://" not in text:
            return
        for found in _pattern(_CREDENTIALS).finditer(text):
            self.add(found["password"] or found["user"] or "")


def _shapes_struck(text: str) -> str:
    lower = text.lower()
    for hints, shape in _SHAPES:
        if any(hint in lower for hint in hints):
            text = _pattern(shape).sub(_marked_address if shape.startswith("(?P<head>\\b[A-Za-z][A-Za-z0-9+.-]") else _marked, text)
    if ("=" in text or ":" in text) and any(hint in lower for hint in _KEYED_HINTS):
        text = _pattern(_KEYED).sub(_keyed, text)
    if "=" in text and ("?" in text or "&" in text):
        text = _pattern(_QUERY).sub(_query, text)
    return text


@cache
def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(source)  # made on first use: a start that meets no secret pays for none


def _marked(found: re.Match[str]) -> str:
    return (found.groupdict().get("head") or "") + MARK


def _marked_address(found: re.Match[str]) -> str:
    return f"{found['head']}{MARK}@"


def _keyed(found: re.Match[str]) -> str:
    value, between = found["value"], found["between"]
    bare = value.strip("\\\"'")
    password = "pass" in found["name"].lower() or "pin" in found["name"].lower()
    if not bare.strip("*.…") or (not password and len(bare) < SHORTEST_WORD and (":" in between or _NUMBER.fullmatch(bare))):
        return found[0]
    start = len(value) - len(value.lstrip("\\\"'"))
    end = len(value.rstrip("\\\"'"))
    return f"{found['name']}{between}{value[:start]}{MARK}{value[end:]}"


def _query(found: re.Match[str]) -> str:
    """A long value of letters and digits in an address is taken for a secret, unless it is an option's symbol."""
    value = _pattern(_OPTION_KEY).sub("", found["value"])
    for run in _pattern(_RUN).findall(value):
        if any(sign.isdigit() for sign in run) and any(sign.isalpha() for sign in run):
            return f"{found['head']}{MARK}"
    return found[0]


def _cleaned(value: Any, redact: Callable[[str], str]) -> Any:
    kind = type(value)
    if kind is str:
        return redact(value)
    if kind in _WITHOUT_TEXT:
        return value
    names = _init_names(kind)
    if names is not None:
        changed = {}
        for name in names:
            old = getattr(value, name)
            if (new := _cleaned(old, redact)) is not old:
                changed[name] = new
        return replace(value, **changed) if changed else value
    if isinstance(value, tuple | list):
        items = [_cleaned(item, redact) for item in value]
        return value if all(map(operator.is_, items, value)) else kind(items)
    if isinstance(value, Mapping):
        pairs = {key: _cleaned(item, redact) for key, item in value.items()}
        return value if all(map(operator.is_, pairs.values(), value.values())) else pairs
    return value


@cache
def _init_names(kind: type) -> tuple[str, ...] | None:
    """The fields a dataclass is made of, None for any other type."""
    return tuple(item.name for item in fields(kind) if item.init) if is_dataclass(kind) else None


def _forms(secret: str) -> list[str]:
    """How a secret may be written: as it is, in an address, inside quotes, and line by line."""
    lines = [line.strip() for line in secret.splitlines()]
    long_lines = [line for line in lines if len(line) >= SHORTEST_LINE] if len(lines) > 1 else []
    in_address = "".join(sign if sign in _SAFE_IN_URL else "".join(f"%{byte:02X}" for byte in _bytes(sign)) for sign in secret)
    decoded = re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), secret)
    return [secret, in_address, decoded, repr(secret)[1:-1], secret.replace("\\", "\\\\").replace('"', '\\"'), *long_lines]


def _bytes(sign: str) -> bytes:
    """A character as bytes, also where the environment it came from was no text."""
    return sign.encode("utf-8", "surrogateescape" if "\udc80" <= sign <= "\udcff" else "surrogatepass")


def _remember(known: dict[str, None], secret: str) -> None:
    known[secret] = None
    while len(known) > MOST_SECRETS:
        del known[next(iter(known))]


def _pens(words: Mapping[str, None], numbers: Mapping[str, None]) -> Pens:
    """Patterns of the known words, of the known numbers where they are called a PIN, and of those numbers standing alone."""
    one_word = _either(words)
    one_number = _either(numbers)
    if not one_number:
        return (re.compile(one_word) if one_word else None, None, None)
    end = r"(?!\w|[.,]\d)"
    called = re.compile(rf"(?i)(?P<head>\bpin(?:\s+(?:is|was))?\s{{0,3}}[:=]?\s{{0,3}}[\"']?)(?:{one_number}){end}")
    return (re.compile(one_word) if one_word else None, called, re.compile(rf"(?<![\w.,$])(?:{one_number}){end}"))


def _either(known: Mapping[str, None]) -> str:
    return "|".join(re.escape(word) for word in sorted(known, key=len, reverse=True))
