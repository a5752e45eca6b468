"""The conformance check of image readers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from isotherm.core.thermogram import Calibration, Thermogram
from isotherm.formats.reader import HINTS, ImageReader, ReadHints
from isotherm.testing.damage import damaged_copies
from isotherm.testing.promises import only_format_errors, require


def check_image_reader(reader: ImageReader, sample: bytes, hints: ReadHints | None = None) -> None:
    """Check that a reader keeps the seam's promises, on a small valid `sample` of its format.

    Run it in the tests of your package. It looks at what is recognised and what is not, at the thermogram (shape,
    types, read-only counts, temperatures), at decoding twice, and at a few hundred damaged copies of the sample: cut
    short, with bits flipped, with noise. Only FormatError may come out of those, and what can be decoded must have
    values.

    Parameters
    ----------
    reader
        The reader, as its registry row names it.
    sample
        A whole valid file, best below 20 kB, because every damaged copy is decoded.
    hints
        Unit and scale, where the sample needs them.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    hints = hints or ReadHints()
    require(isinstance(reader, ImageReader), "it must have name, card, recognises and decode")
    require(reader.name == reader.name.lower().strip() != "", "its name must be lower-case and not empty")
    require(reader.recognises(sample) is True, "it must recognise the sample")
    require(reader.recognises(b"") is False, "it must not recognise an empty file")
    thermogram = reader.decode(sample, hints)
    _check_thermogram(reader, thermogram)
    _check_same(thermogram, reader.decode(sample, hints))
    _check_hints(reader, sample, hints)
    for what, damaged in damaged_copies(sample):
        _check_survives(reader, damaged, hints, what)


def _check_thermogram(reader: ImageReader, thermogram: Thermogram) -> None:
    require(isinstance(thermogram, Thermogram), "decode must return a Thermogram")
    counts, colour = thermogram.counts, thermogram.colour
    require(thermogram.format == reader.name, "format must be the reader's name")
    require(counts.ndim == 2 and counts.size > 0, "counts must be (H W), not empty")
    require(counts.dtype.kind in "uif" and counts.dtype.isnative, "counts must be numbers in native byte order")
    require(not counts.flags.writeable, "counts must be read-only")
    require(colour is None or colour.shape == (*counts.shape, 3), "colour must be (H W 3)")
    require(all(note == " ".join(note.split()) != "" for note in thermogram.notes), "a note must be one line")
    if thermogram.calibration is None:
        require(counts.dtype in (np.uint8, np.uint16), "without a calibration counts must be uint8 or uint16")
    else:
        require(isinstance(thermogram.calibration, Calibration), "the calibration must keep its protocol")
    values = thermogram.values()
    require(values.shape == counts.shape and values.dtype == np.float32, "values must be float32 (H W)")
    require(bool(np.isfinite(values).any()), "the sample must have a finite value")


def _check_same(first: Thermogram, second: Thermogram) -> None:
    require(np.array_equal(first.values(), second.values(), equal_nan=True), "decoding twice must give the same values")
    facts = [(item.scene, item.camera, item.position, item.notes, item.exif) for item in (first, second)]
    require(facts[0] == facts[1], "decoding twice must give the same scene, camera, position, notes and EXIF")


def _check_hints(reader: ImageReader, sample: bytes, hints: ReadHints) -> None:
    """Check that the hints which the card does not name change nothing, for users are told so."""
    used = reader.card.hints
    require(set(used) <= set(HINTS), f"its card's hints must be among {', '.join(HINTS)}")
    others: dict[str, Any] = {"step": 0.37, "unit": "f", "scale": "1,2", "formula": "thermimage"}
    foreign = {name: value for name, value in others.items() if name not in (*used, *hints.given())}
    first, second = (reader.decode(sample, given).values() for given in (hints, replace(hints, **foreign)))
    require(np.array_equal(first, second, equal_nan=True), "a hint that its card does not name must change no value")


def _check_survives(reader: ImageReader, data: bytes, hints: ReadHints, what: str) -> None:
    with only_format_errors(what):
        recognised = reader.recognises(data)
        require(isinstance(recognised, bool), f"recognises must return a bool ({what})")
        reader.decode(data, hints).values()
