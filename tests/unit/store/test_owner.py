"""Reaching the owner: the socket and the HALT file."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import LeaseHeld, Unavailable, UserError
from core.runtime import SystemRuntime
from core.store import owner
from core.store.owner import MAX_FRAME_BYTES, FrameError, OwnerServer, ask_owner, clear_halt, halt_file, read_halt, write_halt


@pytest.fixture
async def runtime() -> AsyncIterator[SystemRuntime]:
    failures: list[str] = []
    made = SystemRuntime(on_failure=lambda name, error: failures.append(f"{name}: {error}"))
    made.failures = failures  # type: ignore[attr-defined]  # read by the tests
    yield made
    await made.aclose()


async def answer(request: bytes) -> bytes:
    return b'{"you said":' + request + b"}"


async def ask(path: Path, request: bytes, runtime: SystemRuntime, seconds: float = 5.0) -> bytes | None:
    return await ask_owner(path, request, seconds, runtime=runtime)


async def test_ask_when_the_owner_listens_then_replies(tmp_path: Path, runtime: SystemRuntime) -> None:
    path = tmp_path / "data" / "owner.sock"
    server = OwnerServer(path, answer, runtime=runtime)
    await server.start()

    replies = await asyncio.gather(*(ask(path, str(number).encode(), runtime) for number in range(20)))

    assert replies == [b'{"you said":%d}' % number for number in range(20)]
    assert path.stat().st_mode & 0o777 == 0o600
    await server.close()
    await server.close()
    assert not path.exists()


async def test_ask_when_nobody_listens_then_none(tmp_path: Path, runtime: SystemRuntime) -> None:
    stale = tmp_path / "stale.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(stale))
    dead.close()
    ordinary = tmp_path / "file"
    ordinary.write_text("not a socket")

    for path in (stale, ordinary, tmp_path / "missing.sock", tmp_path / "missing" / "owner.sock"):
        assert await ask(path, b"{}", runtime) is None


async def test_ask_when_the_path_is_longer_than_a_socket_address_then_works_all_the_same(tmp_path: Path, runtime: SystemRuntime) -> None:
    path = tmp_path.joinpath("a" * 60, "b" * 60, "c" * 60, "owner.sock")
    assert await ask(path, b"1", runtime) is None
    server = OwnerServer(path, answer, runtime=runtime)
    await server.start()

    assert await ask(path, b"1", runtime) == b'{"you said":1}'

    await server.close()
    assert not path.exists()


async def test_start_when_a_dead_process_left_its_socket_then_replaced(tmp_path: Path, runtime: SystemRuntime) -> None:
    path = tmp_path / "owner.sock"  # pytest makes the directory 0700
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    server = OwnerServer(path, answer, runtime=runtime)

    await server.start()

    assert await ask(path, b"2", runtime) == b'{"you said":2}'
    await server.close()


async def test_h8_start_when_another_listens_then_lease_held(tmp_path: Path, runtime: SystemRuntime) -> None:
    path = tmp_path / "data" / "owner.sock"
    first = OwnerServer(path, answer, runtime=runtime)
    await first.start()

    with pytest.raises(LeaseHeld):
        await OwnerServer(path, answer, runtime=runtime).start()

    assert await ask(path, b"3", runtime) == b'{"you said":3}'
    await first.close()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707, 0o777])
async def test_k6_start_when_others_can_reach_the_directory_then_refused(tmp_path: Path, runtime: SystemRuntime, mode: int) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(mode)

    with pytest.raises(UserError, match="chmod 700"):
        await OwnerServer(directory / "owner.sock", answer, runtime=runtime).start()

    assert not (directory / "owner.sock").exists()


async def test_ask_when_the_owner_hangs_then_unavailable_within_the_time_limit(tmp_path: Path, runtime: SystemRuntime) -> None:
    path = tmp_path / "owner.sock"
    hanging = socket.socket(socket.AF_UNIX)  # accepts nothing, as a stopped process
    hanging.bind(str(path))
    hanging.listen(1)

    with pytest.raises(Unavailable, match="no answer within 0.05 seconds"):
        await ask(path, b"{}", runtime, seconds=0.05)
    hanging.close()


async def test_ask_when_the_handler_fails_then_unavailable_reported_and_the_next_request_works(
    tmp_path: Path, runtime: SystemRuntime
) -> None:
    async def picky(request: bytes) -> bytes:
        if request == b"bad":
            raise RuntimeError("a bug")
        return request

    server = OwnerServer(tmp_path / "data" / "owner.sock", picky, runtime=runtime)
    await server.start()

    with pytest.raises(Unavailable, match="ended the connection"):
        await ask(server.path, b"bad", runtime)

    assert await ask(server.path, b"good", runtime) == b"good"
    assert runtime.failures == ["owner socket request: a bug"]  # type: ignore[attr-defined]  # set by the fixture
    await server.close()


async def test_serve_when_a_caller_stalls_or_sends_too_much_then_its_connection_ends_and_others_are_served(
    tmp_path: Path, runtime: SystemRuntime
) -> None:
    path = tmp_path / "data" / "owner.sock"
    server = OwnerServer(path, answer, runtime=runtime, read_seconds=0.05)
    await server.start()
    for sent in (b"", b"\x00\x00", b"\x00\x00\x00\x05ab", b"\xff\xff\xff\xff" + b"x" * 100):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(sent)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            assert sent.startswith(b"\xff"), "only unread bytes reset a connection"
        writer.close()

    assert await ask(path, b"4", runtime) == b'{"you said":4}'
    await server.close()


async def test_ask_when_the_request_is_too_large_then_refused_before_sending(tmp_path: Path, runtime: SystemRuntime) -> None:
    with pytest.raises(FrameError, match="over 16,777,216"):
        await ask(tmp_path / "owner.sock", b"x" * (MAX_FRAME_BYTES + 1), runtime)


async def test_ask_when_the_reply_is_large_then_arrives_whole(tmp_path: Path, runtime: SystemRuntime) -> None:
    async def big(request: bytes) -> bytes:
        return request * 3_000_000

    server = OwnerServer(tmp_path / "data" / "owner.sock", big, runtime=runtime)
    await server.start()

    assert await ask(server.path, b"abc", runtime) == b"abc" * 3_000_000
    await server.close()


async def test_k6_serve_when_another_user_is_at_the_other_end_then_no_answer(
    tmp_path: Path, runtime: SystemRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = OwnerServer(tmp_path / "data" / "owner.sock", answer, runtime=runtime)
    await server.start()
    monkeypatch.setattr(owner, "_same_user", lambda connection: False)

    with pytest.raises(Unavailable):
        await ask(server.path, b"{}", runtime)
    await server.close()


def test_same_user_when_this_process_is_at_both_ends_then_true() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)

    assert owner._same_user(one)

    one.close()
    other.close()


def test_halt_when_written_then_read_until_cleared(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    assert read_halt(directory) is None

    write_halt(directory, "kill, by the owner")
    write_halt(directory, "kill, again — ½")

    assert read_halt(directory) == "kill, again — ½"
    assert halt_file(directory).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in directory.iterdir()) == ["HALT"]
    clear_halt(directory)
    clear_halt(directory)
    assert read_halt(directory) is None


def test_h1_halt_when_the_reason_cannot_be_written_then_the_halt_stands(tmp_path: Path) -> None:
    (tmp_path / "HALT.new").mkdir()  # where the reason would be drafted

    write_halt(tmp_path, "kill")

    assert read_halt(tmp_path) == "no reason given"


def test_halt_when_the_file_cannot_be_read_then_halted_all_the_same(tmp_path: Path) -> None:
    halt_file(tmp_path).mkdir()

    assert (read_halt(tmp_path) or "").startswith("it cannot be read")
    assert os.path.exists(halt_file(tmp_path))
