"""Damaged copies of a file, for the conformance checks of readers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_CUTS, _FLIPS, _NOISES = 40, 150, 20


def damaged_copies(sample: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield damaged copies of a sample, the same ones every time, each with words for it."""
    rng = np.random.default_rng(0)
    for length in sorted({int(part * len(sample)) for part in np.linspace(0, 1, _CUTS, endpoint=False)}):
        yield f"the first {length} bytes", sample[:length]
    # Half of the flips hit the first 512 bytes, where headers are.
    for index in range(_FLIPS):
        place = int(rng.integers(min(len(sample), 512) if index % 2 else len(sample)))
        bit = 1 << int(rng.integers(8))
        yield f"bit {bit} flipped at byte {place}", patched(sample, place, bytes([sample[place] ^ bit]))
    for _ in range(_NOISES):
        place, noise = int(rng.integers(len(sample))), rng.bytes(16)
        yield f"noise at byte {place}", patched(sample, place, noise)
    yield "noise", rng.bytes(1000)


def patched(sample: bytes, place: int, patch: bytes) -> bytes:
    """Return a sample with other bytes at a place, cut off at its end."""
    return sample[:place] + patch[: len(sample) - place] + sample[place + len(patch) :]
