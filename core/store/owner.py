"""The way to the process that owns the database: a local socket for asking it, and a HALT file for when it does not answer.

A request and its reply are one frame each: four bytes of length, then that many bytes (JSON by agreement of both ends).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LeaseHeld, Unavailable, UserError
from core.store.files import make_private_directory, refuse_access, sync_directory, write_durably

if TYPE_CHECKING:
    from core.runtime import Runtime

Handle = Callable[[bytes], Awaitable[bytes]]

MAX_FRAME_BYTES = 16 * 1024 * 1024  # a reply may carry a chart
_HEADER = struct.Struct(">I")
_PATH_BYTES = 100  # the system's limit on a socket's path is a little above
_READ_SECONDS = 10.0  # for a request to arrive once somebody is connected
_HANDLE_SECONDS = 120.0
_REASON_BYTES = 4_096  # of a HALT file


class OwnerServer:
    """Listens at `path` and answers each connection's one request with what `handle` returns.

    Only the holder of the lease starts one: a socket file found there is a dead process's and is replaced.
    """

    def __init__(
        self, path: Path, handle: Handle, *, runtime: Runtime, read_seconds: float = _READ_SECONDS, handle_seconds: float = _HANDLE_SECONDS
    ) -> None:
        self.path = path
        self._handle = handle
        self._runtime = runtime
        self._read_seconds = read_seconds
        self._handle_seconds = handle_seconds
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, for this user only; raise UserError where others can get at the directory."""
        make_private_directory(self.path.parent)
        refuse_access(self.path.parent, by_others=0o077, what="is open to other users of this machine")
        if await _somebody_listens(self.path, self._runtime):
            raise LeaseHeld(f"another desk process, which listens at {self.path}")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.unlink(missing_ok=True)
            with _reachable(self.path) as address:
                listening.bind(address)
            os.chmod(self.path, 0o600)
            listening.setblocking(False)
            self._server = await asyncio.start_unix_server(self._connected, sock=listening)
        except BaseException:
            listening.close()
            raise

    async def close(self) -> None:
        """Stop listening, end open requests, remove the socket file; a second call does nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        self.path.unlink(missing_ok=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._runtime.spawn(self._serve(reader, writer), name="owner socket request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._request(reader) if _same_user(writer.get_extra_info("socket")) else None
            if request is not None:
                async with self._runtime.timeout(self._handle_seconds):
                    reply = await self._handle(request)
                    with contextlib.suppress(ConnectionError):  # the caller went away; what it asked for was done all the same
                        await _write_frame(writer, reply)
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes | None:
        """Read the request; a caller that stalls, breaks off or sends too much gets no answer, its connection just ends."""
        try:
            async with self._runtime.timeout(self._read_seconds):
                return await _read_frame(reader)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, FrameError):
            return None


class FrameError(ValueError):
    """A frame longer than allowed."""


async def ask_owner(path: Path, request: bytes, timeout_seconds: float, *, runtime: Runtime) -> bytes | None:
    """Send one request to the process that listens at `path` and return its reply, None where nobody listens.

    Raises Unavailable where somebody listens but gives no answer in time: the request may have been acted on.
    """
    if len(request) > MAX_FRAME_BYTES:
        raise FrameError(f"a request of {len(request):,} bytes is over {MAX_FRAME_BYTES:,}")
    connected = False
    try:
        async with runtime.timeout(timeout_seconds):
            opened = await _connect(path)
            if opened is None:
                return None
            connected = True
            reader, writer = opened
            try:
                await _write_frame(writer, request)
                return await _read_frame(reader)
            finally:
                writer.close()
    except TimeoutError as error:
        waited = f"no answer within {timeout_seconds:g} seconds"
        raise Unavailable("the running desk", why=waited if connected else f"no connection within {timeout_seconds:g} seconds") from error
    except (asyncio.IncompleteReadError, ConnectionError, FrameError) as error:
        raise Unavailable("the running desk", why="it ended the connection without an answer") from error


def read_answer(answer: bytes) -> dict[str, Any]:
    """The object in a reply; raise Unavailable where it holds none: what listened was no desk."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise no_desk()
    return found


def no_desk() -> Unavailable:
    """What to raise where something answers, and not as a desk does."""
    return Unavailable("the running desk", why="what listens there does not answer as a desk does")


def halt_file(directory: Path) -> Path:
    """Return where the HALT file of a data directory is."""
    return directory / "HALT"


def write_halt(directory: Path, reason: str) -> None:
    """Stop all sending by a file that is there when this returns, on the disk. The name alone counts: it needs no free space."""
    path = halt_file(directory)
    make_private_directory(directory)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
    except OSError:
        if not os.path.lexists(path):
            raise
    sync_directory(directory)
    with contextlib.suppress(OSError):  # a full disk may keep the reason out, not the halt
        write_durably(path, reason.encode("utf-8", "replace"))


def read_halt(directory: Path) -> str | None:
    """Return the reason in the HALT file, None where there is none; one that cannot be read halts all the same.

    It is read before every send, so whatever goes by that name (a pipe, a device, a link that leads nowhere) must not hold anybody up.
    """
    path = halt_file(directory)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return "it is a link that leads nowhere" if path.is_symlink() else None
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    try:
        return os.read(fd, _REASON_BYTES).decode("utf-8", "replace") or "no reason given"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    finally:
        os.close(fd)


def clear_halt(directory: Path) -> None:
    """Remove the HALT file, on the disk when this returns; raise UserError where what goes by that name cannot be removed."""
    path = halt_file(directory)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be removed ({error.strerror}): the desk stays halted.", "Remove it by hand.") from error
    sync_directory(directory)


async def _somebody_listens(path: Path, runtime: Runtime) -> bool:
    try:
        async with runtime.timeout(_READ_SECONDS):
            opened = await _connect(path)
    except TimeoutError:
        return True
    if opened is None:
        return False
    opened[1].close()
    return True


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    try:
        with _reachable(path) as address:
            return await asyncio.open_unix_connection(address)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except OSError as error:
        if error.errno in (errno.ENOTSOCK, errno.ENAMETOOLONG, errno.ELOOP):
            return None
        raise Unavailable("the running desk", why=f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """Give an address for a socket's path, however long: past the system's limit, by way of the open directory."""
    if len(os.fsencode(path)) <= _PATH_BYTES:
        yield str(path)
        return
    if not os.path.isdir("/proc/self/fd"):
        raise UserError(f"{path} is too long for a socket on this system", "Choose a data directory with a shorter path.")
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if length > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {length:,} bytes is over {MAX_FRAME_BYTES:,}")
    return await reader.readexactly(length)


async def _write_frame(writer: asyncio.StreamWriter, content: bytes) -> None:
    if len(content) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(content):,} bytes is over {MAX_FRAME_BYTES:,}")
    writer.write(_HEADER.pack(len(content)) + content)
    await writer.drain()


def _same_user(connection: socket.socket) -> bool:
    """True unless the system says that another user is at the other end; the file's mode already keeps others out."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[1] in (os.getuid(), 0)
