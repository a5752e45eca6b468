"""Seeded damage for readers: flips, cuts, splices and lying lengths, with limits on time, memory and errors.

Mutation number `index` of a seed is the same wherever and whenever it is made, so that a finding is replayed by its
seed and index alone.
"""

from __future__ import annotations

import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isotherm.core.errors import FormatError, MissingExtraError
from isotherm.formats.reader import ImageReader, ReadHints
from isotherm.formats.sequences import HEAD_BYTES, SequenceReader
from isotherm.testing.damage import patched

MAX_SECONDS = 5.0
"""Longest that one damaged file may take [s]."""
MAX_GROWTH_BYTES = 1 << 30
"""Most that a damaged file may add to the memory of the process [bytes]."""
_HEAD_BYTES = 512
_LENGTHS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PNG = b"\x89PNG\r\n\x1a\n"

Sample = tuple[bytes, ReadHints]
Attempt = Callable[[bytes, ReadHints], bool]
"""Reads damaged bytes as a user would: True where they were read, False where a FormatError refused them."""


@dataclass
class FuzzReport:
    """What became of the damaged files of one reader.

    Parameters
    ----------
    name
        The reader.
    tried, read, refused
        How many files were tried, read all the same, and refused with a FormatError.
    slowest_s, slowest
        Longest time [s], and which mutation took it.
    growth_bytes, largest
        Most memory that was added over that of the start [bytes], and the mutation that reached it.
    failures
        Broken promises, one line each.
    """

    name: str
    tried: int = 0
    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    slowest: str = ""
    growth_bytes: int = 0
    largest: str = ""
    failures: list[str] = field(default_factory=list)


def mutated(samples: Sequence[bytes], seed: int, index: int) -> tuple[bytes, str]:
    """Return damaged copy number `index` of one of the samples, and words for what was done to it.

    Every copy takes one to three of: bits flipped, bytes set to extremes, a whole number replaced by a telling length,
    the file cut at its end or a piece cut out, a piece of another sample (or of itself) put in, noise.
    """
    rng = np.random.default_rng((seed, index))
    data = samples[int(rng.integers(len(samples)))]  # as `drawn`
    said = []
    for _ in range(int(rng.integers(1, 4))):
        damage = _DAMAGES[int(rng.integers(len(_DAMAGES)))]
        data = damage(data, samples, rng)
        said.append(damage.__name__.strip("_"))
        if not data:
            break
    if data.startswith(_PNG) and rng.integers(2):
        data = _with_right_sums(data)
        said.append("right sums")
    return data, f"seed {seed} index {index} ({', '.join(said)})"


def drawn(count: int, seed: int, index: int) -> int:
    """Return which of `count` samples `mutated` damages; its hints go with it."""
    return int(np.random.default_rng((seed, index)).integers(count))


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Return a place in the data; every other one in its first bytes, where headers are."""
    return int(rng.integers(min(len(data), _HEAD_BYTES) if rng.integers(2) else len(data)))


def _flipped(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        found[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(found)


def _extreme(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    value = (0, 0xFF, 0x7F, 0x80)[int(rng.integers(4))]
    return patched(data, _place(data, rng), bytes([value]) * int(rng.integers(1, 9)))


def _lying_length(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    code = "<>"[int(rng.integers(2))] + "HIQ"[int(rng.integers(3))]
    most = (1 << 8 * struct.calcsize(code)) - 1
    length = (*_LENGTHS, len(data), len(data) - 1)[int(rng.integers(len(_LENGTHS) + 2))]
    return patched(data, _place(data, rng), struct.pack(code, min(length, most)))


def _digits(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    words = (b"9" * 20, b"-1", b"1e999", b"nan", b";", b",", b"\n", b"[", b"\xc2\xb0C", b'"', b"0")
    return patched(data, _place(data, rng), words[int(rng.integers(len(words)))])


def _cut(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    return data[: int(rng.integers(len(data)))]


def _cut_out(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    start = _place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, max(2, len(data) // 4))) :]


def _spliced(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:
    other = samples[int(rng.integers(len(samples)))]
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other))) :]


def _transplanted(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:
    other = samples[int(rng.integers(len(samples)))]
    start = int(rng.integers(len(other)))
    piece = other[start : start + int(rng.integers(1, 65))]
    place = _place(data, rng)
    return data[:place] + piece + data[place:] if rng.integers(2) else patched(data, place, piece)


def _noise(data: bytes, samples: Sequence[bytes], rng: np.random.Generator) -> bytes:  # noqa: ARG001
    return patched(data, _place(data, rng), rng.bytes(int(rng.integers(1, 33))))


_DAMAGES = (_flipped, _extreme, _lying_length, _lying_length, _digits, _cut, _cut_out, _spliced, _transplanted, _noise)


def _with_right_sums(png: bytes) -> bytes:
    """Return a PNG with the check sums of its chunks made right, so that damage reaches what lies behind them."""
    found, place = bytearray(png), len(_PNG)
    while place + 12 <= len(found):
        end = place + 8 + int.from_bytes(found[place : place + 4], "big")
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)


def reading_with(reader: ImageReader) -> Attempt:
    """Return the attempt to read bytes with one reader: recognise, decode, and ask for the values."""

    def attempt(data: bytes, hints: ReadHints) -> bool:
        if not isinstance(reader.recognises(data), bool):
            raise TypeError("recognises must return a bool")
        try:
            reader.decode(data, hints).values()
        except FormatError:
            return False
        return True

    return attempt


def opening_with(reader: SequenceReader) -> Attempt:
    """Return the attempt to open bytes with a sequence reader, and to look at its first, middle and last frame."""

    def attempt(data: bytes, hints: ReadHints) -> bool:
        if not isinstance(reader.recognises(data[:HEAD_BYTES]), bool):
            raise TypeError("recognises must return a bool")
        try:
            with reader.open(data, hints) as sequence:
                _ = sequence.size, sequence.times_s
                for index in sorted({0, len(sequence) // 2, len(sequence) - 1}):
                    sequence.frame(index).values()
        except FormatError:
            return False
        return True

    return attempt


def fuzz(
    name: str,
    attempt: Attempt,
    samples: Sequence[Sample],
    *,
    indices: Iterable[int],
    seed: int = 0,
    before: Callable[[int, bytes], None] = lambda _index, _data: None,
) -> FuzzReport:
    """Try damaged copies of `samples`, and report what broke the promises: other errors, time, memory.

    Parameters
    ----------
    name
        What the report is called.
    attempt
        See `Attempt`; `reading_with` for an image reader.
    samples
        Whole valid files with the hints that they need, best below 20 kB.
    indices
        Numbers of the mutations.
    seed
        Of the mutations.
    before
        Called with the index and the bytes before each attempt, so that a process that dies can leave a trace.
    """
    report = FuzzReport(name)
    plain = [data for data, _ in samples]
    base = reset_peak()
    for index in indices:
        data, said = mutated(plain, seed, index)
        before(index, data)
        _try(report, attempt, data, samples[drawn(len(samples), seed, index)][1], said=said)
        growth = peak_bytes() - base
        if growth > report.growth_bytes:
            report.growth_bytes, report.largest = growth, said
        if growth > MAX_GROWTH_BYTES:
            report.failures.append(f"{said}: {growth >> 20} MiB more memory")
            base += growth
    return report


def _try(report: FuzzReport, attempt: Attempt, data: bytes, hints: ReadHints, *, said: str) -> None:
    start = time.perf_counter()
    report.tried += 1
    try:
        read = attempt(data, hints)
        report.read += read
        report.refused += not read
    except MissingExtraError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever else comes out is the finding)
        report.failures.append(f"{said}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
    seconds = time.perf_counter() - start
    if seconds > report.slowest_s:
        report.slowest_s, report.slowest = seconds, said
    if seconds > MAX_SECONDS:
        report.failures.append(f"{said}: {seconds:.1f} s")


def reset_peak() -> int:
    """Start a new peak of the memory in use where the system can (Linux), and return the present one [bytes]."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_bytes()


def peak_bytes() -> int:
    """Return the most memory that the process has had since `reset_peak`, or since its start [bytes]."""
    with suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    import resource  # not on Windows

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used << 10
