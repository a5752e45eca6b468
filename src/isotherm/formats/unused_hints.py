"""Notes about hints that were given and not used: nobody must believe that a flag had an effect."""

from __future__ import annotations

from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import FormatCard, ReadHints


def not_used(names: tuple[str, ...], reason: str) -> tuple[str, ...]:
    """Return the note that these hints are not used; none where there are none."""
    flags = " and ".join(f"--{name}" for name in names)
    return (f"{flags} {'is' if len(names) == 1 else 'are'} not used: {reason}",) if names else ()


def unused_notes(thermogram: Thermogram, card: FormatCard, hints: ReadHints) -> tuple[str, ...]:
    """Return notes about hints that the format does not know, and about all where no temperatures were read."""
    if thermogram.calibration is None:
        # A reader that looked for a colour scale has said why it is not used.
        names = tuple(name for name in hints.given() if name != "scale" or name not in card.hints)
        return not_used(names, "no temperatures are read from this file")
    names = tuple(name for name in hints.given() if name not in card.hints)
    return not_used(names, f"what the numbers of a {thermogram.format} file mean is known")
