"""Labels in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isotherm.core.errors import DataError
from isotherm.datasets.layouts import load_layout


def tabled(root: Path, text: str) -> Path:
    """Write a table beside three pictures and a mask; only their names are looked at here."""
    (root / "flat").mkdir(parents=True, exist_ok=True)
    for name in ("a.npy", "b.npy", "c.npy"):
        np.save(root / "flat" / name, np.zeros(2))
    (root / "m.png").touch()
    (root / "labels.csv").write_text(text, encoding="utf-8-sig")
    return root


def test_everything_that_a_table_can_say(tmp_path: Path) -> None:
    text = (
        "file,label,kind,site,group,order,mask\n"
        "flat/a.npy,Normal,,north,unit 1,1.5,\n"
        "flat/b.npy,faulty,crack,north,unit 1,2,m.png\n"
        "flat/c.npy,good,,,,,\n"
    )
    found = load_layout(tabled(tmp_path / "plant", text))
    assert found.layout == "table"
    a, b, c = found.samples
    assert (a.name, a.anomalous, a.kind, a.site, a.group, a.order) == (
        "flat/a.npy",
        False,
        "normal",
        "north",
        "unit 1",
        1.5,
    )
    assert (b.anomalous, b.kind, b.order, b.mask) == (True, "crack", 2.0, tmp_path / "plant" / "m.png")
    assert (c.site, c.group, c.order, c.mask) == ("plant", "", None, None)


def test_two_columns_are_enough(tmp_path: Path) -> None:
    found = load_layout(tabled(tmp_path, "label,file\nbad,flat/a.npy\nnormal,flat/b.npy\n"))
    assert [(sample.name, sample.kind) for sample in found.samples] == [
        ("flat/a.npy", "faulty"),
        ("flat/b.npy", "normal"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,label\nflat/x.npy,normal\nflat/y.npy,bad\nflat/a.npy,bad\n",
            r"does not hold: flat/x\.npy, flat/y\.npy$",
        ),
        ("file,label,mask\nflat/a.npy,bad,none.png\n", r"does not hold: none\.png$"),
        ("file,label\nflat/a.npy,fine\n", "flat/a.npy has the unknown label 'fine'; known: normal, good, faulty"),
        ("file,label\nflat/a.npy,bad\nflat/a.npy,normal\n", "names flat/a.npy more than once"),
        ("file,class\nflat/a.npy,bad\n", "unknown column class; expected file, label, and perhaps kind"),
        ("file,kind\nflat/a.npy,bad\n", "expected file, label"),
        ("file,label\nflat/a.npy\n", "picture 1 has too few or too many columns"),
        ("file,label,order\nflat/a.npy,bad,first\n", "the order of flat/a.npy is 'first', not a number"),
        ("file,label\n", "no pictures in the layout 'table'"),
        ("file,label\nflat/a.npy,bad\n", "no normal pictures"),
    ],
)
def test_what_is_wrong_in_it_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_layout(tabled(tmp_path, text))


def test_a_table_that_is_none(tmp_path: Path) -> None:
    tabled(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        load_layout(tmp_path)
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_layout(tmp_path, "table")
