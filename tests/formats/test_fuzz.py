"""A few hundred damaged files for every reader; ``make fuzz`` tries 20,000 and more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from test_format_conformance import SAMPLES
from test_sequences import SAMPLES as SEQUENCE_SAMPLES

from isotherm.core.errors import FormatError
from isotherm.formats import FORMATS, ReadHints
from isotherm.formats.reader import ImageReader
from isotherm.formats.sequences import SEQUENCES
from isotherm.testing import fuzz as fuzzing
from isotherm.testing.fuzz import Sample, fuzz, mutated, opening_with, reading_with
from thermal_files import npy

MOST = 300
SECONDS = 1.0
"""Of processor time for one reader."""


def for_a_while(seconds: float = SECONDS, most: int = MOST) -> Iterator[int]:
    start = time.process_time()
    for index in range(most):
        if time.process_time() - start > seconds:
            return
        yield index


def samples_of(name: str) -> list[Sample]:
    return [(data, hints or ReadHints()) for reader, _, data, hints in SAMPLES if reader == name]


@pytest.mark.parametrize("name", [name for name in FORMATS.names() if name != "fluke"])
def test_readers_survive(name: str) -> None:
    report = fuzz(name, reading_with(FORMATS.get(name)), samples_of(name), indices=for_a_while(), seed=7)
    assert report.failures == []
    assert report.refused > 0


def test_a_reader_in_a_process_of_its_own_survives() -> None:
    report = fuzz("fluke", reading_with(FORMATS.get("fluke")), samples_of("fluke"), indices=range(12), seed=7)
    assert report.failures == []


@pytest.mark.parametrize("name", SEQUENCES.names())
def test_sequences_survive(name: str) -> None:
    samples = [(data, ReadHints()) for reader, data in SEQUENCE_SAMPLES if reader == name]
    report = fuzz(name, opening_with(SEQUENCES.get(name)), samples, indices=for_a_while(), seed=7)
    assert report.failures == []
    assert report.refused > 0


def test_a_mutation_is_told_by_its_seed_and_index() -> None:
    samples = [data for _, _, data, _ in SAMPLES]
    first = [mutated(samples, 3, index) for index in range(200)]
    assert first == [mutated(samples, 3, index) for index in range(200)]
    assert first != [mutated(samples, 4, index) for index in range(200)]
    assert sum(data in samples for data, _ in first) < 10
    words = " ".join(said for _, said in first)
    assert all(kind in words for kind in ("flipped", "cut", "cut_out", "spliced", "lying_length", "noise", "digits"))


class Wrong:
    """A reader that breaks one promise for some bytes."""

    def __init__(self, how: str) -> None:
        self.inner: ImageReader = FORMATS.get("npy")
        self.how, self.name, self.card = how, "wrong", self.inner.card
        self.kept: list[np.ndarray] = []

    def recognises(self, data: bytes) -> bool:
        return self.inner.recognises(data)

    def decode(self, data: bytes, hints: ReadHints):
        try:
            return self.inner.decode(data, hints)
        except FormatError:
            if self.how == "error":
                raise KeyError("header") from None
            if self.how == "slow":
                time.sleep(0.2)
            if self.how == "large":
                self.kept.append(np.ones(8 << 20))  # above what the allocator keeps for later
            raise


@pytest.mark.parametrize(("how", "words"), [("error", "KeyError"), ("slow", " s"), ("large", "MiB more memory")])
def test_broken_promises_are_found(how: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other kinds take longer than this too where the machine is busy.
    monkeypatch.setattr(fuzzing, "MAX_SECONDS", 0.15 if how == "slow" else 60.0)
    monkeypatch.setattr(fuzzing, "MAX_GROWTH_BYTES", 16 << 20)
    sample = (npy(np.linspace(0, 1, 20).reshape(4, 5)), ReadHints())
    report = fuzz("wrong", reading_with(Wrong(how)), [sample], indices=range(6), seed=1)
    assert report.failures
    assert all(words in failure and failure.startswith("seed 1 index ") for failure in report.failures)
    assert (report.tried, report.read + report.refused) == (6, 6 - len(report.failures) * (how == "error"))
