"""Files that ask for far more memory or time than they are worth: refused before it is taken.

What is measured is the peak of the whole process (Linux; elsewhere the errors alone are checked).
"""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress

import h5py
import numpy as np
import pytest
from array_files import hdf5, mat5, npz

from hostile_files import zeros
from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats import FORMATS, ReadHints, read_bytes
from isotherm.formats.ifd import LONG, SHORT, Entry, encode, numbers_entry
from isotherm.testing.fuzz import peak_bytes, reset_peak
from thermal_files import FlirFile, encoded, exif_block, segment

MIB = 1 << 20
ZEROS = zeros(64)
"""64 MiB in 66 kB."""


@pytest.fixture(autouse=True, scope="module")
def all_readers_imported() -> None:
    """Import every reader, so that no test pays for it in time or memory."""
    assert [reader.name for reader in FORMATS] == FORMATS.names()


def refused(data: bytes, reason: str, kind: type[FormatError] = FormatError, *, most: int = 32 * MIB) -> None:
    """Check that the bytes are refused for the reason, within a second and `most` bytes."""
    base, start = reset_peak(), time.process_time()
    with pytest.raises(kind, match=reason):
        read_bytes(data)
    assert time.process_time() - start < 2
    assert peak_bytes() - base < most + 2 * len(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 16) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def archive(name: str, content: bytes, **declared: int) -> bytes:
    """Return a ZIP of one member whose directory declares other sizes than are true."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(name, content)
    data = bytearray(stream.getvalue())
    entry = data.index(b"PK\1\2")
    for key, offset in {"packed": 20, "size": 24}.items():
        if key in declared:
            data[entry + offset : entry + offset + 4] = struct.pack("<I", declared[key])
    return bytes(data)


# Sizes that are only declared


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(60_000, 60_000, chunk(b"IDAT", ZEROS)), id="PNG, 16 bits"),
        pytest.param(png(60_000, 60_000, chunk(b"IDAT", ZEROS), depth=8), id="PNG, 8 bits"),
        pytest.param(encoded(np.zeros((8, 8), np.uint8), "BMP").replace(
            struct.pack("<ii", 8, 8), struct.pack("<ii", 50_000, 50_000), 1), id="BMP"),
        pytest.param(encoded(np.zeros((8, 8), np.uint8), "JPEG").replace(
            b"\x08\0\x08\0\x08\x01", b"\x08\xff\xff\xff\xff\x01", 1), id="JPEG"),
        pytest.param(encoded(np.zeros((8, 8), np.uint8), "GIF").replace(
            b"GIF87a\x08\0\x08\0", b"GIF87a\xff\xff\xff\xff", 1), id="GIF"),
    ],
)  # fmt: skip
def test_declared_pictures(data: bytes) -> None:
    refused(data, r"at most 64000000|too many pixels", TooLargeError)


def tiff(tags: dict[int, Entry], body: bytes = bytes(64)) -> bytes:
    shorts = {0x102: 16, 0x103: 1, 0x106: 1, 0x115: 1}
    longs = {0x100: 8, 0x101: 4, 0x111: 8, 0x116: 4, 0x117: 64}
    page = {tag: numbers_entry("<", SHORT, value) for tag, value in shorts.items()}
    page |= {tag: numbers_entry("<", LONG, value) for tag, value in longs.items()}
    return encode("<", page | tags, {}, body)


def longs(*numbers: int) -> Entry:
    return numbers_entry("<", LONG, *numbers)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        pytest.param({0x100: longs(60_000), 0x101: longs(60_000)}, "at most 64000000", id="pixels"),
        pytest.param({0x100: longs(1 << 31), 0x101: longs(1 << 31)}, "at most 64000000", id="pixels, 62 bits"),
        pytest.param({0x100: longs(8000), 0x101: longs(8000), 0x116: longs(8000), 0x102: numbers_entry("<", SHORT, 64),
                      0x153: numbers_entry("<", SHORT, 3)}, "256000000 bytes are decoded", id="bytes"),
        pytest.param({0x142: longs(1 << 30), 0x143: longs(1 << 30), 0x144: longs(8), 0x145: longs(64)},
                     "1 tiles of 1073741824 x 1073741824", id="tile"),
        pytest.param({0x116: longs(1), 0x101: longs(3000), 0x100: longs(100)}, "3000 are needed", id="strips"),
        pytest.param({0x117: longs(1 << 31)}, "needs 2147483648 bytes", id="strip"),
    ],
)  # fmt: skip
def test_declared_tiffs(tags: dict[int, Entry], reason: str) -> None:
    refused(tiff(tags), reason)


def test_declared_counts_of_a_tiff_tag() -> None:
    data = bytearray(tiff({}))
    place = data.index(struct.pack("<HHI", 0x111, LONG, 1))
    data[place + 4 : place + 8] = struct.pack("<I", 0x3FFFFFFF)
    refused(bytes(data), "0 strips or tiles; 1 are needed")


def test_declared_flir_records() -> None:
    frame = bytearray(FlirFile().fff())
    frame[64 + 12 : 64 + 20] = struct.pack(">II", 64, 0xFFFFFFF0)
    refused(bytes(frame), "FLIR")
    counted = bytearray(FlirFile().fff())
    counted[0x1C:0x20] = struct.pack(">I", 0xFFFFFFFF)
    refused(bytes(counted), "FLIR")


def test_declared_arrays() -> None:
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000)}"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    refused(npy, "at most 64000000", TooLargeError)
    refused(archive("a.npy", npy), "at most 64000000", TooLargeError)
    mat = mat5({"celsius": np.zeros((3, 4))}, compress=False).replace(
        struct.pack("<ii", 3, 4), struct.pack("<ii", 1 << 20, 1 << 20), 1
    )
    refused(mat, "at most 64000000", TooLargeError)


def test_declared_datasets() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("celsius", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(16, 16))
    refused(stream.getvalue(), "at most 64000000", TooLargeError)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("celsius", shape=(8000, 8000), dtype="f4", chunks=(1, 1))
    refused(stream.getvalue(), "lies in 64000000 chunks", TooLargeError)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("celsius", shape=(8000, 8000), dtype="f4", chunks=(800, 800))
    refused(stream.getvalue(), "cannot lie in a file of")


# Streams that unpack to more than they should


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(chunk(b"zTXt", b"isotherm\0\0" + ZEROS), id="compressed text"),
        pytest.param(chunk(b"iTXt", b"isotherm\0\1\0\0\0" + ZEROS), id="international text"),
        pytest.param(chunk(b"iCCP", b"profile\0\0" + ZEROS), id="colour profile"),
    ],
)
def test_deflate_bombs_beside_a_png_picture(extra: bytes) -> None:
    rows = zlib.compress(b"".join(b"\0" + bytes(16) for _ in range(8)))
    base = reset_peak()
    with suppress(FormatError):
        assert read_bytes(png(8, 8, extra, chunk(b"IDAT", rows))).size == (8, 8)
    assert peak_bytes() - base < 32 * MIB


def test_deflate_bomb_in_a_png_picture() -> None:
    base = reset_peak()
    assert read_bytes(png(8, 8, chunk(b"IDAT", ZEROS))).size == (8, 8)
    assert peak_bytes() - base < 32 * MIB


def test_deflate_bomb_in_a_png_inside_a_flir_frame() -> None:
    file = FlirFile(packed=True)
    good = file.raw_record()
    for width, height, reason in ((60_000, 60_000, "64000000|pixels"), (16, 12, "")):
        record = good[:32] + png(width, height, chunk(b"IDAT", ZEROS))
        data = file.fff().replace(good, record.ljust(len(good), b"\0")[: len(good)])
        if reason:
            refused(data, reason)


def test_pixels_that_cannot_lie_in_the_file() -> None:
    rows = zlib.compress(bytes(1000))
    for depth in (8, 16):
        refused(png(8000, 8000, chunk(b"IDAT", rows), depth=depth), "8000 x 8000 pixels cannot lie in a file of")
    packed = {0x100: longs(8000), 0x101: longs(8000), 0x116: longs(8000)}
    for compression in (5, 8, 32773):
        refused(tiff(packed | {0x103: numbers_entry("<", SHORT, compression)}), "cannot lie in a file of")


@pytest.mark.parametrize("compression", [1, 5, 8])
def test_tiles_that_stand_out_over_the_picture(compression: int) -> None:
    sides = {0x100: longs(30_000), 0x101: longs(1), 0x142: longs(10), 0x143: longs(3_000_000)}
    places = {0x144: longs(*[8] * 3000), 0x145: longs(*[len(ZEROS)] * 3000)}
    data = tiff(sides | places | {0x103: numbers_entry("<", SHORT, compression)}, ZEROS)
    refused(data, "3000 tiles of 10 x 3000000 for 30000 x 1 pixels", TooLargeError)


def test_what_packs_well_is_read_all_the_same() -> None:
    for kind, options in (("PNG", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "packbits"})):
        data = encoded(np.zeros((3000, 3000), np.uint8), kind, **options)
        assert read_bytes(data).size == (3000, 3000)
    assert read_bytes(encoded(np.zeros((2000, 2000), np.uint16), "PNG")).size == (2000, 2000)


def test_deflate_bomb_in_a_tiff_strip() -> None:
    tags = {0x103: numbers_entry("<", SHORT, 8), 0x117: longs(len(ZEROS))}
    base = reset_peak()
    assert read_bytes(tiff(tags, ZEROS), ReadHints(step=1.0, unit="k")).size == (4, 8)
    assert peak_bytes() - base < 16 * MIB


def test_zip_bombs() -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)}".ljust(118)
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(64 * MIB)
    # As large as it says, and larger than its array: only what is allowed is unpacked.
    assert read_bytes(archive("a.npy", npy)).size == (4, 4)
    refused(archive("a.npy", npy, size=0xFFFFFFF0), "at most 256000000 are unpacked", TooLargeError)
    refused(archive("a.npy", npy, size=200), "damaged")
    refused(archive("a.npy", npy[:200], size=200_000_000), "cannot hold 200000000 bytes")
    refused(archive("a.npy", npy[:200], packed=0xFFFFFFF0), "needs 4294967280 bytes")


def test_a_zip_of_too_many_members() -> None:
    data = bytearray(npz(a=np.zeros((3, 4))))
    data[-12:-10] = struct.pack("<H", 0xFFFF)
    refused(bytes(data), "65535 members; at most 4096", TooLargeError)


def test_matlab_bombs() -> None:
    head = mat5({"a": np.zeros((3, 4))})[:128]
    for declared, reason in ((0xFFFFFFF0, "cannot hold 4294967288 bytes"), (64 * MIB, "a matrix|elements|left")):
        stream = zlib.compress(struct.pack("<II", 14, declared) + bytes(64 * MIB), 9)
        refused(head + struct.pack("<II", 15, len(stream)) + stream, reason)


def test_hdf5_chunk_bomb() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        dataset = file.create_dataset("celsius", shape=(8, 8), dtype="f4", chunks=(8, 8), compression="gzip")
        dataset.id.write_direct_chunk((0, 0), ZEROS)
    refused(stream.getvalue(), "a chunk of 'celsius' has 260 bytes; 256 are needed")


# Chains that never end


def test_exif_and_tiff_directories_that_point_at_themselves() -> None:
    data = bytearray(tiff({}))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    data[first + 2 + 12 * count : first + 6 + 12 * count] = struct.pack("<I", first)
    assert read_bytes(bytes(data), ReadHints(step=1.0, unit="k")).size == (4, 8)
    block = bytearray(exif_block())
    order = "<" if block.startswith(b"II") else ">"
    for tag in (0x8769, 0x8825):
        place = block.index(struct.pack(order + "HHI", tag, LONG, 1))
        block[place + 8 : place + 12] = struct.pack(order + "I", 8)
    picture = encoded(np.zeros((8, 8), np.uint8), "JPEG").removeprefix(b"\xff\xd8")
    looped = b"\xff\xd8" + segment(0xE1, b"Exif\0\0" + bytes(block)) + picture
    assert read_bytes(looped).size == (8, 8)


def test_hdf5_groups_and_trees_that_point_at_themselves() -> None:
    data = hdf5({"a/celsius": np.zeros((8, 8))}, chunks=(4, 4))
    nodes = [place for place in range(0, len(data), 8) if data[place : place + 4] in (b"TREE", b"SNOD")]
    assert len(nodes) >= 5
    for node in nodes:
        for place in range(node + 8, min(node + 200, len(data) - 8), 8):
            for target in (node, nodes[0], 96):
                looped = data[:place] + struct.pack("<Q", target) + data[place + 8 :]
                assert timed(lambda looped=looped: read_bytes(looped)) < 1


def progressive(scans: int) -> bytes:
    """Return a progressive JPEG of 64 million pixels with a scan of a few bytes many times over."""
    data = bytearray(encoded(np.zeros((64, 64), np.uint8), "JPEG", progressive=True))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 8000, 8000)
    last = data.rindex(b"\xff\xda")
    return bytes(data[:last] + bytes(data[last:-2]) * scans + b"\xff\xd9")


def test_scans_without_end() -> None:
    refused(progressive(500), "scans of 8000 x 8000 pixels", TooLargeError)


def timed(read: Callable[[], object]) -> float:
    start = time.process_time()
    with suppress(FormatError):
        read()
    return time.process_time() - start


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "[1,[" * 50_000, "1," * 200_000 + "x", " " * 500_000 + "1 2\n3 4", '"' * 200_000, "1;" * 99_999],
)
def test_text_that_goes_on_and_on(text: str) -> None:
    assert timed(lambda: read_bytes(text.encode())) < 2
