"""What a service tells of its work while it goes on, for whoever counts it (`isotherm.server.metrics`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Decoded:
    """A file was decoded, in so many seconds (waiting for a child included), or could not be (``error``).

    ``format`` is that of the file, or, of one that could not be read, what its name ends in.
    """

    format: str
    seconds: float
    error: Exception | None = None


@dataclass(frozen=True)
class Predicted:
    """A model of a method has judged so many pictures at once, with so many seconds of work of all threads."""

    method: str
    pictures: int
    seconds: float


Event = Decoded | Predicted


class Watch:
    """Tells its listeners of events; without any it does nothing."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Event], None], ...] = ()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have somebody told from now on, where the event happens; to be quick, and to raise nothing."""
        self._listeners = (*self._listeners, listener)

    def tell(self, event: Event) -> None:
        """Tell all listeners."""
        for listener in self._listeners:
            listener(event)
