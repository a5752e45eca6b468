"""The conformance check of anomaly methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import cast

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from isotherm.anomaly.method import AnomalyMaps, AnomalyMethod, Arrays, Detector, Exportable, Inputs
from isotherm.core.config import from_mapping, settings_of, to_mapping
from isotherm.core.errors import ModelError
from isotherm.core.progress import silent
from isotherm.testing.promises import require

SIZE = (64, 96)
"""Height and width of the made-up pictures [px]; not square, as most pictures are not."""
DEFECT = slice(36, 52)
"""Rows and columns of the defect in the faulty pictures [px]."""
OVERLAY = (slice(8, 24), slice(64, 88))
"""Rows and columns of the place that is ignored where the check asks for it [px]."""


@dataclass(frozen=True)
class BatchImages:
    """Network inputs that are in memory already (an `isotherm.anomaly.method.Images`)."""

    inputs: Inputs

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.inputs.size

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, size: int) -> Iterator[Inputs]:
        """Yield the images in order, `size` at a time."""
        for start in range(0, len(self.inputs), size):
            yield self.inputs[start : start + size]


def check_anomaly_method(method: AnomalyMethod, config: object | None = None) -> None:
    """Check that an anomaly method keeps the seam's promises.

    Run it in the tests of your package, with a `config` that learns quickly. The method learns from a few made-up
    normal pictures of 64 x 96 px and is asked about others: shapes and types, the same answer alone and among
    neighbours, from arrays and config again, from the same seed again, inputs left alone, a higher score for an
    obvious defect, at its place in the map, and not where it is to be ignored; and, where there is a graph, the same
    answer from it for a batch.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    require(isinstance(method, AnomalyMethod), "it must have name, config_type, fit and load")
    require(method.name == method.name.lower().strip() != "", "its name must be lower-case and not empty")
    config = method.config_type() if config is None else config
    _check_config(config)
    normal, faulty = normal_pictures(16, seed=1), faulty_pictures(4, seed=2)
    detector = _fit(method, normal, config)
    _check_answer(detector, normal[:4], faulty)
    _check_independence(detector, joined(normal[:2], faulty[:3]))
    _check_ignoring(detector, faulty)
    _check_load(method, detector, config, faulty)
    _check_same_seed(method, detector, normal, config)
    _check_learning_with_overlays(method, config)
    # In bfloat16 two compilations of one graph need not round alike.
    if isinstance(detector, Exportable) and getattr(config, "precision", "f32") == "f32":
        _check_graph(detector, joined(normal[:2], overlaid(faulty)[:2]))


def normal_pictures(count: int, *, seed: int, size: tuple[int, int] = SIZE) -> Inputs:
    """Return made-up normal pictures (N 3 H W): a fixed pattern with a little noise and brightness."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] / 64
    pattern = 0.4 + 0.2 * np.sin(12 * rows) * np.cos(9 * columns)
    grey = pattern + rng.normal(0, 0.02, (count, 1, 1)) + rng.normal(0, 0.02, (count, *size))
    return Inputs(np.repeat(grey[:, None], 3, axis=1).astype(np.float32))


def faulty_pictures(count: int, *, seed: int, size: tuple[int, int] = SIZE) -> Inputs:
    """Return normal pictures with a square that is much hotter than anything normal (beyond 1)."""
    pictures = normal_pictures(count, seed=seed, size=size)
    pictures.pixels[:, :, DEFECT, DEFECT] += 0.8
    return pictures


def overlaid(pictures: Inputs) -> Inputs:
    """Return the pictures with a place to be ignored, filled with a plain value."""
    pixels, ignore = pictures.pixels.copy(), pictures.ignored().copy()
    pixels[:, :, *OVERLAY] = 0.4
    ignore[:, *OVERLAY] = True
    return Inputs(pixels, ignore)


def joined(one: Inputs, other: Inputs) -> Inputs:
    """Put pictures one after the other."""
    pixels = np.concatenate([one.pixels, other.pixels])
    return Inputs(pixels, np.concatenate([one.ignored(), other.ignored()]))


def _check_config(config: object) -> None:
    require(is_dataclass(config) and not isinstance(config, type), "the configuration must be a dataclass")
    for item in settings_of(type(config)):
        require(bool(item.text), f"the setting {item.name} must have a help line")
    again = from_mapping(type(config), to_mapping(config))
    require(again == config, "the configuration must survive plain values and back")


def _fit(method: AnomalyMethod, pictures: Inputs, config: object) -> Detector:
    reports: list[tuple[int, int, str]] = []
    before = pictures.pixels.copy()
    detector = method.fit(BatchImages(pictures), config, 0, lambda *report: reports.append(report))
    require(isinstance(detector, Detector), "fit must return a detector")
    require(np.array_equal(before, pictures.pixels), "fit must leave the images alone")
    require(bool(reports), "fit must report its progress")
    require(all(0 <= done <= total and text for done, total, text in reports), "progress must stay within its total")
    return detector


def _check_answer(detector: Detector, normal: Inputs, faulty: Inputs) -> None:
    before = faulty.pixels.copy()
    good, bad = detector.predict(normal), detector.predict(faulty)
    require(np.array_equal(before, faulty.pixels), "predict must leave the images alone")
    _check_shapes(bad, faulty)
    require(
        float(good.scores.max()) < float(bad.scores.min()), "an obvious defect must score higher than a normal image"
    )
    for values in bad.maps:
        cell = np.array(np.unravel_index(values.argmax(), values.shape)) + 0.5
        row, column = cell * faulty.size / np.array(values.shape)
        inside = all(DEFECT.start - 8 <= place <= DEFECT.stop + 8 for place in (row, column))
        require(inside, f"the map must be highest at the defect, not at row {row:.0f}, column {column:.0f}")


def _check_shapes(result: AnomalyMaps, pictures: Inputs) -> None:
    count = len(pictures)
    require(result.maps.ndim == 3 and len(result.maps) == count, "maps must have the shape (N h w)")
    small = all(cells <= side for cells, side in zip(result.maps.shape[1:], pictures.size, strict=True))
    require(small, "maps must not be larger than the input")
    require(result.scores.shape == (count,), "scores must have the shape (N)")
    require(result.maps.dtype == result.scores.dtype == np.float32, "maps and scores must be float32")
    require(bool(np.isfinite(result.maps).all() and np.isfinite(result.scores).all()), "results must be finite")
    if result.references is not None:
        right = result.references.shape[:2] == (count, 3) and result.references.dtype == np.float32
        require(right, "references must be float32 of the shape (N 3 r c)")


def _check_independence(detector: Detector, pictures: Inputs) -> None:
    together = detector.predict(pictures)
    for place in range(len(pictures)):
        alone = detector.predict(pictures[place : place + 1])
        same = _close(alone.maps[0], together.maps[place]) and _close(alone.scores, together.scores[place : place + 1])
        require(same, "an image's result must not depend on its neighbours in the batch")


def _check_ignoring(detector: Detector, faulty: Inputs) -> None:
    ignore = faulty.ignored().copy()
    ignore[:, DEFECT.start - 8 : DEFECT.stop + 8, DEFECT.start - 8 : DEFECT.stop + 8] = True
    seen, ignored = detector.predict(faulty), detector.predict(Inputs(faulty.pixels, ignore))
    require(bool((ignored.scores < seen.scores).all()), "what is ignored must not raise the score")
    rows, columns = (cells / side for cells, side in zip(seen.maps.shape[1:], faulty.size, strict=True))
    middle = (DEFECT.start + DEFECT.stop) / 2
    place = (slice(None), int(middle * rows), int(middle * columns))
    require(bool((ignored.maps[place] < seen.maps[place]).all()), "what is ignored must not show in the map")


def _check_learning_with_overlays(method: AnomalyMethod, config: object) -> None:
    detector = method.fit(BatchImages(overlaid(normal_pictures(8, seed=3))), config, 0, silent)
    result = detector.predict(overlaid(faulty_pictures(2, seed=4)))
    require(bool(np.isfinite(result.maps).all() and np.isfinite(result.scores).all()), "results must be finite")


def _check_graph(detector: Exportable, pictures: Inputs) -> None:
    import openvino as ov

    model = detector.graph()
    names = [[sorted(port.get_names()) for port in ports] for ports in (model.inputs, model.outputs)]
    require(names[0] == [["pixels"], ["ignore"]], f"the graph's inputs must be pixels and ignore, not {names[0]}")
    require(names[1][:2] == [["maps"], ["scores"]], f"its outputs must begin with maps and scores, not {names[1]}")
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([pictures.pixels, pictures.ignored()[:, None].astype(np.float32)])
    expected = cast(Detector, detector).predict(pictures)
    for place, values in enumerate((expected.maps, expected.scores)):
        same = found[place].shape == values.shape and np.allclose(found[place], values, rtol=1e-3, atol=1e-4)
        require(same, f"the graph's {names[1][place][0]} for a batch must be those of predict")


def _check_load(method: AnomalyMethod, detector: Detector, config: object, pictures: Inputs) -> None:
    stored = load_tensors(save_tensors({name: np.ascontiguousarray(a) for name, a in detector.arrays().items()}))
    expected, found = detector.predict(pictures), method.load(stored, config).predict(pictures)
    require(np.array_equal(expected.scores, found.scores), "a loaded detector must give the same scores")
    require(np.array_equal(expected.maps, found.maps), "a loaded detector must give the same maps")
    for name in stored:
        _check_refusal(method, {key: value for key, value in stored.items() if key != name}, config, name)


def _check_refusal(method: AnomalyMethod, arrays: Arrays, config: object, missing: str) -> None:
    try:
        method.load(arrays, config)
    except ModelError:
        return
    raise AssertionError(f"load must raise ModelError where the array {missing!r} is missing")


def _check_same_seed(method: AnomalyMethod, detector: Detector, pictures: Inputs, config: object) -> None:
    again = method.fit(BatchImages(pictures), config, 0, silent).arrays()
    first = detector.arrays()
    same = set(first) == set(again) and all(np.array_equal(first[name], again[name]) for name in first)
    require(same, "the same seed must give the same arrays")


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6))
