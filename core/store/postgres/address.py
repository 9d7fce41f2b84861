"""Where a desk keeps its tables on a PostgreSQL server: an address that can be shown without its password."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from core.errors import UserError

SCHEMES = ("postgresql", "postgres")
SCHEMA = "thetadesk"
_EXAMPLE = "An address looks like postgresql://user@host:5432/database, with ?schema=name where several desks share a database."


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database and a schema in it. `conninfo` may hold a password and is never shown; `str()` is for people."""

    conninfo: str
    schema: str
    server: str  # host, port and database

    def __str__(self) -> str:
        return f"postgresql://{self.server}" + ("" if self.schema == SCHEMA else f" (schema {self.schema})")

    def __repr__(self) -> str:
        return f"Address({self})"

    @property
    def key(self) -> str:
        """A short name that differs for different places."""
        return sha256(str(self).encode()).hexdigest()[:12]

    def lock_number(self, what: str) -> int:
        """The number of the advisory lock on `what` of this schema; locks belong to a database."""
        return int.from_bytes(sha256(f"thetadesk {self.schema} {what}".encode()).digest()[:8], "big", signed=True)

    def beside(self, suffix: str) -> Address:
        """Another schema in the same database."""
        return replace(self, schema=_checked_schema(f"{self.schema[: 62 - len(suffix)]}_{suffix}"))


def is_address(text: str) -> bool:
    """Whether a text means a PostgreSQL database."""
    return text.partition("://")[0] in SCHEMES


def read_address(text: str) -> Address:
    """Read an address; the sentence of a refusal repeats nothing of it, because it may hold a password."""
    try:
        text.encode()  # half a character is no part of an address
        parts = urlsplit(text)
        port = parts.port  # raises where it is none: most often an @ is missing then, and the host holds the password
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise UserError("The address of the database cannot be read.", _EXAMPLE) from error
    database = parts.path.removeprefix("/")
    host = parts.netloc.rpartition("@")[2]
    # A database with these signs in its name, or a host with others, is most often half an address that holds a password.
    half = port == 0 or bool(set(database) & set("/@:")) or not re.fullmatch(r"[\w.~%,:\[\]-]*", host, re.ASCII)
    if parts.scheme not in SCHEMES or not database or half:
        raise UserError("The address of the database names no PostgreSQL server and database.", _EXAMPLE)
    schemas = [value for name, value in options if name == "schema"]
    rest = urlencode([(name, value) for name, value in options if name != "schema"])
    server = host + parts.path
    conninfo = urlunsplit(("postgresql", parts.netloc, parts.path, rest, ""))
    return Address(conninfo=conninfo, schema=_checked_schema(schemas[-1] if schemas else SCHEMA), server=server)


def _checked_schema(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) or name.startswith("pg_") or name in ("public", "information_schema"):
        raise UserError("The schema of a database is a name of its own in small letters, digits and underscores.", _EXAMPLE)
    return name
