"""How long work reports that it goes on, without knowing who watches."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called after each step of long work."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Say that `done` of `total` steps are finished; `message` names the work ("coreset", "epoch loss 0.01")."""
        ...


def silent(done: int, total: int, message: str) -> None:
    """Report to nobody."""
