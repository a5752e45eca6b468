"""Which frame of a file with one or many pictures is read."""

from __future__ import annotations

from isotherm.formats.reader import ReadHints
from isotherm.formats.sequences import position_of


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
    return index, (f"frame {index} of {count} is read (choose with frame)",)
