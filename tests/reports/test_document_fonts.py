"""Fonts of PDF reports: which characters they have, and that no more of them are read than needed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from isotherm.reports.document import fonts
from isotherm.reports.document.font_characters import characters_of
from isotherm.reports.document.fonts import Font, FontSet, fonts_for


def own_fonts() -> list[Path]:
    return sorted({font.path for font in fonts._base()} | set(fonts._system_fonts()[:1]))


def test_the_characters_of_a_font_are_those_that_fonttools_finds() -> None:
    for path in own_fonts():
        with TTFont(path, lazy=True, fontNumber=0) as face:
            assert characters_of(face.reader["cmap"]) == frozenset(face.getBestCmap())


def table(form: int, body: bytes, *, key: tuple[int, int] = (3, 10)) -> bytes:
    return struct.pack(">2H", 0, 1) + struct.pack(">2HI", *key, 12) + struct.pack(">H", form) + body


def groups(*rows: tuple[int, int, int]) -> bytes:
    return struct.pack(">HIII", 0, 0, 0, len(rows)) + b"".join(struct.pack(">3I", *row) for row in rows)


def test_groups_are_ranges_of_characters() -> None:
    # OpenType, cmap, format 12: first, last, glyph of the first.
    assert characters_of(table(12, groups((0x41, 0x43, 5), (0x4E00, 0x4E01, 0)))) == {0x41, 0x42, 0x43, 0x4E01}
    assert characters_of(table(12, groups((0x41, 0x43, 5)), key=(1, 0))) == frozenset()
    assert characters_of(table(2, b"")) == frozenset()


def test_a_last_segment_that_leads_nowhere_costs_no_other_character() -> None:
    # OpenType, cmap, format 4: the segment of 0xFFFF; fonts are about whose idRangeOffset there is 0xFFFF.
    words = (40, 0, 4, 4, 1, 0, 0x41, 0xFFFF, 0, 0x41, 0xFFFF, 1, 1, 0, 0xFFFF)
    assert characters_of(table(4, struct.pack(">15H", *words))) == {0x41}


@pytest.mark.parametrize("damaged", [groups((0, 0xFFFFFFFF, 1)), groups((0x41, 0x42, 1))[:-4], b"", b"\0" * 5])
def test_damaged_tables_are_value_errors(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        characters_of(table(12, damaged))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ttc", b"ttcf" + struct.pack(">2I", 0x00010000, 0x00FFFFFF) + b"\0" * 64),
        ("a.ttf", b"\0\1\0\0" + struct.pack(">4H", 0xFFFF, 0, 0, 0)),
        ("a.otf", b""),
    ],
    ids=["collection", "single", "empty"],
)
def test_a_damaged_font_is_none(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    assert fonts.read_font(tmp_path / name) is None


def test_a_font_of_the_system_comes_alone_with_its_bold_one(tmp_path: Path) -> None:
    for name in ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc", "NotoSerifCJK-Regular.ttc"):
        (tmp_path / name).write_bytes(b"")
    chosen = FontSet((Font(tmp_path / "NotoSansCJK-Regular.ttc", ("Noto",), frozenset({1})),), "")

    assert [file.name for file in chosen.files] == ["NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc"]
    assert FontSet(chosen.fonts, "", (tmp_path,)).files == []


def test_latin_needs_no_font_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_system_fonts", lambda: pytest.fail("the system is not looked through"))

    assert fonts_for("Ärger 25 °C Ελλάς").files == []
