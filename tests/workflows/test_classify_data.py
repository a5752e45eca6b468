"""Folders of categories, and which pictures are learnt from and tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError
from isotherm.workflows.classify_data import Row, counted, labelled_folder, split_rows
from isotherm.workflows.classify_model import NO_CATEGORY
from labelled_pictures import write_pictures


def test_folders_are_categories(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    (tmp_path / "bar" / "deeper").mkdir()
    (tmp_path / "bar" / "0.png").rename(tmp_path / "bar" / "deeper" / "10.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "empty").mkdir()
    found = labelled_folder(tmp_path)
    assert [(each.name, each.label, each.part) for each in found.pictures][:3] == [
        ("bar/1.png", "bar", ""), ("bar/deeper/10.png", "bar", ""), ("plain/0.png", "plain", "")
    ]  # fmt: skip
    assert found.notes == ("category 'empty' has no pictures and is left out",)


@pytest.mark.parametrize("parts", [("train", "test"), ("Training", "TESTING")])
def test_parts(tmp_path: Path, parts: tuple[str, str]) -> None:
    write_pictures(tmp_path, 1, parts=parts)
    found = labelled_folder(tmp_path)
    assert [(each.part, each.label) for each in found.pictures] == [
        (part, label) for part in ("train", "test") for label in ("bar", "plain", "spot")
    ]
    assert found.pictures[0].name == f"{parts[0]}/bar/0.png"


def test_a_table_says_everything(tmp_path: Path) -> None:
    write_pictures(tmp_path / "all", 2)
    (tmp_path / "labels.csv").write_text(
        "file,label,kind,group,part\nall/bar/0.png,faulty,bar,a,train\nall/spot/1.png,normal,,,test\n"
    )
    found = labelled_folder(tmp_path).pictures
    assert [(each.name, each.label, each.group, each.part) for each in found] == [
        ("all/bar/0.png", "bar", "a", "train"), ("all/spot/1.png", "normal", "", "test")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("file,name\nbar/0.png,x\n", "expected the columns file and label"),
        ("file,label\nbar/9.png,x\n", "does not hold: bar/9.png"),
        ("file,label\nbar/0.png,x\nbar/0.png,y\n", "more than once"),
        ("file,label,part\nbar/0.png,x,validation\n", "'validation'"),
        (f"file,label\nbar/0.png,{NO_CATEGORY}\n", "cannot be a category"),
        ("file,label\nbar/0.png,\n", "cannot be a category"),
    ],
)
def test_wrong_tables(tmp_path: Path, rows: str, said: str) -> None:
    write_pictures(tmp_path, 1)
    (tmp_path / "labels.csv").write_text(rows)
    with pytest.raises(DataError, match=said):
        labelled_folder(tmp_path)


def test_groups_by_table(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data", 1)
    table = tmp_path / "groups.csv"
    table.write_text("file,group\nbar/0.png,a\nplain/0.png,a\nspot/0.png,b\n")
    assert [each.group for each in labelled_folder(tmp_path / "data", groups=table).pictures] == ["a", "a", "b"]
    table.write_text("file,group\nbar/0.png,a\n")
    with pytest.raises(DataError, match=r"no group for plain/0\.png, spot/0\.png"):
        labelled_folder(tmp_path / "data", groups=table)


@pytest.mark.parametrize("name", [NO_CATEGORY, "x" * 201, "two\nlines"])
def test_folders_that_cannot_be_categories(tmp_path: Path, name: str) -> None:
    write_pictures(tmp_path, 1, categories=[name])
    with pytest.raises(DataError, match="cannot be a category"):
        labelled_folder(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        labelled_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="<category>/<picture>"):
        labelled_folder(tmp_path)


# --- what is learnt from and what is tested ---------------------------------------------------------------------------


def row(name: str, label: str, digest: str = "", part: str = "", **more: object) -> Row:
    return Row(name, label, digest or name, part=part, **more)  # type: ignore[arg-type]


def test_copies_and_contradictions_are_left_out() -> None:
    rows = [row("a", "x", "1"), row("b", "x", "1"), row("c", "x", "2"), row("d", "y", "2"), row("e", "y", "3")]
    sides = split_rows(rows)
    assert sides.train.tolist() == [0, 4]
    assert sides.notes == (
        "1 byte-identical copies left out: b",
        "2 byte-identical pictures with contradicting labels left out: c, d",
    )


def test_a_test_picture_that_is_learnt_from_does_not_count() -> None:
    rows = [row("a", "x", "1"), row("b", "y"), row("c", "x", "1", "test"), row("d", "y", part="test")]
    sides = split_rows(rows)
    assert (sides.train.tolist(), sides.test.tolist(), sides.learnt) == ([0, 1], [3], 1)
    assert "they are not tested" in sides.notes[0]


def test_a_contradiction_between_training_and_test_is_left_out_of_both() -> None:
    rows = [row("a", "x", "1"), row("b", "y", "1", "test"), row("c", "x"), row("d", "y", part="test")]
    sides = split_rows(rows)
    assert (sides.train.tolist(), sides.test.tolist()) == ([2], [3])


def test_test_pictures_that_are_the_training_pictures() -> None:
    rows = [row("a", "x", "1"), row("b", "y", "2"), row("c", "x", "1", "test"), row("d", "y", "2", "test")]
    sides = split_rows(rows)
    assert (sides.train.tolist(), sides.test.tolist(), sides.learnt) == ([0, 1], [2, 3], 2)
    assert "the test says nothing" in sides.notes[0]


def test_a_test_picture_of_a_learnt_group_does_not_count() -> None:
    rows = [row("a", "x", group="g"), row("b", "y"), row("c", "x", part="test", group="g"), row("d", "y", part="test")]
    assert split_rows(rows).test.tolist() == [3]


def test_shared_pictures_are_tested_only_where_asked_for() -> None:
    rows = [row("a", "x"), row("b", "y", common=True), row("c", "y", part="test", common=True)]
    assert split_rows(rows).test.tolist() == []
    sides = split_rows(rows, common_in_testing=True)
    assert sides.test.tolist() == [2]
    assert counted(rows, sides) == {
        "x": {"train": 1, "test": 0, "common": 0}, "y": {"train": 1, "test": 1, "common": 1}
    }  # fmt: skip


cells = st.tuples(st.sampled_from("xyz"), st.integers(0, 12), st.sampled_from(["", "train", "test"]),
                  st.sampled_from(["", "g", "h"]), st.booleans())  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(cells, max_size=25), st.sampled_from([0.0, 0.3]))
def test_promises(drawn: list[tuple[str, int, str, str, bool]], share: float) -> None:
    rows = [
        row(str(place), label, str(digest), part, group=group, common=common)
        for place, (label, digest, part, group, common) in enumerate(drawn)
    ]
    sides = split_rows(rows, test_share=share)
    train, test = ([rows[place] for place in side] for side in (sides.train, sides.test))
    assert len({each.digest for each in train}) == len(train)
    assert not any(each.part == "test" for each in train)
    labels: dict[str, set[str]] = {}
    for each in rows:
        labels.setdefault(each.digest, set()).add(each.label)
    assert all(len(labels[each.digest]) == 1 for each in train)
    if not sides.learnt:
        assert not {each.digest for each in train} & {each.digest for each in test}
        assert not ({each.group for each in train} & {each.group for each in test}) - {""}
