"""Texts that people and cameras write into files: FLIR's annotations, EXIF, XMP, comments of JPEG."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.cli.main import main
from isotherm.core.capture import Annotation
from isotherm.formats import file_texts, read, read_bytes
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import EXIF_IFD
from isotherm.formats.fff import block, read_container
from isotherm.formats.file_texts import FLIR, LONGEST, MOST, flir_lines, texts_of_file, texts_of_flir_record
from isotherm.formats.ifd import Entry, encode, text_entry
from isotherm.formats.tags import LONGEST_TAG, tags_of
from thermal_files import FlirFile, encoded, ramp, segment

# The head of the record 0x2E of a FLIR E40, and the form of its lines.
HEAD = bytes.fromhex("350001000700640000000000")
RECORD = HEAD + (
    b'#\r\n# Generated at 2013-04-12 09:24:02\r\n#\r\n'
    b'.0 index\r\n.0.label text "Equipment"\r\n.0.value text "Motor 7"\r\n'
    b'.1 index\r\n.1.label unicode "Geb\\00e4ude"\r\n.1.value unicode "Halle \\00fc \\"3\\" \\d83d\\de00"\r\n'
    b'.2 index\r\n.2.label text "Recommendation"\r\n.2.value text ""\r\n'
)  # fmt: skip


def flir(record: bytes = RECORD) -> bytes:
    return FlirFile(counts=ramp(24, 32), extra_records=[(0x23, record)]).jpeg()


def exif(maker: str = "ACME", **texts: bytes) -> bytes:
    """Return an EXIF block with these values, of the types that EXIF has for them."""
    tags = {"description": (0x010E, 2), "title": (0x9C9B, 1), "keywords": (0x9C9E, 1)}
    main = {0x010F: text_entry(maker)}
    for name, raw in texts.items():
        if name in tags:
            tag, kind = tags[name]
            main[tag] = Entry(kind, len(raw), raw)
    comment = texts.get("comment")
    nested = {EXIF_IFD: {0x9286: Entry(7, len(comment), comment)}} if comment else {}
    return encode("<", main, nested)


def jpeg_with(*segments: bytes) -> bytes:
    picture = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    return picture[:2] + b"".join(segments) + picture[2:]


def found(block: bytes) -> list[tuple[str, str, bool]]:
    return [(one.source, one.text, one.automatic) for one in texts_of_file(b"", block)]


def test_flir_text_annotations_are_pairs_of_label_and_value() -> None:
    assert read_bytes(flir()).annotations == (
        Annotation(FLIR, "Motor 7", "Equipment"),
        Annotation(FLIR, 'Halle ü "3" \N{GRINNING FACE}', "Gebäude"),
    )


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_the_same_from_our_flir_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(flir())
    said = subprocess.run(["exiftool", "-j", "-Label0", "-Value0", "-Label1", path], capture_output=True, check=True)
    (theirs,) = json.loads(said.stdout)
    ours = read(path).annotations
    assert [theirs["Label0"], theirs["Value0"], theirs["Label1"]] == [ours[0].label, ours[0].text, ours[1].label]


def test_what_is_damaged_in_a_flir_record_is_left_out() -> None:
    cut = RECORD[: RECORD.index(b"Halle")]
    assert [str(one) for one in read_bytes(flir(cut)).annotations] == ["Equipment: Motor 7"]
    assert read_bytes(flir(HEAD)).annotations == ()
    # What follows a zero byte is no text any more.
    assert read_bytes(flir(HEAD + b'\0.0.value text "x"')).annotations == ()


def test_texts_are_cut_in_number_and_length() -> None:
    many = HEAD + b"".join(b'.%d.value text "%d %s"\n' % (number, number, b"x" * 100) for number in range(500))
    assert len(texts_of_flir_record(Cursor(many, "<", "record"))) == MOST
    (long,) = texts_of_flir_record(Cursor(HEAD + b'.0.value text "' + b"x" * 9000 + b'"', "<", "record"))
    assert len(long.text) == LONGEST


@given(st.binary(max_size=300), st.integers(0, len(RECORD)))
@settings(deadline=None, max_examples=60)
def test_any_bytes_in_a_flir_record_give_printable_texts(noise: bytes, place: int) -> None:
    for one in texts_of_flir_record(Cursor(RECORD[:place] + noise + RECORD[place:], "<", "record")):
        assert one.text.isprintable()
        assert one.label.isprintable()


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"ASCII\0\0\0Motor 7", "Motor 7"),
        (b"\0" * 8 + "Halle ü".encode(), "Halle ü"),
        (b"UNICODE\0" + "Halle ü".encode("utf-16-le"), "Halle ü"),
        (b"UNICODE\0" + b"\xfe\xff" + "Halle ü".encode("utf-16-be"), "Halle ü"),
        (b"JIS\0\0\0\0\0" + "電動機".encode("iso2022_jp"), "電動機"),
        (b"ASCII\0\0\0two\r\nlines\t", "two lines"),
        (b"RUBBISH\0x", ""),
        (b"ASCII\0\0\0   ", ""),
    ],
)
def test_a_comment_says_how_it_is_coded(comment: bytes, text: str) -> None:
    assert found(exif(comment=comment)) == ([("EXIF UserComment", text, False)] if text else [])


def test_texts_of_exif_have_their_source() -> None:
    block = exif(description=b"pump, left\0", title="Büro".encode("utf-16-le") + b"\0\0")
    assert found(block) == [("EXIF ImageDescription", "pump, left", False), ("EXIF XPTitle", "Büro", False)]


def test_what_a_drone_writes_into_every_file_is_no_tag() -> None:
    block = exif("DJI", description=b"WhiteHot\0", keywords="N".encode("utf-16-le"), comment=b"ASCII\0\0\0tower 4")
    data = jpeg_with(segment(0xE1, b"Exif\0\0" + block))
    assert found(block) == [
        ("EXIF ImageDescription", "WhiteHot", True),
        ("EXIF XPKeywords", "N", True),
        ("EXIF UserComment", "tower 4", False),
    ]
    assert tags_of(read_bytes(data)) == ("tower 4",)


def test_xmp_and_comments_of_a_jpeg_are_read() -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description>'
        b'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">Fuse &lt;3&gt; &amp; rail</rdf:li></rdf:Alt>'
        b"</dc:description><dc:subject><rdf:Bag><rdf:li>SG-0017</rdf:li><rdf:li>roof</rdf:li></rdf:Bag></dc:subject>"
        b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    data = jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet), segment(0xFE, b"by hand\0"))
    assert [(one.source, one.text) for one in read_bytes(data).annotations] == [
        ("XMP dc:description", "Fuse <3> & rail"),
        ("XMP dc:subject", "SG-0017"),
        ("XMP dc:subject", "roof"),
        ("JPEG comment", "by hand"),
    ]
    assert tags_of(read_bytes(data), codes=False) == ("Fuse <3> & rail", "SG-0017", "roof", "by hand")


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=60)
def test_any_bytes_in_xmp_and_exif_give_printable_texts(noise: bytes) -> None:
    packet = b"http://ns.adobe.com/xap/1.0/\0<dc:title>" + noise + b"<rdf:li>a</rdf:li></dc:title>"
    data = jpeg_with(segment(0xE1, packet), segment(0xFE, noise))
    for one in texts_of_file(data, exif(comment=noise) + noise):
        assert one.text.isprintable()


def test_a_text_that_is_cut_ends_with_a_whole_word() -> None:
    words = "SG-0017 " * 40
    data = jpeg_with(segment(0xFE, words.encode()))
    (tag,) = tags_of(read_bytes(data), codes=False)
    assert len(tag) <= LONGEST_TAG
    assert set(tag.split(" ")) == {"SG-0017"}


def test_info_shows_the_texts_with_their_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(flir())
    assert main(["info", str(path)]) == 0
    assert "  text         Equipment: Motor 7 (FLIR text annotation)\n" in capsys.readouterr().out
    assert main(["info", "--json", str(path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["annotations"][0] == {
        "source": "FLIR text annotation", "text": "Motor 7", "label": "Equipment", "automatic": False,
    }  # fmt: skip


# Golden values: Exiftool 12.57 on the same files.


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("thermal_parser/M2EA/DJI_0001_R.JPG", ["default", "0.9.142", "N"]),
        ("thermal_parser/H30T/DJI_0001_R.JPG", ["WhiteHot", "0.9.142", "single"]),
        ("thermal_parser/DJI_H20T.jpg", ["default", "0.9.142", "single"]),
        ("thermal_parser/FLIR_AX8.jpg", []),
        ("thermal_parser/FLIR_E40.jpg", []),
        ("guide_tp8/Line_1.JPG", []),
    ],
)
def test_texts_of_real_files(data: Path, name: str, texts: list[str]) -> None:
    thermogram = read(data / "camera_files" / name)
    sources = ["EXIF ImageDescription", "EXIF XPComment", "EXIF XPKeywords"]
    assert [(one.source, one.text) for one in thermogram.annotations] == list(zip(sources, texts, strict=False))
    assert all(one.automatic for one in thermogram.annotations)
    assert tags_of(thermogram, codes=False) == ()


@pytest.mark.real_data
def test_the_lines_of_a_real_flir_record_of_texts(data: Path) -> None:
    """The E40's record 0x2E has the form of text annotations; it names parameters."""
    cursor = block((data / "camera_files/thermal_parser/FLIR_E40.jpg").read_bytes())
    assert cursor is not None
    lines = list(flir_lines(read_container(cursor)[0x2E].data))
    names = ("extOptTemp", "extOptTransm", "emissivity", "ambTemp", "objectDistance", "relHum", "atmTemp")
    wanted = [(str(number), "param", f".basicImgData.objectParams.{name}") for number, name in enumerate(names)]
    assert lines == wanted


def test_of_a_hundred_thousand_comments_only_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    line = file_texts._line
    monkeypatch.setattr(file_texts, "_line", lambda text: looked_at.append(text) or line(text))

    texts = texts_of_file(jpeg_with(segment(0xFE, b"a") * 100_000), b"")

    assert texts == (Annotation("JPEG comment", "a"),)
    assert len(looked_at) <= 2 * (MOST + 1)
