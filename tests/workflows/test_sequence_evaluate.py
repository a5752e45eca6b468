"""Judging methods and models on labelled recordings: right numbers, nothing learnt from is judged, nothing stops."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotherm.core.errors import ConfigError, DataError
from isotherm.datasets.plate_dataset import write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.evaluation.defects import judge_plate, judge_plates
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import Segmentation
from isotherm.workflows.sequence_data import LabelledFolder, digest_of, labelled_recordings
from isotherm.workflows.sequence_evaluate import (
    Contender,
    IntervalSettings,
    JudgingSettings,
    judge_contenders,
    method_contender,
)
from isotherm.workflows.sequence_results import (
    RESULTS,
    findings_of,
    nice_step,
    notes_of,
    some_failed,
    write_findings,
)

FEATURES = FeaturesConfig(preset="pct4")
QUICK = JudgingSettings(intervals=IntervalSettings(resamples=20))
SPEC = replace(RandomPlates(), height_px=40, width_px=48, frames=60, low_defects=2, high_defects=3)


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    write_plates(folder, SPEC, count=3, seed=4)
    return folder


@pytest.fixture(scope="module")
def data(plates: Path) -> LabelledFolder:
    return labelled_recordings(plates)


def fixed(name: str, mask: np.ndarray, *, digests: frozenset[str] = frozenset(), kind: Any = "method") -> Contender:
    """A contender that calls the same pixels on every plate."""
    found = Segmentation(mask, mask.astype(np.float32))
    return Contender(name, kind, FEATURES, lambda _: found, {}, digests)


def true_mask(data: LabelledFolder, place: int = 0) -> np.ndarray:
    return np.asarray(data[place].truth.labels > 0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_metrics_are_those_of_the_plates_and_who_knows_all_is_right(data: LabelledFolder) -> None:
    truths = iter([true_mask(data, place) for place in range(3)])

    def knows(_: np.ndarray) -> Segmentation:
        mask = next(truths)
        return Segmentation(mask, mask.astype(np.float32))

    judged = judge_contenders(data, [Contender("knows", "method", FEATURES, knows, {})], QUICK)
    (found,) = findings_of(judged)
    values = {name: measured.value for name, measured in found.metrics.items()}
    assert values["iou"] == values["dice"] == values["auroc"] == values["average_precision"] == values["pod"] == 1
    assert values["false_calls"] == values["false_calls_m2"] == 0
    assert found.depths_told >= 1
    assert found.metrics["depth_error"].value < 0.3


def test_a_method_is_judged_as_by_hand(data: LabelledFolder) -> None:
    mask = true_mask(data)
    (found,) = findings_of(judge_contenders(data, [fixed("one", mask)], QUICK))
    by_hand = judge_plates([judge_plate(one.truth, mask, mask.astype(np.float32)) for one in data], resamples=20)
    for name in ("iou", "dice", "auroc", "average_precision", "pod", "false_calls", "pod_from_6"):
        assert found.metrics[name] == by_hand[name]


def test_tables_and_pictures(data: LabelledFolder, tmp_path: Path) -> None:
    contenders = [method_contender("mahalanobis", None, FEATURES), fixed("sure", true_mask(data), kind="model")]
    judged = judge_contenders(data, contenders, replace(QUICK, baseline="sure"))
    written = write_findings(judged, findings_of(judged), tmp_path / "out")
    names = {path.name for path in written}
    assert names >= {"metrics.csv", "defects.csv", "plates.csv", "by_depth.csv", "pod.png", "iou.png", "by_depth.png",
                     "plates-mahalanobis.png", "plates-sure.png", "calibration.png", "depth.png"}  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written if path.suffix == ".png")
    about = json.loads((tmp_path / "out" / RESULTS).read_text(encoding="utf-8"))
    assert [one["name"] for one in about["methods"]] == ["mahalanobis", "sure"]
    assert about["methods"][0]["differences"]["iou"]["value"] == pytest.approx(
        about["methods"][0]["metrics"]["iou"]["value"] - about["methods"][1]["metrics"]["iou"]["value"]
    )
    assert about["methods"][1]["differences"] is None
    assert about["methods"][1]["calibration"]["error"]["value"] >= 0
    defects = rows(tmp_path / "out" / "defects.csv")
    assert len(defects) == 2 * sum(one.truth.diameter_mm.size for one in data)
    for row in defects:
        assert float(row["ratio"]) == pytest.approx(float(row["diameter_mm"]) / float(row["depth_mm"]), rel=1e-4)
        assert row["kind"] in ("hole", "delamination", "inclusion")
        if row["depth_told_mm"]:
            error = float(row["depth_told_mm"]) / float(row["depth_mm"]) - 1
            assert float(row["depth_error"]) == pytest.approx(error, abs=1e-4)
    metrics = {row["method"]: row for row in rows(tmp_path / "out" / "metrics.csv")}
    assert float(metrics["sure"]["iou_low"]) <= float(metrics["sure"]["iou"]) <= float(metrics["sure"]["iou_high"])
    assert "pod_3_to_6" in metrics["sure"]
    assert len(rows(tmp_path / "out" / "plates.csv")) == 6


def test_what_a_model_has_learnt_from_is_not_judged(data: LabelledFolder) -> None:
    learnt = fixed("learnt", true_mask(data), digests=frozenset({digest_of(data[1].path)}), kind="model")
    other = fixed("other", true_mask(data))
    with pytest.raises(DataError, match=r"learnt has learnt from 1 of these 3 recordings \(plate_0002\.npz\)"):
        judge_contenders(data, [learnt, other], QUICK)
    judged = judge_contenders(data, [learnt, other], replace(QUICK, leave_out_trained=True))
    for one in judged.verdicts:
        assert [plate.recording.name for plate in one.plates] == ["plate_0001.npz", "plate_0003.npz"]
    assert notes_of(judged) == ["plate_0002.npz: learnt has learnt from it"]
    assert not some_failed(judged)
    everything = fixed("all", true_mask(data), digests=frozenset(digest_of(one.path) for one in data))
    with pytest.raises(DataError, match="none of 3 recordings could be judged"):
        judge_contenders(data, [everything], replace(QUICK, leave_out_trained=True))


def test_what_a_model_does_not_know_is_said_once(data: LabelledFolder) -> None:
    doubting = replace(fixed("m", true_mask(data)), doubts=lambda pixel_mm: (f"pixels of {pixel_mm:g} mm",))
    judged = judge_contenders(data, [doubting], QUICK)
    assert notes_of(judged) == ["m: pixels of 0.5 mm"]


def test_copies_and_damaged_recordings_are_said_and_stop_nothing(plates: Path, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        shutil.copy(plates / "plate_0001.npz", tmp_path / name)
    with np.load(plates / "plate_0002.npz") as stored:
        arrays = dict(stored)
    arrays["counts"] = np.zeros_like(arrays["counts"])
    np.savez(tmp_path / "constant.npz", **arrays)
    data = labelled_recordings(tmp_path)
    judged = judge_contenders(data, [fixed("one", true_mask(data))], QUICK)
    assert [plate.recording.name for plate in judged.verdicts[0].plates] == ["a.npz"]
    reasons = notes_of(judged)
    assert some_failed(judged)
    assert reasons[0] == "b.npz: a copy of a.npz"
    assert reasons[1].startswith("constant.npz: ")


def test_a_method_that_fails_on_a_plate_is_judged_on_the_others(data: LabelledFolder, tmp_path: Path) -> None:
    calls = iter(range(3))
    mask = true_mask(data)

    def moody(_: np.ndarray) -> Segmentation:
        if next(calls) == 1:
            raise DataError("not this one")
        return Segmentation(mask, mask.astype(np.float32))

    judged = judge_contenders(data, [Contender("moody", "method", FEATURES, moody, {}), fixed("one", mask)], QUICK)
    assert [len(one.plates) for one in judged.verdicts] == [2, 3]
    write_findings(judged, findings_of(judged), tmp_path)
    errors = [row for row in rows(tmp_path / "plates.csv") if row["error"]]
    assert [(row["method"], row["file"], row["error"]) for row in errors] == [
        ("moody", "plate_0002.npz", "not this one")
    ]


def test_depths_are_told_by_the_region_that_covers_most(data: LabelledFolder) -> None:
    recording = data[0]
    only = np.asarray(recording.truth.labels == 1)
    judged = judge_contenders(replace(data, recordings=(recording,)), [fixed("first", only)], QUICK)
    (plate,) = judged.verdicts[0].plates
    assert plate.told[0].diameter_mm == pytest.approx(2 * np.sqrt(only.sum() / np.pi) * 0.5)
    assert all(one.depth_mm is None and one.diameter_mm is None for one in plate.told[1:])
    assert all(one.cnr >= 0 and one.cnr_map for one in plate.told)


def test_without_sizes_and_depths_the_reasons_are_given(plates: Path, tmp_path: Path) -> None:
    with np.load(plates / "plate_0001.npz") as stored:
        arrays = {name: stored[name] for name in ("counts", "lookup_table", "times_s", "mask")}
    np.savez(tmp_path / "a.npz", **arrays)
    data = labelled_recordings(tmp_path)
    judged = judge_contenders(data, [fixed("one", true_mask(data))], QUICK)
    findings = findings_of(judged)
    names = {path.name for path in write_findings(judged, findings, tmp_path / "out")}
    assert not names & {"pod.png", "depth.png", "by_depth.png", "calibration.png"}
    (row,) = rows(tmp_path / "out" / "metrics.csv")
    assert row["iou"] == "1"
    assert row["a90"] == ""
    assert "a90: diameter and depth are not known together" in row["undefined"]
    assert "false_calls_m2: the size of a pixel is not known" in row["undefined"]


def test_sound_plates_alone_give_false_calls_and_nothing_else(plates: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        with np.load(plates / f"plate_000{number}.npz") as stored:
            arrays = {name: stored[name] for name in ("counts", "lookup_table", "times_s")}
        np.savez(tmp_path / f"{number}.npz", mask=np.zeros((40, 48), np.uint8), **arrays)
    data = labelled_recordings(tmp_path)
    called = np.zeros((40, 48), np.bool_)
    called[5:10, 5:10] = True
    judged = judge_contenders(data, [fixed("one", called)], QUICK)
    (found,) = findings = findings_of(judged)
    assert found.metrics["false_calls"].value == 1
    written = {path.name for path in write_findings(judged, findings, tmp_path / "out")}
    assert "plates-one.png" in written
    assert "iou.png" not in written
    (row,) = rows(tmp_path / "out" / "metrics.csv")
    assert row["iou"] == row["pod"] == ""
    assert "iou: no plate has a defect" in row["undefined"]


@pytest.mark.parametrize(
    ("names", "baseline", "said"),
    [([], None, "nothing to judge"), (["a", "a"], None, "two methods or models"), (["a"], "b", "the baseline 'b'")],
)
def test_wrong_requests(names: list[str], baseline: str | None, said: str, data: LabelledFolder) -> None:
    contenders = [fixed(name, true_mask(data)) for name in names]
    with pytest.raises(ConfigError, match=said):
        judge_contenders(data, contenders, replace(QUICK, baseline=baseline))


@pytest.mark.parametrize(("least", "step"), [(0.36, 0.5), (0.5, 0.5), (0.12, 0.2), (0.21, 0.25), (7, 10), (1, 1)])
def test_steps_of_depth_are_round(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step)
