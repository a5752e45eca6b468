"""The graph of each registered anomaly method gives the same in ONNX Runtime, and alone as among others."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from test_anomaly_conformance import configs

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.method import Exportable, Inputs
from isotherm.core.progress import silent
from isotherm.runtime.onnx_writer import write_onnx
from isotherm.testing.anomaly import BatchImages, faulty_pictures, normal_pictures

QUICK = {"epochs": 1, "patience": 1, "steps": 2}
"""What is set where a method has it: here it need not learn anything."""


def quick(config: Any) -> object:
    """Return the configuration with as little training as there can be."""
    found = {item.name: QUICK[item.name] for item in fields(config) if item.name in QUICK}
    return replace(config, **found)


CASES = [
    (name, quick(config))
    for name in ANOMALY_METHODS.names()
    for config in configs(name)[:2]
    if getattr(config, "precision", "f32") == "f32"
]


def answers(session: onnxruntime.InferenceSession, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    ignore = inputs.ignored()[:, None].astype(np.float32)
    maps, scores = session.run(["maps", "scores"], {"pixels": inputs.pixels, "ignore": ignore})
    return maps, scores


def some_ignored(inputs: Inputs) -> Inputs:
    ignore = inputs.ignored().copy()
    ignore[:, :20, :30] = True
    return Inputs(inputs.pixels, ignore)


@pytest.mark.parametrize(("name", "config"), CASES)
def test_onnx_runtime_gives_what_the_detector_gives(name: str, config: object) -> None:
    method = ANOMALY_METHODS.get(name)
    pictures = normal_pictures(6, seed=1)
    detector = method.fit(BatchImages(pictures), config, 0, silent)
    if not isinstance(detector, Exportable):
        pytest.skip(f"{name} has no graph")
    session = onnxruntime.InferenceSession(write_onnx(detector.graph()), providers=["CPUExecutionProvider"])
    faulty = some_ignored(faulty_pictures(7, seed=2))
    expected = detector.predict(faulty)
    maps, scores = answers(session, faulty)
    scale = float(np.abs(expected.maps).max())
    # Where differences of nearly equal features are taken, rounding is larger beside small values.
    np.testing.assert_allclose(maps, expected.maps, rtol=1e-3, atol=1e-3 * scale)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-3, atol=1e-3 * scale)
    for count in (1, 2):
        few_maps, few_scores = answers(session, faulty[:count])
        np.testing.assert_allclose(few_maps, maps[:count], rtol=1e-3, atol=1e-3 * scale)
        np.testing.assert_allclose(few_scores, scores[:count], rtol=1e-3, atol=1e-3 * scale)
