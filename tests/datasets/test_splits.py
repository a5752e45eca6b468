"""Folds never share a picture, a group or a copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError
from isotherm.datasets.layouts import LabelledImages, Sample
from isotherm.datasets.splits import Fold, distinct, fixed, kfold, leave_one_site_out, with_groups


def sample(name: str, *, anomalous: bool = False, site: str = "a", group: str = "", part: str = "") -> Sample:
    kind = "faulty" if anomalous else "normal"
    return Sample(Path(name), name, anomalous, kind, site, group=group, part=part)  # type: ignore[arg-type]


def names(samples: Sequence[Sample]) -> list[str]:
    return [each.name for each in samples]


def check(folds: Sequence[Fold], samples: Sequence[Sample]) -> None:
    """What every protocol promises."""
    for fold in folds:
        assert not any(each.anomalous for each in fold.train)
        assert not set(names(fold.train)) & set(names(fold.test))
        groups = {each.group for each in fold.test if each.group}
        assert not any(each.group in groups for each in fold.train)
    tested = [name for fold in folds for name in names(fold.test)]
    assert len(tested) == len(set(tested))
    assert set(tested) <= set(names(samples))


def on_disk(root: Path, contents: dict[str, str], **attributes: dict[str, object]) -> LabelledImages:
    samples = []
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        given = attributes.get(name.replace("/", "_").replace(".", "_"), {})
        made = sample(name, **given)  # type: ignore[arg-type]
        samples.append(Sample(path, name, made.anomalous, made.kind, made.site, group=made.group, part=made.part))
    return LabelledImages(root, "folder", tuple(samples))


def test_copies_are_left_out_and_said(tmp_path: Path) -> None:
    images = on_disk(tmp_path, {"a": "1", "b": "2", "c": "1"})
    result = distinct(images)
    assert names(result.samples) == ["a", "b"]
    assert result.notes == ("1 byte-identical copies left out: c",)
    assert result.digests["a"] == result.digests["c"] != result.digests["b"]


def test_the_copy_in_the_test_part_stays(tmp_path: Path) -> None:
    images = on_disk(tmp_path, {"t": "1", "x": "1", "y": "2"}, t={"part": "train"}, x={"part": "test"})
    assert names(distinct(images).samples) == ["x", "y"]


def test_copies_with_contradicting_labels_are_all_left_out(tmp_path: Path) -> None:
    images = on_disk(tmp_path, {"a": "1", "b": "1", "c": "2"}, b={"anomalous": True})
    result = distinct(images)
    assert names(result.samples) == ["c"]
    assert "contradicting labels left out: a, b" in result.notes[0]


def test_groups_that_share_a_picture_become_one(tmp_path: Path) -> None:
    images = on_disk(
        tmp_path,
        {"k1_0": "1", "k1_1": "2", "k2_0": "2", "k2_1": "3", "k3_0": "3", "k3_1": "4", "k4_0": "5"},
        k1_0={"group": "k1"},
        k1_1={"group": "k1"},
        k2_0={"group": "k2"},
        k2_1={"group": "k2"},
        k3_0={"group": "k3"},
        k3_1={"group": "k3"},
        k4_0={"group": "k4"},
    )
    result = distinct(images)
    assert {each.name: each.group for each in result.samples} == {
        "k1_0": "k1",
        "k1_1": "k1",
        "k2_1": "k1",
        "k3_1": "k1",
        "k4_0": "k4",
    }
    assert any("k2 with k1" in note and "k3 with k1" in note for note in result.notes)


def test_a_file_that_cannot_be_opened_is_like_no_other(tmp_path: Path) -> None:
    images = on_disk(tmp_path, {"a": "", "b": ""})
    for each in images.samples:
        each.path.unlink()
    assert names(distinct(images).samples) == ["a", "b"]


def test_a_layout_with_a_training_part_is_taken_as_it_is() -> None:
    samples = [
        sample("t1", part="train"),
        sample("t2", part="train"),
        sample("n", part="test"),
        sample("f", part="test", anomalous=True),
    ]
    (fold,) = fixed(samples, train_share=0.1, seed=0)
    assert (names(fold.train), names(fold.test)) == (["t1", "t2"], ["n", "f"])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 30), st.floats(0.2, 0.9))
def test_fixed_takes_a_seeded_share_of_each_sites_normals(seed: int, count: int, share: float) -> None:
    samples = [sample(f"{site}{index}", site=site) for site in "ab" for index in range(count)]
    samples += [sample(f"f{index}", anomalous=True) for index in range(3)]
    (fold,) = (
        fixed(samples, train_share=share, seed=seed)
        if round(share * count)
        else fixed(samples, train_share=0.5, seed=seed)
    )
    check([fold], samples)
    expected = min(round((share if round(share * count) else 0.5) * count), count - 1)
    for site in "ab":
        assert sum(each.site == site for each in fold.train) == expected
    assert len(fold.train) + len(fold.test) == len(samples)


def test_fixed_depends_on_the_seed_alone() -> None:
    samples = [sample(f"n{index}") for index in range(20)]
    first = fixed(samples, train_share=0.5, seed=1)
    assert first == fixed(samples, train_share=0.5, seed=1)
    assert first != fixed(samples, train_share=0.5, seed=2)


def test_leave_one_site_out() -> None:
    samples = [sample("a1"), sample("b1", site="b"), sample("b2", site="b", anomalous=True)]
    folds = leave_one_site_out(samples)
    check(folds, samples)
    assert [(fold.name, names(fold.train), names(fold.test)) for fold in folds] == [
        ("a", ["b1"], ["a1"]),
        ("b", ["a1"], ["b1", "b2"]),
    ]
    with pytest.raises(DataError, match="at least two sites; found only a"):
        leave_one_site_out(samples[:1])


def test_a_group_that_spans_sites_is_not_learnt_from_where_it_is_judged() -> None:
    samples = [sample("a1", group="g"), sample("a2"), sample("b1", site="b", group="g"), sample("b2", site="b")]
    folds = leave_one_site_out(samples)
    check(folds, samples)
    assert names(folds[0].train) == ["b2"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=8, max_size=60), st.integers(0, 99))
def test_kfold_keeps_groups_whole_and_judges_everything_once(rows: list[tuple[int, bool]], seed: int) -> None:
    samples = [
        sample(f"p{index}", anomalous=anomalous, group=f"g{group}" if group else "")
        for index, (group, anomalous) in enumerate(rows)
    ]
    samples += [sample(f"n{index}") for index in range(8)]
    folds = kfold(samples, folds=4, seed=seed)
    check(folds, samples)
    assert sorted(name for fold in folds for name in names(fold.test)) == sorted(names(samples))
    assert folds == kfold(samples, folds=4, seed=seed)


def test_kfold_balances_kinds() -> None:
    samples = [sample(f"n{index}") for index in range(40)]
    samples += [sample(f"f{index}", anomalous=True) for index in range(10)]
    for fold in kfold(samples, folds=5, seed=3):
        assert (len(fold.test), sum(each.anomalous for each in fold.test)) == (10, 2)


def test_kfold_needs_as_many_groups_as_folds() -> None:
    with pytest.raises(DataError, match="3 folds need at least as many groups of pictures; found 2"):
        kfold([sample("a"), sample("b")], folds=3, seed=0)


def test_nothing_normal_to_learn_from() -> None:
    samples = [sample("a", anomalous=True), sample("b", site="b")]
    with pytest.raises(DataError, match="b: no normal pictures to learn from"):
        leave_one_site_out(samples)


def test_groups_from_a_table(tmp_path: Path) -> None:
    images = on_disk(tmp_path, {"n/a.png": "1", "n/b.png": "2"})
    table = tmp_path / "groups.csv"
    table.write_text("file,group\nn/a.png,block 1\nn/b.png,block 2\n")
    assert [each.group for each in with_groups(images, table).samples] == ["block 1", "block 2"]
    table.write_text("file,group\nn/a.png,block 1\n")
    with pytest.raises(DataError, match=r"no group for n/b\.png"):
        with_groups(images, table)
    table.write_text("name,group\nn/a.png,block 1\n")
    with pytest.raises(DataError, match="no column 'file'"):
        with_groups(images, table)
    with pytest.raises(DataError, match="cannot be read"):
        with_groups(images, tmp_path / "absent.csv")


@pytest.mark.real_data
def test_identical_items_of_the_real_set_are_found(data: Path) -> None:
    from isotherm.datasets.layouts import load_layout

    result = distinct(load_layout(data / "kolektor_sdd"))
    assert len(result.samples) == 399 - 16
    assert any("kos26 with kos01" in note and "kos34 with kos27" in note for note in result.notes)
    check(kfold(result.samples, folds=5, seed=0), result.samples)
