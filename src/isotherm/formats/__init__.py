"""Camera formats: one file per maker, recognised by content."""

from isotherm.formats.reader import ImageReader, ReadHints
from isotherm.formats.reading import FORMATS, read, read_bytes

__all__ = ["FORMATS", "ImageReader", "ReadHints", "read", "read_bytes"]
