"""Every row of the registry keeps the promises of the seam, on undamaged and on damaged files."""

from __future__ import annotations

import gzip
from contextlib import suppress

import numpy as np
import pytest
from array_files import hdf5, mat5, mat73, npz
from drone_files import dji, ijpeg, xmp
from flir_files import JpegLsFrame, fpf, palette_record, photo_record, pip_record, tools_record
from guide_files import guide
from hypothesis import given, settings
from hypothesis import strategies as st
from irg_files import irg
from other_maker_files import (
    BoschFile,
    FlukeFile,
    HikvisionFile,
    InfraTecFile,
    TestoFile,
    UniTFile,
    celsius,
    hikvision_celsius_file,
    photo,
)

from isotherm.core.errors import FormatError
from isotherm.formats import FORMATS, ReadHints, read_bytes
from isotherm.formats.reader import FormatCard
from isotherm.testing.formats import check_image_reader
from scale_pictures import ScalePicture, scene
from thermal_files import FlirFile, encoded, exif_block, npy, ramp

GREY = np.arange(192, dtype=np.uint8).reshape(12, 16)
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
CELSIUS = np.linspace(18, 60, 192, dtype=np.float32).reshape(12, 16)
CSV = "\n".join(";".join(f"{value:.1f}".replace(".", ",") for value in row) for row in CELSIUS).encode()
SCALE = ReadHints(step=0.1, offset=-100.0, unit="c")
ENDS = ReadHints(scale="10.0,60.0", unit="c")
EXTRAS = [
    photo_record(encoded(RGB, "JPEG"), 12, 16),
    pip_record(1.5, 2, -1),
    palette_record(RGB[0], "Iron"),
    tools_record((1, (5, 6), "1"), (2, (2, 3, 8, 4), "2"), (3, (8, 6, 12, 6, 8, 9), "3")),
]


def scale_sample(kind: str) -> bytes:
    """Return about the smallest picture in which a colour scale is looked for."""
    return ScalePicture(places=scene(48, 48), width_px=4, palette="rainbow").encoded(kind)


SAMPLES: list[tuple[str, str, bytes, ReadHints | None]] = [
    ("flir", "jpeg", FlirFile(gps=(49.0, 8.4, 120.0)).jpeg(exif=exif_block()), None),
    ("flir", "jpeg in three parts", FlirFile(record_order=">").jpeg(part_bytes=800), None),
    ("flir", "little-endian directory", FlirFile(directory_order="<").fff(), None),
    ("flir", "packed", FlirFile(packed=True, magic=b"AFF\0").fff(), None),
    ("dji", "without a reader", dji(packet=xmp(GpsLatitude="+49.0", GpsLongitude="+8.4")), None),
    ("guide", "temperatures and photo", guide(), None),
    ("infiray-ijpeg", "two planes", ijpeg(ramp(low=18000, high=20000)), None),
    ("irg", "sixteenths of a kelvin", irg(ramp(low=4600, high=5200), photo=encoded(RGB, "JPEG")), None),
    ("irg", "tenths of a kelvin", irg(ramp(low=2900, high=3200), magic=b"\xba\xab"), None),
    ("flir", "jpeg-ls", JpegLsFrame().fff(), None),
    ("flir", "photo, tools and palette", FlirFile(extra_records=EXTRAS).jpeg(), None),
    ("flir", "two frames", FlirFile().fff() + JpegLsFrame().fff(), ReadHints(frame=-1)),
    ("flir-fpf", "float", fpf(CELSIUS), None),
    ("tiff", "float", encoded(CELSIUS, "TIFF"), None),
    ("tiff", "counts", encoded(ramp(), "TIFF", compression="tiff_lzw"), SCALE),
    ("tiff", "colours", encoded(RGB, "TIFF"), None),
    ("png16", "guessed", encoded(ramp(low=29000, high=31000), "PNG", exif=exif_block()), None),
    ("png16", "hinted", encoded(ramp(low=1000, high=1700), "PNG"), SCALE),
    ("npy", "float64", npy(CELSIUS.astype(np.float64)), None),
    ("npy", "grey", npy(GREY), None),
    ("npy", "counts", npy(ramp(low=29000, high=31000)), None),
    ("npz", "celsius", npz(celsius=CELSIUS, counts=ramp()), None),
    ("npz", "table", npz(counts=ramp(low=0, high=999), lookup_table=np.linspace(280, 320, 1000)), None),
    ("mat", "version 5", mat5({"celsius": CELSIUS, "note": "text"}, compress=False), None),
    ("mat", "version 7 with a structure", mat5({"shot": {"raw": ramp(low=29000, high=31000), "camera": "x"}}), None),
    ("mat", "version 7.3", mat73({"celsius": CELSIUS}), None),
    ("hdf5", "deflated chunks", hdf5({"a/celsius": CELSIUS}, chunks=(5, 7), compression="gzip", shuffle=True), None),
    ("hdf5", "plain", hdf5({"counts": ramp(low=29000, high=31000)}, units={"counts": "1"}), None),
    ("text", "one line", ",".join(f"{value:.1f}" for value in np.linspace(18, 60, 768)).encode(), None),
    ("text", "brackets", str(CELSIUS.round(1).tolist()).encode(), None),
    ("csv", "decimal comma", CSV, None),
    ("csv", "utf-16", CSV.decode().encode("utf-16"), None),
    ("hikvision", "counts", HikvisionFile().data(), None),
    ("hikvision", "temperatures", hikvision_celsius_file(celsius(120, 160)), None),
    ("bosch", "one segment", BoschFile().data(), None),
    ("bosch", "two segments", BoschFile(celsius(192, 256), 600).data(), None),
    ("testo", "measured", TestoFile(photo=photo()).data(), None),
    ("testo", "plain", TestoFile(measured=False).data(), None),
    ("fluke", "zip", FlukeFile().data(), None),
    ("uni-t", "upside down", UniTFile(turn="upside down").data(), None),
    ("infratec", "plain", InfraTecFile().data(), None),
    ("infratec", "packed sequence", InfraTecFile(compression=1, sequence=True).data(), None),
    ("picture", "jpeg", encoded(RGB, "JPEG", exif=b"Exif\0\0" + exif_block()), None),
    ("picture", "png", encoded(RGB, "PNG"), None),
    ("picture", "gif", encoded(GREY, "GIF"), None),
    ("picture", "bmp", encoded(RGB, "BMP"), None),
    ("picture", "webp", encoded(RGB, "WEBP"), None),
    ("picture", "estimated jpeg", scale_sample("JPEG"), ENDS),
    ("picture", "estimated bmp", scale_sample("BMP"), ENDS),
]
IDS = [f"{name}-{what}" for name, what, _, _ in SAMPLES]


def test_the_samples_of_estimates_are_estimated() -> None:
    estimated = [read_bytes(data, hints).estimated for _, what, data, hints in SAMPLES if "estimated" in what]
    assert estimated == [True, True]


def test_every_format_has_a_sample() -> None:
    assert {name for name, *_ in SAMPLES} == set(FORMATS.names())


@pytest.mark.parametrize(("name", "what", "sample", "hints"), SAMPLES, ids=IDS)
def test_conformance(name: str, what: str, sample: bytes, hints: ReadHints | None) -> None:
    check_image_reader(FORMATS.get(name), sample, hints)


@pytest.mark.parametrize(("name", "what", "sample", "hints"), SAMPLES, ids=IDS)
def test_only_its_own_reader_decodes_a_sample(name: str, what: str, sample: bytes, hints: ReadHints | None) -> None:
    assert read_bytes(sample, hints).format == name


class Greedy:
    """Breaks one promise after the other, so that the check itself is checked."""

    name = "greedy"
    card = FormatCard("any", ".npy", "°C", "documented", hints=("step", "offset", "unit"))

    def __init__(self, *, raises: type[Exception] = FormatError, empty: bool = False) -> None:
        self.raises, self.empty = raises, empty

    def recognises(self, data: bytes) -> bool:
        return self.empty or data.startswith(b"\x93NUMPY")

    def decode(self, data: bytes, hints: ReadHints):
        try:
            found = FORMATS.get("npy").decode(data, hints)
        except FormatError as error:
            raise self.raises("damaged") from error
        object.__setattr__(found, "format", "greedy")
        return found


def test_the_check_finds_a_foreign_exception() -> None:
    check_image_reader(Greedy(), npy(CELSIUS))
    with pytest.raises(AssertionError, match="KeyError came out of the first 0 bytes"):
        check_image_reader(Greedy(raises=KeyError), npy(CELSIUS))


def test_the_check_finds_a_hint_that_the_card_does_not_name() -> None:
    reader = Greedy()
    reader.card = FormatCard("any", ".npy", "°C", "documented")
    with pytest.raises(AssertionError, match="a hint that its card does not name must change no value"):
        check_image_reader(reader, npy(CELSIUS))


def test_the_check_finds_a_greedy_reader() -> None:
    with pytest.raises(AssertionError, match="must not recognise an empty file"):
        check_image_reader(Greedy(empty=True), npy(CELSIUS))


@settings(deadline=None, max_examples=60)
@given(
    sample=st.sampled_from([sample for _, _, sample, _ in SAMPLES]),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
    cut=st.integers(0, 10_000),
)
def test_damaged_files_read_or_fail_as_format_errors(sample: bytes, edits: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(sample)
    for place, patch in edits:
        start = place % len(data)
        data[start : start + len(patch)] = patch
    with suppress(FormatError):
        read_bytes(bytes(data[: max(1, cut % (len(data) + 1))])).values()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_read_or_fail_as_format_errors(data: bytes) -> None:
    with suppress(FormatError):
        read_bytes(data).values()


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"plain text\nof two lines\n", gzip.compress(b"x", mtime=0), b"\xff\xd8\xff"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_bytes(data)
