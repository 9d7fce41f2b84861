"""The page's addresses: what a browser may ask, and what is refused before anything of it is done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from bot.channels.web import pages
from bot.channels.web.door import Door
from bot.channels.web.room import Page, Piece, Room
from core.desk import Desk
from core.errors import UserError
from core.lanes import Lane

LONGEST_FORM = 65_536  # bytes
LONGEST_NAME = 100
RETRY_MILLISECONDS = 1_000
FORM = "application/x-www-form-urlencoded"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"), (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
)
STREAM = {"x-accel-buffering": "no"}
SIGN_IN = "Open the link that the desk printed when it started; it works once, and each use prints the next."

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Refused(Exception):
    """A request of which nothing was done."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Shield:
    """Before every request: the name it came under; after it: what a browser must not do with the answer."""

    def __init__(self, app: Any, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        host = b"".join(value for name, value in scope["headers"] if name == b"host").decode("latin-1")
        if self._door.known_host(host):
            await self._app(scope, receive, shielded)
        else:
            refused = PlainTextResponse("This desk does not answer to that name. `web: {names: [...]}` in config.yaml adds one.", 421)
            await refused(scope, receive, shielded)


def make_site(*, room: Room, door: Door, desk: Desk, cookie: str, entered: Callable[[], None]) -> Shield:
    """The application. `entered` is called when a link was used."""
    site = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False}, docs_url=None, redoc_url=None, openapi_url=None)

    async def owner(request: Request) -> str:
        """The secret of who is signed in."""
        secret = request.cookies.get(cookie)
        if secret is None or not await door.known(secret):
            raise Refused(401, SIGN_IN)
        return secret

    async def form(request: Request) -> dict[str, str]:
        """The fields of a form of this page and this sign-in."""
        if not door.own_origin(request.headers.get("origin"), request.headers.get("host", "")):
            raise Refused(403, "That did not come from this page; nothing was done.")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise Refused(403, "That came from another page; nothing was done.")
        secret = await owner(request)
        fields = await _fields(request)
        if not door.own_form(secret, fields.get("form", "")):
            raise Refused(403, "That form is not of this sign-in; nothing was done. Load the page again.")
        return fields

    @site.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return _page(pages.html("door", title="Thetadesk", text=str(error), link="/" if error.status != 401 else ""), error.status)
        return PlainTextResponse(str(error), error.status)

    @site.exception_handler(UserError)
    async def too_much(request: Request, error: UserError) -> Response:
        return await refused(request, Refused(429, str(error)))

    @site.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        return await refused(request, Refused(500, f"Something went wrong on our side ({desk.report('web page', error)})."))

    @site.get("/")
    async def page(request: Request) -> Response:
        secret = await owner(request)
        return _page(pages.html(
            "page", pieces=[piece.html for piece in room.pieces], mark=room.mark, form=door.form_token(secret), state=room.state(),
            name=desk.runtime.entropy.nonce(),
        ))

    @site.get("/enter/{link}")
    async def enter(link: str) -> Response:
        desk.lanes.admit(Lane.DECIDE, "web sign-in")
        secret = await door.enter(link)
        if secret is None:
            raise Refused(403, f"That link is not valid any more. {SIGN_IN}")
        entered()
        # Not a redirect: the cookie would not be sent along where the link was followed from another page.
        answer = _page(pages.html("door", title="Signed in", text="You are signed in.", link="/", at_once=True))
        answer.set_cookie(cookie, secret, max_age=7 * 86_400, httponly=True, samesite="strict", path="/")
        return answer

    @site.post("/leave")
    async def leave(request: Request) -> Response:
        await form(request)
        await door.leave(await owner(request))
        answer = _page(pages.html("door", title="Signed out", text=f"You are signed out here. {SIGN_IN}", link=""))
        answer.delete_cookie(cookie, path="/", httponly=True, samesite="strict")
        return answer

    @site.post("/say")
    async def say(request: Request) -> Response:
        fields = await form(request)
        text = fields.get("text", "")
        return await _taken(request, None if not text.strip() else room.say(text, _name(fields, text)))

    @site.post("/press")
    async def press(request: Request) -> Response:
        fields = await form(request)
        token = fields.get("token", "")
        return await _taken(request, room.press(token, _name(fields, token)))

    @site.get("/stream")
    async def stream(request: Request, mark: str = "") -> Response:
        await owner(request)
        joined = room.join(request.headers.get("last-event-id", mark))
        return StreamingResponse(_events(room, joined), media_type="text/event-stream", headers=STREAM)

    @site.get("/chart/{number}/{which}/{theme}.png")
    async def chart(request: Request, number: int, which: int, theme: str) -> Response:
        await owner(request)
        piece = room.piece(number)
        if piece is None or not 0 <= which < len(piece.attached.charts) or theme not in ("light", "dark"):
            raise Refused(404, "That chart is not there any more; ask for it again.")
        return Response(await desk.runtime.in_thread(_draw, piece.attached.charts[which], theme == "dark"), media_type="image/png")

    @site.get("/file/{number}/{which}")
    async def file(request: Request, number: int, which: int) -> Response:
        await owner(request)
        piece = room.piece(number)
        if piece is None or not 0 <= which < len(piece.attached.files):
            raise Refused(404, "That file is not there any more; ask for it again.")
        found = piece.attached.files[which]
        name = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"
        return Response(found.content, media_type="application/octet-stream", headers={"content-disposition": name})

    @site.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in pages.STATIC:
            raise Refused(404, "There is no such file.")
        return Response(pages.static(name), media_type=pages.STATIC[name])

    return Shield(site, door)


def _page(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html; charset=utf-8")


async def _fields(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused(415, "That is no form of this page; nothing was done.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise Refused(413, f"That is longer than {LONGEST_FORM:,} bytes; nothing was done.")
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="replace")
    except ValueError as error:
        raise Refused(400, "That form cannot be read; nothing was done.") from error
    return {key: values[-1] for key, values in found.items()}


def _name(fields: dict[str, str], what: str) -> str:
    """A message's id: the page's own, and what it says, since a page without scripts has one id for all it sends."""
    return f"{fields.get('id', '')[:LONGEST_NAME]}:{sha256(what.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


async def _taken(request: Request, answer: Piece | None) -> Response:
    """Answered at once: what comes of it goes to every open page. A page without scripts waits for the answer and is loaded anew."""
    if "application/json" in request.headers.get("accept", ""):
        return Response(status_code=202)
    if answer is not None:
        await answer.done.wait()
    return RedirectResponse("/", 303)


async def _events(room: Room, joined: Page) -> AsyncIterator[str]:
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        while (told := await joined.next()) is not None:
            event, mark, data = told
            yield f"id: {mark}\nevent: {event}\ndata: {json.dumps(data)}\n\n"
    finally:
        room.leave(joined)


def _draw(chart: Any, dark: bool) -> bytes:
    from bot.charts import png

    return png(chart, dark=dark)
