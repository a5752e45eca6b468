"""How long work reports that it goes on, without knowing who watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Progress(Protocol):
    """Called after each step of long work."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Say that `done` of `total` steps are finished; `message` names the work ("coreset", "epoch loss 0.01")."""
        ...


def silent(done: int, total: int, message: str) -> None:
    """Report to nobody."""


def counted(items: Iterable[T], total: int, progress: Progress, message: str) -> Iterator[T]:
    """Yield items, and report each of them."""
    for number, item in enumerate(items, 1):
        progress(number, total, message)
        yield item
