"""NumPy's NPY: a matrix of temperatures, or of counts with a scale."""

from __future__ import annotations

from isotherm.core.thermogram import Thermogram
from isotherm.formats.arrays import NamedArray, chosen, thermogram_of
from isotherm.formats.cursor import Cursor
from isotherm.formats.npy_numbers import MAGIC, described, numbers
from isotherm.formats.reader import FormatCard, ReadHints


class NpyReader:
    """An array (H W) or (T H W): floats are °C unless hinted otherwise, 16-bit numbers counts, 8-bit ones greys."""

    name = "npy"
    card = FormatCard(
        makers="NumPy",
        suffixes=".npy",
        numbers="°C or K as floats; counts with a step; grey levels",
        evidence="documented",
        hints=("step", "offset", "unit"),
        frames=True,
        source="NumPy NEP 1",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like an NPY file."""
        return data.startswith(MAGIC)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the array, or one frame of it; nothing is ever unpickled."""
        cursor = Cursor(data, "<", "NPY")
        description = described(cursor)
        choice = chosen([NamedArray("array", description.shape, description.dtype)], "NPY")
        found = choice.frame_of(numbers(cursor, description), hints)
        return thermogram_of(found, choice, hints, name=self.name, what="NPY")


READER = NpyReader()
