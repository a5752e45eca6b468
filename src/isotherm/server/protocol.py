"""HTTP/1.1 of uvicorn with what it lacks: an end to the wait for a header, and to the number of connections."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0
"""How long the header of a request may take from its first byte, and a new connection may be silent [s]."""
MOST_CONNECTIONS = 500
"""Well below the 1,024 open files that most systems give a process."""


class PatientProtocol(H11Protocol):
    """One connection; it is closed where no whole header comes in time (the attack called slowloris)."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; one connection too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.close()
            return
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        """Take bytes; between two requests a new wait begins with the first of them."""
        super().data_received(data)
        if self._within_header():
            self._wait_for_header()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _within_header(self) -> bool:
        busy = self.cycle is not None and not self.cycle.response_complete
        return not busy and bool(self.conn.trailing_data[0])

    def _wait_for_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and not self.transport.is_closing():
            self.transport.close()
