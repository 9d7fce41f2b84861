"""Where the page listens, and who may come in: a one-time link, a cookie, a form token, known names of this machine.

A link is printed where the desk was started and works once; the cookie it gives holds a secret of which only the hash is stored. A page
of somebody else's that a browser was led to can neither read (SameSite, Host) nor write (Origin, form token) here, whatever name it
makes point at this machine.
"""

from __future__ import annotations

import hmac
import socket
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from core.clock import SystemClock
from core.config import Web
from core.errors import UserError
from core.ports import Archive, Delete, Put
from core.runtime import Entropy

LIFE = timedelta(days=7)  # of a sign-in
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")
BACKLOG = 64
_TABLE, _PREFIX = "settings_meta", "web.session."


def bind(web: Web) -> socket.socket:
    """A listening socket; raise UserError where the place cannot be had. Who connects waits in line until the page is ready."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, so that the loop sends small answers at once
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((web.host, web.port))
        listening.listen(BACKLOG)
        return listening
    except OSError as error:
        listening.close()
        why = error.strerror or str(error)
        raise UserError(
            f"The web page is not served: {web.host} port {web.port} cannot be used ({why}).",
            "Everything else works. `web: {port: 8766}` in config.yaml names another port, `--no-web` goes without.",
        ) from error


def address(listening: socket.socket) -> str:
    """The page's address as a browser on this machine takes it."""
    host, port = listening.getsockname()[:2]
    host = "127.0.0.1" if host in EVERYWHERE else host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Door:
    """Sign-ins of one desk's page."""

    def __init__(self, web: Web, archive: Archive, entropy: Entropy) -> None:
        self._names = frozenset(name.lower() for name in (*LOOPBACK, *web.names, *(() if web.host in EVERYWHERE else (web.host,))))
        self._archive = archive
        self._entropy = entropy
        self._clock = SystemClock()  # a sign-in ages with the machine, whatever day a simulated market believes it is
        self._link = entropy.token()
        self._until: dict[str, datetime] = {}

    @property
    def link(self) -> str:
        """The path that signs in, once."""
        return f"/enter/{self._link}"

    def known_host(self, host: str) -> bool:
        """Whether a Host header names this machine: a foreign name that points here is somebody else's page at work."""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and name in self._names

    def own_origin(self, origin: str | None, host: str) -> bool:
        """Whether a request that changes something comes from a page of this very address."""
        return origin is not None and origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())

    async def enter(self, typed: str) -> str | None:
        """The secret of a new sign-in, None for a wrong or used link. A new link takes the place of the one used."""
        if not hmac.compare_digest(typed.encode("utf-8", "surrogatepass"), self._link.encode()):
            return None
        self._link = self._entropy.token()  # before anything is waited for: it works once
        secret, now = self._entropy.token(256), self._clock.now()
        row = {"key": f"{_PREFIX}{_hash(secret)}", "value": (now + LIFE).isoformat(), "at": now.isoformat()}
        await self._archive.write([Put(table=_TABLE, row=row)])
        self._until[_hash(secret)] = now + LIFE
        return secret

    async def known(self, secret: str | None) -> bool:
        """Whether a cookie is a sign-in that holds, also one from before a restart."""
        if not secret:
            return False
        name = _hash(secret)
        if name not in self._until:
            rows = await self._archive.select(_TABLE, where={"key": f"{_PREFIX}{name}"})
            if not rows:
                return False
            self._until[name] = datetime.fromisoformat(str(rows[0]["value"]))
        if self._clock.now() < self._until[name]:
            return True
        await self.leave(secret)
        return False

    async def leave(self, secret: str) -> None:
        """End a sign-in."""
        self._until.pop(_hash(secret), None)
        await self._archive.write([Delete(table=_TABLE, where={"key": f"{_PREFIX}{_hash(secret)}"})])

    @staticmethod
    def form_token(secret: str) -> str:
        """What every form of this sign-in carries; it says nothing about the cookie and holds as long."""
        return hmac.new(secret.encode(), b"form", sha256).hexdigest()

    def own_form(self, secret: str, token: str) -> bool:
        """Whether a form was made for this sign-in."""
        return hmac.compare_digest(self.form_token(secret).encode(), token.encode("utf-8", "surrogatepass"))


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
