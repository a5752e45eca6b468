"""Plain pictures of every mode: what is kept, what is dropped, and what is said about it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from isotherm.core.errors import DataError, FormatError, TooLargeError
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.reader import CoarseHints
from scale_pictures import ScalePicture
from thermal_files import encoded, exif_block, segment

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 255, (12, 16)).astype(np.uint8)
RGB = RNG.integers(0, 255, (12, 16, 3)).astype(np.uint8)


def png(bits: int, colour_type: int, rows: bytes, size: tuple[int, int] = (2, 1)) -> bytes:
    """Return a PNG built by hand, for what Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_grey() -> None:
    thermogram = read_bytes(encoded(GREY, "PNG"))
    np.testing.assert_array_equal(thermogram.counts, GREY)
    np.testing.assert_array_equal(thermogram.values(), GREY.astype(np.float32))
    assert thermogram.colour is None
    assert thermogram.notes == ()


def test_colour_and_luma() -> None:
    thermogram = read_bytes(encoded(RGB, "PNG"))
    assert thermogram.colour is not None
    np.testing.assert_array_equal(thermogram.colour, RGB)
    expected = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(thermogram.counts - expected).max() <= 1


def test_it_never_gives_degrees() -> None:
    thermogram = read_bytes(encoded(RGB, "PNG"), ReadHints(step=0.1))
    assert not thermogram.radiometric
    assert any("--step is not used" in note for note in thermogram.notes)
    with pytest.raises(DataError, match="no temperatures"):
        thermogram.celsius()
    assert "--emissivity: not used by picture files" in thermogram.edited(SceneEdit(emissivity=0.5)).notes[-1]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_kinds(kind: str) -> None:
    thermogram = read_bytes(encoded(np.full((12, 16), 100, np.uint8), kind))
    assert np.abs(thermogram.counts.astype(int) - 100).max() <= 2
    assert thermogram.format == "picture"


def test_palette() -> None:
    image = Image.fromarray(RGB).quantize(8)
    thermogram = read_bytes(encoded(image, "PNG"))
    assert thermogram.colour is not None
    np.testing.assert_array_equal(thermogram.colour, np.array(image.convert("RGB")))
    transparent = encoded(image, "PNG", transparency=b"\0\x80\xff")
    np.testing.assert_array_equal(read_bytes(transparent).colour, thermogram.colour)


def test_transparency_is_dropped_and_said_only_where_there_is_some() -> None:
    alpha = np.dstack([RGB, np.full((12, 16), 255, np.uint8)])
    assert read_bytes(encoded(alpha, "PNG")).notes == ()
    alpha[0, 0, 3] = 10
    thermogram = read_bytes(encoded(alpha, "PNG"))
    assert thermogram.notes == ("transparency is dropped",)
    assert thermogram.colour is not None
    np.testing.assert_array_equal(thermogram.colour, RGB)
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha[..., 3])])
    np.testing.assert_array_equal(read_bytes(encoded(grey_alpha, "PNG")).counts, GREY)


def test_cmyk() -> None:
    thermogram = read_bytes(encoded(Image.new("CMYK", (5, 4), (0, 255, 255, 0)), "JPEG"))
    assert "CMYK" in thermogram.notes[0]
    assert thermogram.colour is not None
    assert thermogram.colour[0, 0].tolist() == pytest.approx([255, 0, 0], abs=8)


def test_one_bit() -> None:
    assert set(np.unique(read_bytes(encoded(Image.fromarray(GREY > 127), "PNG")).counts)) == {0, 255}


@pytest.mark.parametrize(("colour_type", "samples"), [(2, 3), (6, 4), (4, 2)])
def test_sixteen_bits_a_channel_are_reduced_and_said(colour_type: int, samples: int) -> None:
    row = b"\0" + struct.pack(f">{2 * samples}H", *([0x8000] * 2 * samples))
    thermogram = read_bytes(png(16, colour_type, row))
    assert thermogram.format == "picture"
    assert thermogram.counts.tolist() == [[128, 128]]
    assert "16 bits a channel reduced to 8" in thermogram.notes


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animated(kind: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 120, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    thermogram = read_bytes(data)
    assert thermogram.counts[0, 0] == 40
    assert "3 frames: the first is read" in thermogram.notes


def test_orientation_is_said_and_not_applied() -> None:
    thermogram = read_bytes(encoded(GREY, "JPEG", exif=b"Exif\0\0" + exif_block(orientation=6)))
    assert thermogram.size == (12, 16)
    assert any("orientation 6 is not applied" in note for note in thermogram.notes)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_camera_place_and_exif(kind: str) -> None:
    block = exif_block(maker="ACME", model="X1")
    thermogram = read_bytes(encoded(GREY, kind, exif=b"Exif\0\0" + block))
    camera = thermogram.camera
    assert (camera.maker, camera.model, camera.serial) == ("ACME", "X1", "123")
    assert camera.taken_at == "2024-05-06T07:08:09+02:00"
    assert thermogram.position is not None
    assert thermogram.position.latitude_deg == -10.5
    assert thermogram.position.altitude_m == -12.5
    assert thermogram.exif == block


def with_segments(*segments: bytes, exif: bytes = b"") -> bytes:
    plain = encoded(GREY, "JPEG")
    return plain[:2] + (segment(0xE1, b"Exif\0\0" + exif) if exif else b"") + b"".join(segments) + plain[2:]


def test_thermal_data_that_was_lost_is_said() -> None:
    infiray = with_segments(segment(0xE2, b"\0\2\0\1IJPEG\0"))
    assert "InfiRay IJPEG" in read_bytes(infiray).notes[0]
    assert read_bytes(with_segments(segment(0xE3, bytes(30_000)), exif=exif_block(maker="Nikon"))).notes == ()


@pytest.mark.parametrize("size", [(30_000, 30_000), (65_535, 65_535), (9_000, 9_000)])
def test_a_huge_header_is_refused_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(TooLargeError, match="at most 64000000"):
        read_bytes(png(8, 0, b"\0", size))
    with pytest.raises(TooLargeError):
        read_bytes(png(16, 0, b"\0", size))
    gif = encoded(GREY, "GIF")
    with pytest.raises(TooLargeError):
        read_bytes(gif[:6] + struct.pack("<HH", *size) + gif[10:])


def test_a_damaged_header_is_said_in_plain_words() -> None:
    with pytest.raises(FormatError, match=r"^picture: the header is damaged or not supported$"):
        read_bytes(b"GIF89a" + bytes(20))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.9])
def test_cut_short(kind: str, part: float) -> None:
    whole = encoded(RNG.integers(0, 255, (64, 64, 3)).astype(np.uint8), kind)
    with pytest.raises(FormatError):
        read_bytes(whole[: int(part * len(whole))])


def test_a_wrong_suffix_does_not_matter(tmp_path) -> None:
    from isotherm.formats import read

    path = tmp_path / "matrix.jpg"
    path.write_bytes(encoded(RGB, "PNG"))
    assert read(path).format == "picture"
    path.write_text("this is no picture\nbut text\n")
    with pytest.raises(FormatError, match=r"matrix\.jpg: of no known format"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="0 bytes"):
        read(path)
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "absent.png")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("side", "rows", "columns"), [(1000, 241, 321), (161, 241, 321), (100, 121, 161), (30, 31, 41)]
)
def test_a_jpeg_is_decoded_smaller_where_that_is_asked_for(side: int, rows: int, columns: int) -> None:
    ramp = (np.add.outer(np.arange(241), np.arange(321)) / 4).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.stack([ramp, ramp, 255 - ramp], axis=-1)).save(stream, "JPEG", quality=95)
    whole, found = (read_bytes(stream.getvalue(), hints) for hints in (None, CoarseHints(picture_side=side)))
    assert found.size == (rows, columns)
    assert found.stored_size == (None if rows == 241 else (241, 321))
    assert whole.stored_size is None
    step = 241 // (rows - 1) if rows < 241 else 1
    average = whole.values()[: 240 // step * step, : 320 // step * step]
    average = average.reshape(240 // step, step, 320 // step, step).mean(axis=(1, 3))
    difference = found.values()[: average.shape[0], : average.shape[1]] - average
    assert abs(np.median(difference)) < 1.5
    assert np.abs(difference).max() < 12


def test_other_pictures_are_decoded_whole() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (320, 240)).save(stream, "PNG")
    assert read_bytes(stream.getvalue(), CoarseHints(picture_side=10)).size == (240, 320)


def _partly_of_another_colour(share: float) -> bytes:
    """Return a picture with a colour scale whose left columns are of green shades, which the scale lacks."""
    pixels = ScalePicture().pixels()
    columns = int(share * pixels.shape[1])
    pixels[:, :columns] = np.array([0, 1, 0], np.uint8) * np.arange(120, 120 + columns, dtype=np.int64)[
        None, :, None
    ].clip(max=255).astype(np.uint8)
    return encoded(pixels, "PNG")


@pytest.mark.parametrize(("share", "known"), [(0.6, "only 3"), (0.85, "only ")])
def test_where_most_pixels_have_no_estimate_a_warning_comes_first(share: float, known: str) -> None:
    thermogram = read_bytes(_partly_of_another_colour(share), ReadHints(scale="10,60", unit="c"))
    assert thermogram.estimated
    assert thermogram.notes[0].startswith(f"warning: {known}")


def test_where_nearly_all_pixels_have_an_estimate_nothing_warns() -> None:
    thermogram = read_bytes(_partly_of_another_colour(0), ReadHints(scale="10,60"))
    assert thermogram.estimated
    assert not any("warning" in note for note in thermogram.notes)
