"""Progress bars on standard error: drawn on a terminal, only their last line elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from isotherm.core.progress import Progress


@contextmanager
def bar() -> Iterator[Progress]:
    """Give a `Progress` that draws one bar for each stage of the work (a stage begins where its message changes)."""
    stages = _Stages()
    try:
        yield stages
    finally:
        stages.close()


class _Stages:
    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def __call__(self, done: int, total: int, message: str) -> None:
        stage = _stage_of(message)
        if self._bar is None or stage != self._stage or done < self._bar.n:
            self.close()
            self._bar, self._stage = _new_bar(total, stage), stage
        self._bar.set_description_str(message, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _new_bar(total: int, stage: str) -> tqdm[Any]:
    # Where no terminal shows the bar, only its finished line is of use (in a log file).
    pause_s = 0.1 if sys.stderr.isatty() else 1e9
    return tqdm(total=total, desc=stage, file=sys.stderr, mininterval=pause_s)


def _stage_of(message: str) -> str:
    """Return the words before the first number: "epoch loss 0.01" is one stage however the loss changes."""
    words = message.split()
    kept = next((place for place, word in enumerate(words) if word[:1].isdigit() and "/" not in word), len(words))
    return " ".join(words[:kept])
