"""HTTP/1.1 of uvicorn by httptools, with what it lacks: an end to headers, to the wait for them, and to connections.

httptools and not h11: an upload costs the server less processor time so.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_S = 10.0
"""How long the header of a request may take from its first byte, and a new connection may be silent [s]."""
MOST_HEADER_BYTES = 64 * 1024
"""The longest header: first line, names and values."""
MOST_CONNECTIONS = 500
"""Well below the 1,024 open files that most systems give a process."""
MOST_UNREAD_BYTES = 256 * 1024
"""What of a body may wait for its route before no more is read from the connection."""


class PatientProtocol(HttpToolsProtocol):
    """One connection; it is closed where no whole header comes in time (the attack called slowloris)."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_timer: asyncio.TimerHandle | None = None
        self._within_header = False
        # Of the header that comes in: bytes of whole names and values; and of what came in pieces, whole or not.
        self._whole = self._in_pieces = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; one connection too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.close()
            return
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        """Take bytes; between two requests a new wait begins with the first of them."""
        if self._within_header:
            self._in_pieces += len(data)
        super().data_received(data)
        if self._busy() or self.transport.is_closing():
            self._stop_waiting()
            return
        self._wait_for_header()
        if self._within_header and self._in_pieces > MOST_HEADER_BYTES:
            self.send_400_response(_TOO_LONG)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count a header."""
        super().on_message_begin()
        self._within_header, self._whole, self._in_pieces = True, 0, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the path."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a line of the header, or one after the last chunk of a body."""
        self._count(name, value)
        super().on_header(name, value)

    def _count(self, *parts: bytes) -> None:
        self._whole += sum(map(len, parts))
        if self._whole > MOST_HEADER_BYTES:
            # The parser hands it on as its own error, which is answered 400.
            raise ValueError(_TOO_LONG)

    def on_headers_complete(self) -> None:
        """Have the request answered."""
        self._within_header = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body for the route; uvicorn would stop the connection after a fourth of that."""
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > MOST_UNREAD_BYTES:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        if not self._busy() and not self.transport.is_closing():
            self.transport.close()


_TOO_LONG = "The header of the request is too long."
