"""Which frame of a file with one or many pictures is read."""

from __future__ import annotations

from isotherm.core.errors import FormatError
from isotherm.formats.reader import ReadHints


def chosen_frame(hints: ReadHints, count: int) -> tuple[int, tuple[str, ...]]:
    """Return the number of the frame from 0, and what to tell the user about it.

    A file of one picture gives that one, whatever was asked for, so that a folder may hold both.

    Raises
    ------
    FormatError
        There are many frames, and not this one.
    """
    if count == 1:
        asked = f"frame {hints.frame} was asked for: this file holds one picture"
        return 0, () if hints.frame in (0, -1) else (asked,)
    index = position_of(hints.frame, count)
    return index, (f"frame {index} of {count} is read, counted from 0 (choose with --frame)",)


def position_of(index: int, count: int) -> int:
    """Return a frame's number from 0 for one that may count from the end; raises FormatError outside `count`."""
    if not -count <= index < count:
        raise FormatError(f"there is no frame {index}; the sequence has {count}, numbered from 0")
    return index % count
