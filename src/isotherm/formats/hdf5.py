"""HDF5: arrays by name, such as simulations and laboratory programs write."""

from __future__ import annotations

from isotherm.core.thermogram import Thermogram
from isotherm.formats import hdf5_arrays, hdf5_tree
from isotherm.formats.reader import FormatCard, ReadHints


class Hdf5Reader:
    """Datasets by name, in groups too: the likeliest, then the largest; of frames one."""

    name = "hdf5"
    card = FormatCard(
        makers="laboratory programs, simulations",
        suffixes=".h5 .hdf5",
        numbers="°C or K as floats; counts with a step or a table; grey levels",
        evidence="proven",
        hints=("step", "offset", "unit"),
        frames=True,
        source="The HDF Group, HDF5 File Format",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether an HDF5 file begins in these bytes."""
        return hdf5_tree.starts_in(data)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the likeliest dataset, or one frame of it; links to other files are not followed."""
        return hdf5_arrays.decode(data, hints, name=self.name, what="HDF5")


READER = Hdf5Reader()
