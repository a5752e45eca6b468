"""Files that a stranger might send to break a server: bombs, lies, loops, polyglots, and what is no picture at all.

`hostile_files` makes them by name; none is larger than about 2 MB. `READ_ALL_THE_SAME` names the odd but sound ones.
"""

from __future__ import annotations

import base64
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import h5py
import numpy as np
from PIL import Image

from thermal_files import FlirFile, encoded, exif_block, npy, segment

MIB = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return _PNG + head + b"".join(chunks) + chunk(b"IEND", b"")


def zeros(mib: int) -> bytes:
    """Return so many mebibytes of zeros, deflated to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush nothing refers to what came before, so that one block stands for each of them.
    block, end = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH), packer.flush()
    return b"\x78\xda" + block * mib + end + struct.pack(">HH", mib * MIB % 65521, 1)


def tiff(
    entries: list[tuple[int, int, int, int]], *, order: str = "<", behind: bytes = b"", following: int = 0
) -> bytes:
    """Return a TIFF of one directory of (tag, type, count, value or offset)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    rows = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return head + struct.pack(order + "H", len(entries)) + rows + struct.pack(order + "I", following) + behind


def _picture_tags(width: int, height: int, **more: int) -> list[tuple[int, int, int, int]]:
    """Return the tags of a grey 8-bit TIFF whose one strip begins at byte 8."""
    found = {0x100: width, 0x101: height, 0x102: 8, 0x103: 1, 0x106: 1, 0x111: 8, 0x115: 1, 0x116: height, 0x117: 64}
    found |= {int(name[1:], 16): value for name, value in more.items()}
    return [(tag, 4, 1, value) for tag, value in sorted(found.items())]


def _jpeg_frame(width: int, height: int, *, marker: int = 0xC0, components: int = 1) -> bytes:
    table = segment(0xDB, b"\0" + bytes([1] * 64))
    parts = b"".join(bytes([index + 1, 0x11, 0]) for index in range(components))
    return b"\xff\xd8" + table + segment(marker, struct.pack(">BHHB", 8, height, width, components) + parts)


def _scans(count: int) -> bytes:
    good = encoded(np.zeros((2000, 2000), np.uint8), "JPEG", progressive=True)
    return good[:-2] + (segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + b"\0" * 4) * count + b"\xff\xd9"


def _mpo(pictures: int) -> bytes:
    index = struct.pack(">4sIHHHI4sHHIIHHII", b"MM\0*", 8, 3, 0xB000, 7, 4, b"0100", 0xB001, 4, 1, pictures, 0xB002, 7,
                        16 * pictures & 0xFFFFFFFF, 50) + bytes(64)  # fmt: skip
    picture = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    return picture[:2] + segment(0xE2, b"MPF\0" + index) + picture[2:]


def _gif(width: int, height: int, frames: int = 1) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return head + frame * frames + b";"


def _archive(name: str, content: bytes, *, times: int = 1) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for index in range(times):
            target.writestr(f"{index}{name}" if times > 1 else name, content)
    return stream.getvalue()


def _declared(data: bytes, **sizes: int) -> bytes:
    """Return a ZIP whose directory declares other sizes of its first member."""
    found, entry = bytearray(data), data.index(b"PK\1\2")
    for name, offset in {"packed": 20, "size": 24}.items():
        if name in sizes:
            found[entry + offset : entry + offset + 4] = struct.pack("<I", sizes[name])
    return bytes(found)


def _npy(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header.encode() + body


def _shape(*shape: int, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n"


def _hdf5(make: Callable[[h5py.File], object]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        make(file)
    return stream.getvalue()


def _hdf5_bomb(file: h5py.File) -> None:
    dataset = file.create_dataset("celsius", shape=(4000, 4000), dtype="f4", chunks=(4000, 4000), compression="gzip")
    dataset.id.write_direct_chunk((0, 0), zeros(128))


def _mat(body: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file, hostile".ljust(124) + b"\0\1IM" + body


def _mat_packed(body: bytes) -> bytes:
    return _mat(struct.pack("<II", 15, len(body)) + body)


def _mat_matrix(rows: int, columns: int) -> bytes:
    head = struct.pack("<IIIIII", 6, 8, 6, 0, 5, 8) + struct.pack("<II", rows, columns) + struct.pack("<II", 1, 8)
    body = head + b"celsius\0" + struct.pack("<II", 9, 64) + bytes(64)
    return _mat(struct.pack("<II", 14, len(body)) + body)


def _flir(**changes: object) -> bytearray:
    return bytearray(FlirFile(**changes).fff())  # type: ignore[arg-type]


def _flir_size(width: int, height: int) -> bytes:
    frame = _flir()
    place = frame.index(struct.pack("<3H", 2, 16, 12))
    frame[place + 2 : place + 6] = struct.pack("<HH", width, height)
    return bytes(frame)


def _flir_records(count: int, offset: int = 64) -> bytes:
    frame = _flir()
    frame[0x18:0x20] = struct.pack(">II", offset, count)
    return bytes(frame)


def _flir_packed(picture: bytes) -> bytes:
    """Return a frame whose counts are this PNG, of a size that is right."""

    class Packed(FlirFile):
        def raw_record(self) -> bytes:
            return struct.pack("<3H", 2, 16, 12).ljust(32, b"\0") + picture

    return Packed().fff()


def _rjpeg_parts(parts: int, last: int) -> bytes:
    picture = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    pieces = [segment(0xE1, b"FLIR\0\1" + bytes([index & 255, last]) + b"FFF\0" * 10) for index in range(parts)]
    return b"\xff\xd8" + b"".join(pieces) + picture[2:]


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as target:
        target.addfile(tarfile.TarInfo("../../etc/passwd"))
    return stream.getvalue()


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


def _svg(inside: str = "", before: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'.encode()


def hostile_files() -> dict[str, bytes]:
    """Return the files by name."""
    grey = np.zeros((8, 8), np.uint8)
    picture, photo, page = encoded(grey, "PNG"), encoded(grey, "JPEG"), b"<html><script>alert(1)</script></html>"
    bomb, rows = zeros(64), zlib.compress(bytes(72))
    frame = FlirFile().fff()
    entities = "<!DOCTYPE s [" + "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10)) + "]>"
    return {
        # Nothing, and next to nothing
        "empty": b"",
        "one byte": b"\0",
        "zeros": bytes(10_000),
        "noise": np.random.default_rng(0).bytes(10_000),
        "signature of a PNG": _PNG,
        "signature of a JPEG": b"\xff\xd8\xff",
        "signature of a TIFF": b"II*\0",
        "signature of a FLIR frame": b"FFF\0",
        # PNG
        "PNG of 13000 x 13000": png(13_000, 13_000, chunk(b"IDAT", zeros(162))),
        "PNG that claims 60000 x 60000": png(60_000, 60_000, chunk(b"IDAT", bomb), depth=16),
        "PNG that claims 2147483647 x 1": png(2**31 - 1, 1, chunk(b"IDAT", rows)),
        "PNG without a column": png(0, 8, chunk(b"IDAT", rows)),
        "PNG of 8000 x 8000 in 1000 bytes": png(8000, 8000, chunk(b"IDAT", rows)),
        "PNG of unknown depth": png(8, 8, chunk(b"IDAT", rows), depth=7),
        "PNG with a text bomb": png(8, 8, chunk(b"zTXt", b"Comment\0\0" + bomb), chunk(b"IDAT", rows)),
        "PNG with an international text bomb": png(8, 8, chunk(b"iTXt", b"a\0\1\0\0\0" + bomb), chunk(b"IDAT", rows)),
        "PNG with a profile bomb": png(8, 8, chunk(b"iCCP", b"a\0\0" + bomb), chunk(b"IDAT", rows)),
        "PNG with a pixel bomb": png(8, 8, chunk(b"IDAT", bomb)),
        "PNG of 50000 chunks": png(8, 8, chunk(b"tEXt", b"a\0b") * 50_000, chunk(b"IDAT", rows)),
        "PNG of endless animation": png(8, 8, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), chunk(b"IDAT", rows)),
        # JPEG
        "JPEG of 65535 x 65535": _jpeg_frame(65_535, 65_535) + b"\xff\xd9",
        "JPEG without a row": _jpeg_frame(8, 0) + segment(0xDA, b"\1\1\0\0\x3f\0") + b"\0\xff\xd9",
        "JPEG of 255 components": _jpeg_frame(8, 8, components=255) + b"\xff\xd9",
        "JPEG of arithmetic code": _jpeg_frame(8, 8, marker=0xC9) + b"\xff\xd9",
        "JPEG of 500 scans": _scans(500),
        "JPEG with an EXIF loop": photo[:2]
        + segment(0xE1, b"Exif\0\0" + tiff([(0x8769, 4, 1, 8)], following=8))
        + photo[2:],
        "JPEG with EXIF that lies": photo[:2]
        + segment(0xE1, b"Exif\0\0" + tiff([(0x10F, 2, 2**32 - 1, 8)]))
        + photo[2:],
        "MPO of 4294967295 pictures": _mpo(2**32 - 1),
        # GIF, BMP, WebP
        "GIF of 65535 x 65535": _gif(65_535, 65_535),
        "GIF of 100000 frames": _gif(8, 8, 100_000),
        "BMP of 2147483647 rows": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 8, 2**31 - 1, 1, 8, 0, 0, 0, 0, 0, 0),
        "BMP upside down without end": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 8, -(2**31), 1, 8, 0, 0, 0, 0, 0, 0),
        "WebP of 16384 x 16384": b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8X"
        + struct.pack("<IB3x", 10, 0)
        + b"\xff\x3f\0" * 2,
        # TIFF
        "TIFF that claims 60000 x 60000": tiff(_picture_tags(60_000, 60_000)),
        "TIFF that claims 60000 x 60000, big endian": tiff(_picture_tags(60_000, 60_000), order=">"),
        "TIFF of 8 bytes": b"II*\0\x08\0\0\0",
        "TIFF whose directory is itself": tiff(_picture_tags(8, 8), behind=bytes(64), following=8),
        "TIFF of 65535 tags": b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
        "TIFF with strips behind its end": tiff(_picture_tags(8, 8, x111=2**31)),
        "TIFF of no rows a strip": tiff(_picture_tags(8, 8, x116=0), behind=bytes(64)),
        "TIFF of one huge tile": tiff(_picture_tags(8, 8, x142=2**30, x143=2**30, x144=8, x145=64)),
        "TIFF of 4000000 strips": tiff(_picture_tags(8, 4_000_000, x116=1)),
        "TIFF with a deflate bomb": tiff(
            _picture_tags(8, 8, x103=8, x111=200, x117=len(bomb)), behind=bytes(90) + bomb
        ),
        "TIFF with 64 channels": tiff(_picture_tags(8, 8, x115=65_535)),
        "BigTIFF": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63),
        # FLIR
        "FLIR frame of 65535 x 65535": _flir_size(65_535, 65_535),
        "FLIR frame of 0 x 0": _flir_size(0, 0),
        "FLIR frame of 4294967295 records": _flir_records(2**32 - 1),
        "FLIR frame whose records are behind its end": _flir_records(2, 2**31),
        "FLIR frame of a PNG bomb": _flir_packed(png(60_000, 60_000, chunk(b"IDAT", bomb), depth=16)),
        "FLIR frame of an overlong PNG": _flir_packed(png(16, 12, chunk(b"IDAT", bomb), depth=16)),
        "FLIR frame of numbers that are none": FlirFile(
            planck={"r1": np.nan, "r2": np.inf, "b": 0, "f": 0, "o": 0}
        ).fff(),
        "FLIR frame without emissivity": FlirFile(emissivity=0.0, distance_m=np.inf, humidity=-1e30).fff(),
        "FLIR frame of one count": FlirFile(counts=np.full((12, 16), 0, np.uint16)).fff(),
        "R-JPEG of 255 parts that are one": _rjpeg_parts(1, 254),
        "R-JPEG of 600 parts": _rjpeg_parts(600, 255),
        "half an R-JPEG": FlirFile().jpeg()[:300],
        # Arrays
        "NPY of 1000000000000 numbers": _npy(_shape(10**6, 10**6)),
        "NPY of negative size": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}", bytes(64)),
        "NPY of objects": npy(np.array([[_Harmful()]], dtype=object)),
        "NPY with a deep header": _npy("(" * 100_000 + ")" * 100_000),
        "NPY with a program as its header": _npy("{'descr': __import__('os').abort(), 'shape': (1, 1)}", bytes(64)),
        "NPY of nothing but NaN": npy(np.full((8, 8), np.nan, np.float32)),
        "NPY of infinities": npy(np.full((8, 8), np.inf, np.float32)),
        "NPY of huge numbers": npy(np.full((8, 8), 3e38, np.float32)),
        "NPZ bomb": _archive("celsius.npy", _npy(_shape(4, 4), bytes(64 * MIB))),
        "NPZ that claims 4 GB": _declared(_archive("celsius.npy", _npy(_shape(4, 4), bytes(64))), size=2**32 - 16),
        "NPZ of 5000 members": _archive(".npy", npy(np.zeros((2, 2), np.float32)), times=5000),
        "ZIP in a ZIP": _archive("a.zip", _archive("b.zip", bytes(16 * MIB))),
        "MAT of 4294967295 x 4294967295": _mat_matrix(2**31 - 1, 2**31 - 1),
        "MAT bomb": _mat_packed(bomb),
        "MAT that claims 4 GB": _mat_packed(zlib.compress(struct.pack("<II", 14, 2**32 - 16) + bytes(1000))),
        "HDF5 of 1048576 x 1048576": _hdf5(
            lambda file: file.create_dataset("celsius", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(16, 16))
        ),
        "HDF5 bomb": _hdf5(_hdf5_bomb),
        "HDF5 that is only its signature": b"\x89HDF\r\n\x1a\n" + bytes(88),
        "HDF5 that links to a file": _hdf5(
            lambda file: file.__setitem__("celsius", h5py.ExternalLink("/etc/passwd", "/"))
        ),
        # Text
        "CSV of one long line": b"1," * 500_000 + b"1",
        "CSV of 200001 lines": b"1\n" * 200_001,
        "CSV that is ragged": b"1,2,3\n4,5\n" * 100,
        "CSV of huge numbers": b"1e999,2\n3,4\n" * 10,
        "CSV of long numbers": (b"9" * 200_000 + b",1\n") * 2,
        "CSV of formulas": b'=cmd|" /C calc"!A0,2\n3,4\n',
        # Not for us
        "SVG": _svg("<script>alert(1)</script>"),
        "SVG of a billion laughs": _svg("&e9;", entities),
        "SVG that reads a file": _svg("&x;", '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "HTML": page,
        "PDF": b"%PDF-1.7\n1 0 obj <</OpenAction 2 0 R>> endobj\n%%EOF",
        "program": b"\x7fELF\2\1\1" + bytes(100),
        "pickle": pickle.dumps(_Harmful()),
        "gzip bomb": b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zlib.compress(bytes(16 * MIB), 9)[2:-4] + bytes(8),
        "archive with a path": _tar(),
        "base64 of a picture": base64.b64encode(picture),
        "database": b"SQLite format 3\0" + bytes(100),
        # Two things at once
        "PNG and a page": picture + page,
        "JPEG and a ZIP": photo + _archive("a.npy", npy(grey)),
        "GIF that is a script": b"GIF89a=1;" + b"alert(1)//" + bytes(20),
        "page and a JPEG": page + photo,
        "R-JPEG and a page": FlirFile().jpeg(exif=exif_block(maker="<img src=x onerror=alert(1)>", model="\0\1\u202e"))
        + page,
        "two frames": frame + frame,
        "NPY and a JPEG": npy(np.ones((4, 4), np.float32)) + photo,
    }


READ_ALL_THE_SAME = frozenset(
    {
        "CSV of huge numbers",
        "CSV of one long line",
        "FLIR frame without emissivity",
        "JPEG and a ZIP",
        "JPEG with EXIF that lies",
        "JPEG with an EXIF loop",
        "MPO of 4294967295 pictures",
        "NPY and a JPEG",
        "NPY of huge numbers",
        "NPZ bomb",
        "PNG and a page",
        "PNG of 50000 chunks",
        "PNG of endless animation",
        "PNG with a pixel bomb",
        "R-JPEG and a page",
        "TIFF whose directory is itself",
        "two frames",
    }
)
"""They hold one sound picture, however odd; what else is in them or what they say beside it is not believed."""


def as_picture(data: bytes) -> Image.Image:
    """Return a picture that the server drew."""
    return Image.open(io.BytesIO(data))
