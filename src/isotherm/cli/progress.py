"""Progress bars on standard error: drawn on a terminal, one line for each finished stage elsewhere (a log file)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from isotherm.core.processes import is_first_process
from isotherm.core.progress import Progress, silent


@contextmanager
def bar() -> Iterator[Progress]:
    """Give a `Progress` that shows one bar for each stage of the work (a stage begins where its message changes)."""
    if not is_first_process():
        yield silent
        return
    stages = _Bars() if sys.stderr.isatty() else _Lines()
    try:
        yield stages
    finally:
        stages.close()


class _Bars:
    """One bar for each stage."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def __call__(self, done: int, total: int, message: str) -> None:
        stage = stage_of(message)
        if self._bar is None or stage != self._stage or done < self._bar.n:
            self.close()
            self._bar, self._stage = tqdm(total=total, file=sys.stderr, dynamic_ncols=True), stage
        self._bar.set_description_str(message, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """One line for each stage, when it is over."""

    def __init__(self) -> None:
        self._stage = ""
        self._last = ""
        self._done = 0

    def __call__(self, done: int, total: int, message: str) -> None:
        stage = stage_of(message)
        if stage != self._stage or done < self._done:
            self.close()
        self._stage, self._done, self._last = stage, done, f"{message}: {done}/{total}"

    def close(self) -> None:
        if self._last:
            print(self._last, file=sys.stderr)
        self._last, self._done = "", 0


def stage_of(message: str) -> str:
    """Return the words before the first number: "epoch loss 0.01" stays one stage while the loss changes."""
    words = message.split()
    numbers = (place for place, word in enumerate(words) if word[:1].isdigit() and "/" not in word)
    return " ".join(words[: next(numbers, len(words))])
