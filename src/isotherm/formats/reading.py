"""`read`: a path or bytes to a thermogram, by content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from isotherm.core.errors import DataError, FormatError, TooLargeError
from isotherm.core.files import sha256
from isotherm.core.registry import Registry, Row
from isotherm.core.thermogram import Thermogram
from isotherm.formats.file_texts import texts_of_file
from isotherm.formats.frames import chosen_frame
from isotherm.formats.reader import MAX_FILE_BYTES, ImageReader, ReadHints
from isotherm.formats.sequences import HEAD_BYTES, SEQUENCES, head_of, one_frame, sequence_reader
from isotherm.formats.unused_hints import unused_notes

FORMATS: Registry[ImageReader] = Registry(
    "format",
    # Asked in this order: the more particular content first, the plain picture last.
    Row(
        "flir",
        "isotherm.formats.flir:READER",
        "FLIR R-JPEG and FFF frames, also DJI XT2 and XTR: counts with Planck constants",
    ),
    Row("dji", "isotherm.formats.dji:READER", "DJI R-JPEG: temperatures through an optional reader, else the picture"),
    Row("guide", "isotherm.formats.guide:READER", "Guide TP8 and TP8S: temperatures behind a JPEG, and the photo"),
    Row("infiray-ijpeg", "isotherm.formats.infiray_ijpeg:READER", "InfiRay P2 Pro IJPEG: temperatures in 1/64 K"),
    Row("irg", "isotherm.formats.irg:READER", "IRG of InfiRay, HTI, Autel: temperatures and the photo"),
    Row(
        "hikvision",
        "isotherm.formats.hikvision:READER",
        "HIKMICRO and Hikvision JPEG (experimental): °C, or counts between two known temperatures",
    ),
    Row("bosch", "isotherm.formats.bosch:READER", "Bosch GTC 400 C and 600 C JPEG (experimental): °C"),
    Row("fluke", "isotherm.formats.fluke_is2:READER", "Fluke IS2 (experimental): °C, needs the extra 'formats'"),
    Row("testo", "isotherm.formats.testo:READER", "Testo BMT (experimental): °C"),
    Row("uni-t", "isotherm.formats.unit:READER", "Uni-T BMP (experimental): grey levels, no temperatures"),
    Row("infratec", "isotherm.formats.infratec:READER", "InfraTec IRB (experimental): K, one or several frames"),
    Row("flir-fpf", "isotherm.formats.flir_fpf:READER", "FLIR FPF (experimental): K or °C"),
    Row("tiff", "isotherm.formats.tiff:READER", "TIFF: float °C or K, 16-bit counts with a scale, or a plain picture"),
    Row("png16", "isotherm.formats.png16:READER", "16-bit grey PNG: counts with a scale, or 16-bit grey levels"),
    Row("npy", "isotherm.formats.npy:READER", "NumPy array (H W): float °C, or counts with a scale"),
    Row("npz", "isotherm.formats.npz:READER", "NumPy arrays by name: float °C, or counts with a scale"),
    Row("mat", "isotherm.formats.mat:READER", "MATLAB matrices by name: float °C, or counts with a scale"),
    Row("hdf5", "isotherm.formats.hdf5:READER", "HDF5 datasets by name: float °C, or counts with a scale"),
    Row("text", "isotherm.formats.text_matrix:READER", "text of small sensors (MLX90640 ...): °C, °F or K"),
    Row(
        "csv",
        "isotherm.formats.csv_matrix:READER",
        "CSV matrix: °C, °F or K, decimal point or comma, SmartView exports",
    ),
    Row("picture", "isotherm.formats.picture:READER", "JPEG, PNG, BMP, GIF, WebP: colours and greys, no temperatures"),
)


def read(path: str | Path, hints: ReadHints | None = None) -> Thermogram:
    """Read one file of any known format; of a sequence one frame.

    Parameters
    ----------
    path
        The file; its name and suffix do not matter.
    hints
        Unit and scale, where the file cannot say them, and which frame of a sequence.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It is of no known format, or damaged; the message says where.
    """
    try:
        return read_file(path, hints)
    except FormatError as error:
        raise type(error)(f"{path}: {error.reason}", error.offset) from error


def read_file(path: str | Path, hints: ReadHints | None = None) -> Thermogram:
    """Read one file; as `read`, but the messages of FormatErrors do not name the file.

    A sequence is mapped into memory, so that it may be larger than `MAX_FILE_BYTES`.
    """
    hints = hints or ReadHints()
    reader = sequence_reader(head_of(path))
    return one_frame(reader, path, hints) if reader else read_bytes(load(path), hints)


def load(path: str | Path) -> bytes:
    """Return a file's bytes; raises DataError where it cannot be opened, TooLargeError above `MAX_FILE_BYTES`."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise TooLargeError(f"{size} bytes; at most {MAX_FILE_BYTES} are read")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def read_bytes(data: bytes, hints: ReadHints | None = None) -> Thermogram:
    """Read one file's bytes; see `read`."""
    if not data:
        raise FormatError("the file is empty (0 bytes)")
    hints = hints or ReadHints()
    sequences = sequence_reader(data[:HEAD_BYTES])
    if sequences is not None:
        return one_frame(sequences, data, hints)
    for reader in FORMATS:
        if reader.recognises(data):
            return _decoded(reader, data, hints)
    known = dict.fromkeys([*FORMATS.names(), *SEQUENCES.names()])
    raise FormatError(f"of no known format; known: {', '.join(known)}")


def _decoded(reader: ImageReader, data: bytes, hints: ReadHints) -> Thermogram:
    found = reader.decode(data, hints)
    asked = () if reader.card.frames else chosen_frame(hints, 1)[1]
    unused = unused_notes(found, reader.card, hints)
    texts = (*found.annotations, *texts_of_file(data, found.exif))
    return replace(found, digest=sha256(data), notes=(*found.notes, *asked, *unused), annotations=texts)
