"""Calibration, cost, delay and comparison of whole evaluations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_scenes import scene, write, write_site
from mean_image_method import METHOD
from PIL import Image

from isotherm.anomaly.threshold import Yardstick
from isotherm.cli.evaluate import table
from isotherm.core.errors import DataError
from isotherm.core.registry import Registry, Row
from isotherm.datasets.layouts import Sample
from isotherm.evaluation.cost import Costs
from isotherm.evaluation.metrics import auroc
from isotherm.workflows import evaluate as workflow
from isotherm.workflows import models
from isotherm.workflows.comparison import compare, read_scores, write_comparison
from isotherm.workflows.decisions import DecisionSettings, apart, decide, labels_and_scores
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge, ModelToJudge, evaluate
from isotherm.workflows.evaluation_result import Evaluation, write_evaluation
from isotherm.workflows.judging import Judged, LabelledSource
from isotherm.workflows.models import save_model
from isotherm.workflows.train import FolderImages, TrainSettings, fit_model

SMALL = TrainSettings(image_size=64)
SETTINGS = DecisionSettings(Costs(cost_miss=10.0), "table", 100, 0)


@pytest.fixture(autouse=True)
def _methods(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("anomaly method", Row("mean-image", "mean_image_method:METHOD", "for tests"))
    monkeypatch.setattr(workflow, "ANOMALY_METHODS", registry)
    monkeypatch.setattr(models, "ANOMALY_METHODS", registry)


def judged(name: str, *, faulty: bool, score: float, group: str = "", order: float | None = None) -> Judged:
    sample = Sample(Path(name), name, faulty, "faulty" if faulty else "normal", "site", group=group, order=order)
    p_value = float(np.clip(round(20 - 20 * score), 1, 20)) / 20
    return Judged(sample, "fold", score, 50.0, p_value, 19, 1.0, score > 1, Yardstick(0.0, 2.0), (8, 8), None, 1.0)


def many(seed: int, count: int = 60) -> list[Judged]:
    rng = np.random.default_rng(seed)
    return [
        judged(f"{index}", faulty=index % 3 == 0, score=rng.random() + 0.6 * (index % 3 == 0)) for index in range(count)
    ]


def ran(root: Path, *, groups: Path | None = None, gain: str = "", **settings: Any) -> Evaluation:
    chosen = EvaluateSettings(**{"protocol": "kfold", "folds": 2, "resamples": 100, **settings})
    subject = MethodToJudge("mean-image", None, TrainSettings(image_size=64, seed=len(gain)))
    return evaluate(LabelledSource(root, groups=groups, jobs=1), subject, settings=chosen, costs=Costs(cost_miss=5.0))


def test_the_validation_part_keeps_groups_whole_and_holds_both_classes() -> None:
    items = [replace(item, sample=replace(item.sample, group=f"g{place // 4}")) for place, item in enumerate(many(0))]
    validation, rest = apart(items, 0.4, seed=1)
    assert {item.sample.group for item in validation}.isdisjoint(item.sample.group for item in rest)
    assert len(validation) + len(rest) == len(items)
    assert 0.3 < len(validation) / len(items) < 0.5
    assert len({item.sample.anomalous for item in validation}) == len({item.sample.anomalous for item in rest}) == 2
    assert apart(items, 0.0, seed=1) == ([], items)


def test_the_threshold_is_chosen_on_the_validation_part_alone() -> None:
    validation = [judged("a", faulty=True, score=0.9), judged("b", faulty=False, score=0.3)]
    found = decide(many(1), validation, SETTINGS)
    # Scores of 0.9 and 0.3, in units of two.
    assert found.chosen == pytest.approx(0.3)
    assert decide(many(2), validation, SETTINGS).chosen == found.chosen
    cost = found.plain["cost"]
    assert cost["at_the_chosen_threshold"]["threshold_of_fold"] == {"fold": pytest.approx(0.6)}
    assert cost["at_the_chosen_threshold"]["cost"]["value"] >= cost["least_on_these_labels"]["value"]
    assert cost["share_of_faulty"] == pytest.approx(1 / 3)
    assert found.plain["validation"] == {"normal": 1, "anomalous": 1}
    assert found.plain["fault_probability"]["expected_calibration_error"]["value"] > 0
    json.dumps(found.plain, allow_nan=False)


def test_without_validation_nothing_is_fitted() -> None:
    plain = decide(many(1), [], SETTINGS).plain
    reason = "no labelled validation part: set one apart with --validation-share"
    assert plain["cost"]["at_the_chosen_threshold"] == {"value": None, "reason": reason}
    assert plain["fault_probability"]["expected_calibration_error"] == {"value": None, "reason": reason}
    assert plain["false_alarm_calibration"]["error"]["low"] <= plain["false_alarm_calibration"]["error"]["value"]


@pytest.mark.parametrize(("keep", "reason"), [(True, "no normal samples"), (False, "no anomalous samples")])
def test_one_class_is_undefined_everywhere(keep: bool, reason: str) -> None:
    items = [item for item in many(1) if item.sample.anomalous is keep]
    plain = decide(items, items, SETTINGS).plain
    assert plain["cost"]["at_the_models_threshold"]["cost"]["value"] is None
    assert plain["cost"]["at_the_models_threshold"]["cost"]["reason"] == reason
    assert (
        plain["cost"]["without_a_model"] == plain["cost"]["least_on_these_labels"] == {"value": None, "reason": reason}
    )
    assert plain["fault_probability"]["expected_calibration_error"]["value"] is None
    assert (plain["false_alarm_calibration"]["error"]["value"] is None) == keep
    json.dumps(plain, allow_nan=False)


@pytest.mark.parametrize("faulty", [True, False])
def test_a_whole_test_set_of_one_class_is_written_with_its_reasons(tmp_path: Path, faulty: bool) -> None:
    write_site(tmp_path / "plant", "A", normal=8, faulty=3)
    normals = tmp_path / "plant" / "A" / "normal"
    if faulty:
        save_model(fit_model(FolderImages(normals, jobs=1), METHOD, settings=SMALL), tmp_path / "model")
        subject: MethodToJudge | ModelToJudge = ModelToJudge(tmp_path / "model")
    else:
        for path in (tmp_path / "plant" / "A" / "faulty").iterdir():
            path.unlink()
        subject = MethodToJudge("mean-image", None, SMALL)
    source = LabelledSource(tmp_path / "plant" / "A", masks=tmp_path / "plant" / "masks" / "A", jobs=1)
    found = evaluate(source, subject, settings=EvaluateSettings(resamples=100, validation_share=0.3))
    write_evaluation(found, tmp_path / "out")
    text = (tmp_path / "out" / "metrics.json").read_text()
    metrics = json.loads(text, parse_constant=pytest.fail)
    image = metrics["pooled"]["image"]
    reason = "no normal samples" if faulty else "no anomalous samples"
    for name in ("auroc", "average_precision", "f1_max"):
        assert (image[name]["value"], image[name]["reason"]) == (None, reason)
    assert (image["f1"]["value"] is None) == (not faulty)
    assert metrics["decisions"]["cost"]["at_the_chosen_threshold"]["value"] is None
    assert metrics["decisions"]["fault_probability"]["expected_calibration_error"]["value"] is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "decisions.png", "error_analysis.png", "metrics.json", "scores.csv",
    ]  # fmt: skip
    assert "not defined: " in "\n".join(table(metrics))


def test_delay_by_table_and_by_name() -> None:
    calls = [("u10", True, 0.5), ("u11", True, 1.5), ("u9", False, 0.2)]
    items = [judged(name, faulty=faulty, score=score, group="u") for name, faulty, score in calls]
    plain = decide(items, [], SETTINGS).plain["delay"]
    assert plain == {
        "median": {
            "value": None,
            "reason": "the pictures have no order (a column 'order' in --groups, or --order name)",
        }
    }
    by_name = decide(items, [], replace(SETTINGS, order="name")).plain["delay"]
    assert (by_name["assets"], by_name["median"]["value"], by_name["never_found"]) == (1, 1.0, 0)
    ordered = [replace(item, sample=replace(item.sample, order=float(-place))) for place, item in enumerate(items)]
    assert decide(ordered, [], SETTINGS).plain["delay"]["median"]["value"] == 0.0
    lonely = decide(many(0), [], SETTINGS).plain["delay"]["median"]
    assert lonely["reason"].startswith("the pictures belong to no groups")


def test_validation_in_a_whole_evaluation(tmp_path: Path) -> None:
    write_site(tmp_path / "plant", "A", normal=16, faulty=8)
    found = ran(tmp_path / "plant" / "A", validation_share=0.5)
    assert len(found.validation) == 12
    assert found.metrics["pooled"]["counts"]["images"] == 12
    assert found.metrics["decisions"]["validation"] == {"normal": 8, "anomalous": 4}
    assert found.metrics["decisions"]["cost"]["costs"]["cost_miss"] == 5.0
    write_evaluation(found, tmp_path / "out")
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert sum(row.endswith(",validation") for row in rows) == sum(row.endswith(",test") for row in rows) == 12
    assert len(read_scores(tmp_path / "out").scores) == 12


def test_order_from_the_table(tmp_path: Path) -> None:
    root, rng = tmp_path / "plant", np.random.default_rng(0)
    rows = ["file,group,order"]
    for unit in range(4):
        for step in range(4):
            values = scene(rng)
            values[4:12, 4:12] += 9.0 * (step == 3)
            name = f"{'faulty' if step >= 2 else 'normal'}/{unit}_{step}.npy"
            write(root / name, values)
            rows.append(f"{name},unit {unit},{step}")
    table = tmp_path / "groups.csv"
    table.write_text("\n".join(rows) + "\n")
    delay = ran(root, groups=table).metrics["decisions"]["delay"]
    # Faulty from the third picture on, but only the fourth can be told.
    assert delay["assets"] == 4
    assert delay["median"]["value"] == 1.0
    for wrong, message in ((f"{rows[1]}x", "not a number"), ("faulty/none.npy,u,1", "does not hold: faulty/none.npy")):
        table.write_text("\n".join([rows[0], wrong, *rows[1 + wrong.endswith("x") :]]) + "\n")
        with pytest.raises(DataError, match=message):
            ran(root, groups=table)


@pytest.mark.parametrize(
    ("shape", "value", "reason"),
    [((20, 24), 1, "24 x 20 pixels, its picture 48 x 40"), ((40, 48), 0, "marks no pixel")],
)
def test_a_mask_that_does_not_fit_is_named(tmp_path: Path, shape: tuple[int, int], value: int, reason: str) -> None:
    write_site(tmp_path, "A", normal=8, faulty=3)
    mask = tmp_path / "masks" / "A" / "faulty" / "1.png"
    Image.fromarray(np.full(shape, value, np.uint8)).save(mask)
    source = LabelledSource(tmp_path / "A", masks=tmp_path / "masks" / "A", jobs=1)
    subject = MethodToJudge("mean-image", None, TrainSettings(image_size=64))
    found = evaluate(source, subject, settings=EvaluateSettings(resamples=100))
    assert [lost.sample.name for lost in found.unjudged] == ["faulty/1.npy"]
    assert str(mask) in found.unjudged[0].error
    assert reason in found.unjudged[0].error
    assert found.metrics["pooled"]["counts"]["masks"] == 2


def test_models_that_judge_in_other_units_are_ranked_together() -> None:
    """Two folds of which one counts in thousandths, with thresholds that are off by chance: ranked as one."""
    rng = np.random.default_rng(0)
    standings = rng.normal(size=80) + 3.0 * (np.arange(80) % 4 == 0)
    items = []
    for index, standing in enumerate(standings.tolist()):
        unit, threshold = (1.0, 9.0) if index % 2 else (1e-3, 1.5e-3)
        measure = Yardstick(5 * unit, unit)
        item = judged(str(index), faulty=index % 4 == 0, score=measure.value(standing))
        items.append(replace(item, yardstick=measure, threshold=threshold, called=item.score > threshold))
    labels, scores = labels_and_scores(items)
    np.testing.assert_allclose(scores, standings)
    assert auroc(labels, scores) == auroc(labels, standings) > 0.95


def test_two_evaluations_of_the_same_pictures(tmp_path: Path) -> None:
    write_site(tmp_path / "plant", "A", normal=14, faulty=6, rise_c=1.2)
    first = ran(tmp_path / "plant" / "A")
    write_evaluation(first, tmp_path / "first")
    (tmp_path / "plant" / "A" / "normal" / "0.npy").unlink()
    second = ran(tmp_path / "plant" / "A", gain="other seed")
    found = compare(second, read_scores(tmp_path / "first"), resamples=100, seed=0)
    assert found["images"] == {"normal": 13, "anomalous": 6}
    assert (found["only_here"], found["only_there"]) == (0, 1)
    auroc = found["metrics"]["auroc"]
    assert auroc["difference"]["value"] == pytest.approx(auroc["this"]["value"] - auroc["other"]["value"])
    assert auroc["this"]["value"] == second.metrics["pooled"]["image"]["auroc"]["value"]
    assert set(found["mcnemar"]) == {"all", "normal", "anomalous"}
    write_comparison(found, tmp_path / "first")
    assert json.loads((tmp_path / "first" / "comparison.json").read_text(), parse_constant=pytest.fail) == found


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    write_site(tmp_path / "plant", "A", normal=8, faulty=4)
    found = ran(tmp_path / "plant" / "A")
    write_evaluation(found, tmp_path / "out")
    other = read_scores(tmp_path / "out")
    with pytest.raises(DataError, match="has judged none of these pictures"):
        compare(found, replace(other, scores={}), resamples=100, seed=0)
    flipped = {name: not anomalous for name, anomalous in other.anomalous.items()}
    with pytest.raises(DataError, match=r"labels faulty/0\.npy, .* and 7 more differently"):
        compare(found, replace(other, anomalous=flipped), resamples=100, seed=0)
    with pytest.raises(DataError, match=r"name the output folder of `isotherm evaluate`"):
        read_scores(tmp_path)
    (tmp_path / "scores.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is no table of scores"):
        read_scores(tmp_path)
