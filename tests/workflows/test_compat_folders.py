"""Names of strangers as folders: nothing leaves the root, whatever the names are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import IsothermError, OutputError, StorageFullError
from isotherm.workflows.compat.folders import children, link_below, read_below, remove_below, write_below
from isotherm.workflows.service.names import check_name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(b"the picture")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_file_is_the_content_under_its_names(root: Path, source: Path) -> None:
    placed = link_below(root, ("temple", "hot", "one.png"), source)
    assert placed == root.resolve() / "temple" / "hot" / "one.png"
    assert placed.read_bytes() == b"the picture"
    assert placed.samefile(source)


def test_older_file_is_replaced_and_no_temporary_is_left(root: Path, source: Path) -> None:
    names = ("temple", "hot", "one.png")
    write_below(root, names, b"old")
    link_below(root, names, source)
    link_below(root, names, source)
    assert [path.name for path in (root / "temple" / "hot").iterdir()] == ["one.png"]
    assert (root / "temple" / "hot" / "one.png").read_bytes() == b"the picture"


def test_content_of_another_file_system_is_copied(root: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", cannot)
    placed = link_below(root, ("temple", "hot", "one.png"), source)
    assert placed.read_bytes() == b"the picture"
    assert not placed.samefile(source)


@pytest.mark.parametrize("where", ["temple", "temple/hot"])
def test_link_in_the_way_is_not_followed(root: Path, source: Path, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / where).parent.mkdir(exist_ok=True)
    (root / where).symlink_to(outside)
    with pytest.raises(OutputError, match="a link or a file is where a folder should be"):
        link_below(root, ("temple", "hot", "one.png"), source)
    assert not list(outside.rglob("*.png"))


def test_link_under_the_name_of_the_file_is_replaced_not_written_through(
    root: Path, source: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (root / "temple").mkdir()
    (root / "temple" / "one.png").symlink_to(victim)
    placed = link_below(root, ("temple", "one.png"), source)
    assert victim.read_bytes() == b"untouched"
    assert stat.S_ISREG(placed.lstat().st_mode)


def test_full_disk_is_told_and_leaves_nothing(root: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StorageFullError, match="no room left"):
        link_below(root, ("temple", "one.png"), source)
    assert not list((root / "temple").iterdir())


def test_reading_and_removing_stay_inside(root: Path, tmp_path: Path) -> None:
    write_below(root, ("temple", "a.png"), b"12345")
    (root / "temple" / "link.png").symlink_to(tmp_path / "content")
    assert children(root, ("temple",)) == ["a.png", "link.png"]
    assert read_below(root, ("temple", "a.png"), most_bytes=5) == b"12345"
    assert read_below(root, ("temple", "a.png"), most_bytes=4) is None
    assert read_below(root, ("temple", "link.png"), most_bytes=100) is None
    remove_below(root, ("temple", "a.png"))
    remove_below(root, ("temple", "a.png"))
    assert children(root, ("no such",)) == []


TEXT = st.text(min_size=0, max_size=40) | st.sampled_from(
    [
        "..",
        ".",
        "",
        "a/../..",
        "..\\x",
        "\0",
        "/etc",
        "．．／",
        "..%2f",
        "a" * 300,
        "C:\\x",
        "~",
        "-rf",
        "ﬁ",
        "\u202egnp",
    ]
)


@given(st.lists(TEXT, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_text_stays_inside_or_is_refused(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    outer = tmp_path_factory.mktemp("outer")
    root = outer / "root"
    root.mkdir()
    source = outer / "source"
    source.write_bytes(b"x")
    try:
        checked = [check_name("thing", name) for name in names]
        placed = link_below(root, checked, source)
    except IsothermError:
        assert not any(path.is_file() for path in root.rglob("*"))
    else:
        assert placed.is_relative_to(root.resolve())
        assert len(placed.relative_to(root.resolve()).parts) == len(names)
    assert sorted(path.name for path in outer.iterdir()) == ["root", "source"]


@given(st.lists(TEXT, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_even_unchecked_names_write_nothing_outside(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """The second wall alone, without the validator."""
    outer = tmp_path_factory.mktemp("outer")
    root = outer / "root"
    root.mkdir()
    try:
        placed = write_below(root, names, b"x")
    except (IsothermError, UnicodeEncodeError):
        assert not any(path.is_file() for path in outer.rglob("*"))
    else:
        assert placed.is_relative_to(root.resolve())
    assert [path.name for path in outer.iterdir()] == ["root"]
