"""Sequences of frames: the seam of their readers, the registry, and `open_sequence`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from isotherm.core.errors import DataError, FormatError
from isotherm.core.registry import Registry, Row
from isotherm.core.sequence import FrameSequence
from isotherm.core.thermogram import Thermogram
from isotherm.formats.frames import chosen_frame
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.formats.unused_hints import unused_notes

HEAD_BYTES = 4096
"""How much of a file's begin a sequence reader sees to recognise it."""


@runtime_checkable
class SequenceReader(Protocol):
    """One maker's sequences, in one file, as one registry row.

    Recognition is by the first `HEAD_BYTES` bytes, never by name. Everything that opening and the sequence's frames let
    out is a `FormatError`, whatever the bytes (and DataError where the file cannot be opened).
    """

    name: str
    card: FormatCard

    def recognises(self, head: bytes) -> bool:
        """Say whether a file that begins with these bytes is of this format; never raises."""
        ...

    def open(self, source: str | Path | bytes, hints: ReadHints) -> FrameSequence:
        """Open a path, mapped into memory, or the bytes of a whole file; frames are decoded when asked for."""
        ...


@runtime_checkable
class LeavesOut(Protocol):
    """A sequence that knows which bytes of its file are in none of its frames."""

    def left_out(self) -> tuple[str, ...]:
        """Return a note about them; empty where there are none."""
        ...


SEQUENCES: Registry[SequenceReader] = Registry(
    "sequence format",
    Row("flir", "isotherm.formats.flir_sequence:READER", "FLIR SEQ and CSQ: frames of counts with Planck constants"),
    Row("telops", "isotherm.formats.telops:READER", "Telops HCC (experimental): frames of K or of counts"),
    Row("infratec", "isotherm.formats.infratec:SEQUENCE_READER", "InfraTec IRB sequences (experimental): frames of K"),
)


def open_sequence(path: str | Path, hints: ReadHints | None = None) -> FrameSequence:
    """Open a sequence of any known format; use it in a ``with`` statement, or close it.

    Parameters
    ----------
    path
        The file; its name and suffix do not matter. It is mapped into memory and not read as a whole.
    hints
        What a file cannot say; ``frame`` is not used.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It is no sequence of a known format.
    """
    reader = sequence_reader(head_of(path))
    if reader is None:
        raise FormatError(f"{path}: no sequence of a known format; known: {', '.join(SEQUENCES.names())}", 0)
    return reader.open(path, hints or ReadHints())


def sequence_reader(head: bytes) -> SequenceReader | None:
    """Return the reader of the sequence that begins with these bytes; None where there is none."""
    return next((reader for reader in SEQUENCES if reader.recognises(head)), None)


def one_frame(reader: SequenceReader, source: str | Path | bytes, hints: ReadHints) -> Thermogram:
    """Return the frame that the hints ask for, and notes: which it is of several, and what is left out."""
    with reader.open(source, hints) as sequence:
        index, notes = chosen_frame(hints, len(sequence))
        thermogram = sequence.frame(index)
        notes += sequence.left_out() if isinstance(sequence, LeavesOut) else ()
    unused = unused_notes(thermogram, reader.card, hints)
    return replace(thermogram, notes=(*thermogram.notes, *notes, *unused))


def head_of(path: str | Path) -> bytes:
    """Return the first bytes of a file; raises DataError where it cannot be opened."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
