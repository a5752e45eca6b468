"""The conformance check of sequence readers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.core.sequence import FrameSequence
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import ReadHints
from isotherm.formats.sequences import HEAD_BYTES, SequenceReader
from isotherm.testing.damage import damaged_copies
from isotherm.testing.promises import only_format_errors, require


def check_sequence_reader(reader: SequenceReader, sample: bytes, hints: ReadHints | None = None) -> None:
    """Check that a sequence reader keeps the seam's promises, on a small valid `sample` of at least two frames.

    Run it in the tests of your package. It looks at recognition, at a file that is opened by its path and by its bytes,
    at frames from both ends, at closing, and at a few hundred damaged copies of the sample, out of which only
    FormatError may come.

    Parameters
    ----------
    reader
        The reader, as its registry row names it.
    sample
        A whole valid file, best below 20 kB, because every damaged copy is opened.
    hints
        What the sample cannot say.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    hints = hints or ReadHints()
    require(isinstance(reader, SequenceReader), "it must have name, card, recognises and open")
    require(reader.name == reader.name.lower().strip() != "", "its name must be lower-case and not empty")
    require(reader.card.frames, "its card must say that it has frames")
    require(reader.recognises(sample[:HEAD_BYTES]) is True, "it must recognise the sample by its begin")
    require(reader.recognises(b"") is False, "it must not recognise an empty file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sample")
        path.write_bytes(sample)
        with reader.open(path, hints) as mapped, reader.open(sample, hints) as held:
            _check_frames(reader, mapped, held)
        mapped.close()
        require(_refused(mapped.frame, 0), "a closed sequence must raise FormatError")
    for what, damaged in damaged_copies(sample):
        _check_survives(reader, damaged, hints, what)


def _check_frames(reader: SequenceReader, mapped: FrameSequence, held: FrameSequence) -> None:
    require(isinstance(mapped, FrameSequence), "open must return a FrameSequence")
    count = len(mapped)
    require(count >= 2 and len(held) == count, "the sample must have two frames, from its path and from its bytes")
    frames = [mapped.frame(index) for index in range(count)]
    require(frames[0].size == mapped.size, "size must be that of the first frame")
    for index, frame in enumerate(frames):
        _check_frame(reader, frame)
        require(_same(frame, held.frame(index)), "path and bytes must give the same frames")
        require(_same(frame, mapped.frame(index - count)), "a negative number must count from the end")
    times = mapped.times_s
    if times is not None:
        require(
            times.shape == (count,) and bool(times[0] == 0), "times must be seconds since the first frame, one a frame"
        )
    for index in (count, -count - 1):
        require(_refused(mapped.frame, index), "a frame that does not exist must be a FormatError")


def _check_frame(reader: SequenceReader, frame: Thermogram) -> None:
    require(frame.format == reader.name, "format must be the reader's name")
    require(not frame.counts.flags.writeable, "counts must be read-only")
    require(len(frame.digest) == 64, "digest must be the sha256 of the frame's bytes")
    require(bool(np.isfinite(frame.values()).any()), "a frame of the sample must have a finite value")


def _refused(frame: Callable[[int], Thermogram], index: int) -> bool:
    try:
        frame(index)
    except FormatError:
        return True
    return False


def _same(first: Thermogram, second: Thermogram) -> bool:
    return first.digest == second.digest and np.array_equal(first.values(), second.values(), equal_nan=True)


def _check_survives(reader: SequenceReader, data: bytes, hints: ReadHints, what: str) -> None:
    with only_format_errors(what):
        if not reader.recognises(data[:HEAD_BYTES]):
            return
        with reader.open(data, hints) as sequence:
            for use in (
                lambda: len(sequence),
                lambda: sequence.size,
                lambda: sequence.times_s,
                lambda: sequence.frame(0).values(),
                lambda: sequence.frame(-1).values(),
            ):
                _let_format_errors_pass(use)


def _let_format_errors_pass(use: Callable[[], object]) -> None:
    try:
        use()
    except FormatError:
        return
