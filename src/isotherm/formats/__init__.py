"""Camera formats: one file per maker, recognised by content."""

from isotherm.formats.reader import ImageReader, ReadHints
from isotherm.formats.reading import FORMATS, read, read_bytes
from isotherm.formats.sequences import SEQUENCES, SequenceReader, open_sequence

__all__ = [
    "FORMATS",
    "SEQUENCES",
    "ImageReader",
    "ReadHints",
    "SequenceReader",
    "open_sequence",
    "read",
    "read_bytes",
]
