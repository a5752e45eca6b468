"""The seam of thermal sequences: many frames of one camera, decoded one at a time when they are asked for."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from isotherm.core.thermogram import Thermogram


@runtime_checkable
class FrameSequence(Protocol):
    """Frames on demand: a file of gigabytes costs the memory of the frame that is looked at.

    It is a context manager that closes its file; frames that were taken out of it stay good.
    """

    def __len__(self) -> int:
        """Return the number of whole frames."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame [px]; raises FormatError where it is damaged."""
        ...

    @property
    def times_s(self) -> Float64[np.ndarray, " T"] | None:
        """Seconds of each frame since the first one; None where the file does not say."""
        ...

    def frame(self, index: int) -> Thermogram:
        """Return one frame, counted from 0, or from the end where `index` is negative.

        Its ``digest`` is the sha256 of the frame's own bytes.

        Raises
        ------
        FormatError
            There is no such frame, or it is damaged.
        """
        ...

    def close(self) -> None:
        """Close the file; may be called twice."""
        ...

    def __enter__(self) -> FrameSequence: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
