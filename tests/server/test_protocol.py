"""What a connection may do: headers of any cut, but not of any length or time; bodies in pieces; requests in a row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from isotherm.server import protocol
from isotherm.server.protocol import MOST_HEADER_BYTES, PatientProtocol

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]
HEAD = b"POST /there HTTP/1.1\r\nHost: x\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path, the number of header lines and the length of the body."""
    length, more = 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    said = f"{scope['path']} {len(scope['headers'])} {length}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


def talk(talker: Talk) -> bytes:
    """Return what a client hears from a server of `echo`."""

    async def both() -> bytes:
        config = uvicorn.Config(echo, lifespan="off", log_config=None)
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return await asyncio.wait_for(talker(reader, writer), 20)
            finally:
                writer.close()

    return asyncio.run(both())


def sent(*pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Return all that is answered until the server closes the connection."""

    async def talker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        heard = asyncio.ensure_future(reader.read())
        # A server that has closed may answer what is still sent by a reset.
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
        with suppress(ConnectionError):
            return await heard
        return b""

    return talk(talker)


class Line(asyncio.Transport):
    """A connection without a network: what is written to it, until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.closed = b"", False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.said += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def heard_by_parser(*pieces: bytes) -> bytes:
    """Return what is said at once to pieces that come exactly as they are cut."""

    async def feed() -> bytes:
        config = uvicorn.Config(echo, lifespan="off", log_config=None)
        line, connection = Line(), PatientProtocol(config, ServerState(), {})
        connection.connection_made(line)
        for piece in pieces:
            if not line.closed:
                connection.data_received(piece)
        connection.connection_lost(None)
        return line.said

    return asyncio.run(feed())


def test_a_header_may_come_byte_by_byte() -> None:
    request = HEAD + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc"
    answer = sent(*(request[at : at + 1] for at in range(len(request))))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"/there 3 3")


@pytest.mark.parametrize("cut", [1000, 10**6], ids=["in pieces", "at once"])
@pytest.mark.parametrize(
    "start",
    [b"GET /", HEAD + b"X: ", HEAD + b"", HEAD + b"X: y\r\n" * 5000 + b"Y: "],
    ids=["path", "value", "name", "many lines"],
)
def test_a_header_beyond_64_kib_is_400_wherever_its_length_is(start: bytes, cut: int) -> None:
    request = start + b"y" * (MOST_HEADER_BYTES + 10_000)
    whole = request + b" HTTP/1.1\r\n\r\n" if start == b"GET /" else request + b": z\r\n\r\n"
    assert heard_by_parser(*(whole[at : at + cut] for at in range(0, len(whole), cut))).startswith(b"HTTP/1.1 400")


def test_a_header_just_below_64_kib_is_taken() -> None:
    answer = sent(HEAD + b"Connection: close\r\nX: " + b"y" * (MOST_HEADER_BYTES - 1000) + b"\r\n\r\n")
    assert answer.endswith(b"/there 3 0")


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"\r\n"], ids=["silent", "half a header", "empty lines"])
def test_who_sends_no_whole_header_is_sent_away(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.3)
    assert sent(start) == b""


def test_header_after_header_does_not_begin_the_wait_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.3)
    assert sent(b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 8, pause_s=0.1) == b""


def test_a_body_may_take_longer_than_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.2)
    head = HEAD + b"Connection: close\r\nContent-Length: 6\r\n\r\n"
    assert sent(head, b"ab", b"cd", b"ef", pause_s=0.2).endswith(b"/there 3 6")


def test_a_large_body_and_two_requests_in_a_row_are_answered_one_after_the_other() -> None:
    size = 3 * protocol.MOST_UNREAD_BYTES
    first = HEAD + b"Content-Length: %d\r\n\r\n" % size + b"z" * size
    answer = sent(first + HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nab")
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"/there 2 %d" % size) < answer.index(b"/there 3 2")


def test_a_body_that_the_route_does_not_want_does_not_spoil_the_next_request() -> None:
    size = 200_000
    unread = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    answer = sent(unread, b"z" * size, HEAD + b"Connection: close\r\n\r\n", pause_s=0.05)
    assert b"/unread 2 0" in answer
    assert answer.endswith(b"/there 2 0")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: -3\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b" folded: value\r\n",
        b"X : y\r\n",
        b"X: a\0b\r\n",
    ],
)
def test_a_header_that_two_programs_could_read_differently_is_400(lines: bytes) -> None:
    """Request smuggling, RFC 9112, sections 5.1, 5.2 and 6.3."""
    assert sent(HEAD + lines + b"\r\nabc").startswith(b"HTTP/1.1 400")


def test_one_connection_too_many_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 0)
    assert sent(HEAD + b"\r\n") == b""
