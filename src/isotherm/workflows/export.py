"""Export a model for other programs, and prove that it says the same there.

The folder holds the graph (``model.onnx``, or ``model.xml`` and ``model.bin``), ``manifest.json`` (what its inputs must
be and what its outputs mean) and ``parity.json`` (what the model and the exported graph say about the same images).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino as ov

from isotherm import __version__
from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import ConfigError, DataError, OutputError, UsageError
from isotherm.core.files import make_folder, sha256, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.core.thermogram import Thermogram
from isotherm.datasets.layouts import Sample, load_layout
from isotherm.formats import ReadHints
from isotherm.reports.plain import dumps
from isotherm.runtime.engines import InOnnxRuntime
from isotherm.runtime.onnx_writer import OPSET, write_onnx
from isotherm.runtime.quantised import Sample as GraphSample
from isotherm.runtime.quantised import quantised_onnx, quantised_openvino
from isotherm.workflows.exported_graph import IGNORE, IMAGE, described_inputs, exported_graph, preparation, tiles_of
from isotherm.workflows.inspect import model_card
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.parity import Answer, Example, Parity, Run, compare, made_up
from isotherm.workflows.reading import list_images, read_many
from isotherm.workflows.versions import installed

ONNX, XML, WEIGHTS, MANIFEST, PARITY = "model.onnx", "model.xml", "model.bin", "manifest.json", "parity.json"
FILES = (ONNX, XML, WEIGHTS, MANIFEST, PARITY)
FAILED = ".parity-failed"
"""Behind the folder's name where the exported graph does not say the same."""
AT_ONCE = 64
PRECISE = "precise_0"
"""The mark that keeps an operation of an OpenVINO file in float32 whatever the processor prefers."""


@dataclass(frozen=True)
class ExportSettings:
    """What is written, and how far it may be from the model."""

    to: Literal["onnx", "openvino"] = setting("onnx", "format of the graph")
    precision: Literal["f32", "bf16", "int8"] = setting(
        "f32",
        "arithmetic of the graph: exact; bfloat16 where the processor has it (openvino only); 8-bit convolutions",
    )
    max_difference: float = setting(
        0.02, "largest difference of a score that is accepted, as a share of the threshold", low=0.0, high=1e6
    )
    max_flips: int = setting(0, "images that may change sides of the threshold", low=0, high=10**9)
    calibration_images: int = setting(200, "most images that fix the ranges of int8", low=1, high=100_000)

    def __post_init__(self) -> None:
        validate(self)
        if self.to == "onnx" and self.precision == "bf16":
            raise ConfigError(
                "ONNX Runtime computes in float32 or in 8 bits on processors, not in bfloat16; give --precision f32 or "
                "int8, or --to openvino"
            )


@dataclass(frozen=True)
class Images:
    """Where images are, and how they are read; None: made-up ones."""

    root: Path | None = None
    hints: ReadHints = field(default_factory=ReadHints)
    jobs: int = 2


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from the model."""

    folder: Path
    manifest: dict[str, Any]
    parity: Parity


def export_model(
    model: TrainedModel,
    out: Path,
    settings: ExportSettings | None = None,
    *,
    images: Images | None = None,
    calibration: Path | None = None,
    progress: Progress = silent,
) -> Exported:
    """Write a model as one graph, and compare it with the model.

    Parameters
    ----------
    out
        A new or empty folder, or that of an earlier export.
    images
        What both are asked about; in a labelled folder (`isotherm.datasets.layouts`) the AUROC of both is measured.
    calibration
        Folder of normal images that fix the ranges of int8; none of them may be among `images`.

    Raises
    ------
    UsageError
        The method is not one graph, or int8 without `calibration`.
    OutputError
        The graph says something else than the model (it is kept beside `out`), or `out` cannot be written.
    """
    settings, images = settings or ExportSettings(), images or Images()
    _check_target(out)
    graph = exported_graph(model)
    learnt = _Calibration.read(model, calibration, settings, images.hints)
    make_folder(out.parent)
    stage = Path(tempfile.mkdtemp(prefix=".isotherm-", suffix=".part", dir=out.parent))
    try:
        run = _write_graph(graph, stage, model, settings, learnt.samples)
        examples = _Examples(model, images, learnt.digests, progress)
        parity = compare(model, run, examples)
        manifest = _manifest(model, settings, learnt, stage)
        _write_json(stage / MANIFEST, manifest)
        _write_json(stage / PARITY, _report(parity, settings, examples) | _without_hint(model, settings, stage))
        place = _put(stage, out, _failure(parity, settings))
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Exported(place, manifest, parity)


def _check_target(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(f"{out} is not a folder")
    strangers = sorted(item.name for item in out.iterdir() if item.name not in FILES) if out.is_dir() else []
    if strangers:
        raise OutputError(f"{out} holds {strangers[0]!r}, which is not part of an export; name a new or empty folder")


@dataclass(frozen=True)
class _Calibration:
    """The images that fix the ranges of int8."""

    samples: list[GraphSample]
    digests: frozenset[str]
    known: int
    """How many of them the model has learnt from."""

    @classmethod
    def read(cls, model: TrainedModel, folder: Path | None, settings: ExportSettings, hints: ReadHints) -> _Calibration:
        if settings.precision != "int8":
            return cls([], frozenset(), 0)
        if folder is None:
            raise UsageError(
                "--precision int8 needs --calibration: a folder of normal images, such as those learnt from"
            )
        samples, digests = list[GraphSample](), set[str]()
        for outcome in read_many(list_images(folder), root=folder, hints=hints):
            if outcome.thermogram is None or _refused(model, outcome.thermogram):
                continue
            digests.add(outcome.thermogram.digest)
            for image, ignore in tiles_of(model.inputs, model.inputs.shrink(outcome.thermogram)):
                samples.append({IMAGE: image[None], IGNORE: ignore[None]})
            if len(digests) == settings.calibration_images:
                break
        if not samples:
            raise DataError(f"{folder}: no image that the model can judge")
        learnt = set(model.manifest.get("data", {}).get("image_digests", ()))
        return cls(samples, frozenset(digests), len(digests & learnt))


def _refused(model: TrainedModel, thermogram: Thermogram) -> str:
    try:
        model.inputs.check(thermogram)
    except DataError as error:
        return str(error)
    return ""


class _Examples:
    """The images that both are asked about, one at a time; what cannot be judged is left out and remembered."""

    def __init__(self, model: TrainedModel, images: Images, calibrated: frozenset[str], progress: Progress) -> None:
        self._model, self._images = model, images
        self._calibrated, self._progress = calibrated, progress
        self.skipped: list[dict[str, str]] = []

    @property
    def source(self) -> str:
        """Where they are from, in words."""
        return "made-up images" if self._images.root is None else str(self._images.root)

    def __iter__(self) -> Iterator[Example]:
        if self._images.root is None:
            yield from made_up(self._model.inputs)
            return
        samples = _samples(self._images.root)
        paths = [path for path, _ in samples]
        found = 0
        outcomes = read_many(paths, root=self._images.root, hints=self._images.hints, jobs=self._images.jobs)
        for place, (outcome, (_, anomalous)) in enumerate(zip(outcomes, samples, strict=True), start=1):
            self._progress(place, len(samples), "comparing")
            error = outcome.error if outcome.thermogram is None else _refused(self._model, outcome.thermogram)
            if error or outcome.thermogram is None:
                self.skipped.append({"name": outcome.name, "error": error})
                continue
            if outcome.thermogram.digest in self._calibrated:
                raise DataError(f"{outcome.name} is among the calibration images; it cannot show how good int8 is")
            found += 1
            yield Example(outcome.name, self._model.inputs.shrink(outcome.thermogram), anomalous)
        if not found:
            raise DataError(f"{self._images.root}: no image that the model can judge")


def _samples(root: Path) -> list[tuple[Path, bool | None]]:
    """Return the images of a folder with their labels; without labels where no layout fits."""
    try:
        samples: Sequence[Sample] = load_layout(root).samples
    except DataError:
        return [(path, None) for path in list_images(root)]
    return [(sample.path, sample.anomalous) for sample in samples]


def _write_graph(
    graph: ov.Model, stage: Path, model: TrainedModel, settings: ExportSettings, samples: Sequence[GraphSample]
) -> Run:
    """Write the graph and return it in its runtime, read from what was written."""
    facts = {
        "isotherm": __version__,
        "method": model.method,
        "precision": settings.precision,
        "threshold": repr(model.calibration.threshold),
        "pixel_threshold": repr(model.calibration.pixel_threshold),
        "model_sha256": str(model_card(model)["sha256"]),
    }
    if settings.to == "onnx":
        data = write_onnx(graph, facts)
        data = quantised_onnx(data, samples) if settings.precision == "int8" else data
        write_whole(stage / ONNX, data)
        return _in_onnx_runtime(data)
    graph = quantised_openvino(graph, samples) if settings.precision == "int8" else graph
    for name, value in facts.items():
        graph.set_rt_info(value, ["isotherm", name])
    if settings.precision != "bf16":
        _keep_precise(graph)
    ov.save_model(graph, stage / XML, compress_to_fp16=False)
    return _in_openvino(stage / XML, _hints(settings))


def _keep_precise(graph: ov.Model) -> None:
    """Mark all operations, so that a program that gives no hint does not get bfloat16 where the processor has it.

    OpenVINO loses the mark where it merges operations (a matrix product with the sum behind it), so that the hint of
    the manifest is still needed for the exact result; `_without_hint` measures what is lost without.
    """
    for node in graph.get_ops():
        if node.get_type_name() != "Constant":
            node.get_rt_info()[PRECISE] = ""


def _in_onnx_runtime(data: bytes) -> Run:
    graph = InOnnxRuntime(data, batch=AT_ONCE)

    def run(images: np.ndarray, ignore: np.ndarray) -> Answer:
        maps, scores = zip(*graph.run(zip(images, ignore, strict=True)), strict=True)
        return np.stack(maps), np.stack(scores)

    return run


def _in_openvino(path: Path, hints: dict[str, str]) -> Run:
    compiled = ov.Core().compile_model(path, "CPU", hints)

    def run(images: np.ndarray, ignore: np.ndarray) -> Answer:
        found = compiled([images, ignore])
        return found[0].copy(), found[1].copy()

    return run


def _without_hint(model: TrainedModel, settings: ExportSettings, stage: Path) -> dict[str, Any]:
    """Return how far the graph is from the model in a program that compiles it without the manifest's hint."""
    if settings.to == "onnx":
        return {}
    parity = compare(model, _in_openvino(stage / XML, {}), made_up(model.inputs))
    return {"without_hint": {"source": "made-up images", "max_difference": parity.max_difference}}


def _manifest(model: TrainedModel, settings: ExportSettings, learnt: _Calibration, stage: Path) -> dict[str, Any]:
    spec, calibration, card = model.inputs, model.calibration, model_card(model)
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": installed("isotherm", "onnx", "onnxruntime", "openvino", "nncf"),
        "model": {"method": model.method, "config": to_mapping(model.config), "sha256": card["sha256"]},
        "format": settings.to,
        "precision": settings.precision,
        **_runtime(settings),
        "files": {
            item.name: {"sha256": sha256(item.read_bytes()), "bytes": item.stat().st_size}
            for item in sorted(stage.iterdir())
        },
        "inputs": described_inputs(spec),
        "preparation": preparation(spec),
        "canvas": list(spec.frame.canvas),
        "tiles": [list(tile) for tile in spec.frame.tiles],
        "span": {"low": spec.low, "high": spec.high, "where": "in the graph"},
        "outputs": [
            {"name": "maps", "type": "float32", "meaning": "covers the input; larger is stranger"},
            {"name": "scores", "type": "float32", "shape": ["N"], "meaning": "above the threshold: an anomaly"},
        ],
        "threshold": calibration.threshold,
        "pixel_threshold": calibration.pixel_threshold,
        "threshold_from": calibration.how,
        "calibration": {"images": len(learnt.digests), "learnt_from": learnt.known},
    }


def _runtime(settings: ExportSettings) -> dict[str, Any]:
    return {"opset": OPSET} if settings.to == "onnx" else {"compile_with": _hints(settings)}


def _hints(settings: ExportSettings) -> dict[str, str]:
    return {"INFERENCE_PRECISION_HINT": "bf16" if settings.precision == "bf16" else "f32"}


def _report(parity: Parity, settings: ExportSettings, examples: _Examples) -> dict[str, Any]:
    return {
        "source": examples.source,
        "accepted": not _failure(parity, settings),
        "bounds": {"max_difference": settings.max_difference, "max_flips": settings.max_flips},
        **parity.to_mapping(),
        "skipped": examples.skipped,
    }


def _failure(parity: Parity, settings: ExportSettings) -> str:
    """Say why the exported graph is not accepted; empty where it is."""
    worst = max(parity.max_difference, parity.max_batch_difference)
    # Not "greater": a score that is not a number must not pass.
    if not worst <= settings.max_difference:
        return f"a score differs by {worst:.3g} of the threshold; accepted are {settings.max_difference:g}"
    if parity.flips > settings.max_flips:
        return f"{parity.flips} of {len(parity.images)} labels flipped; accepted are {settings.max_flips}"
    return ""


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_whole(path, dumps(values, indent=1).encode("utf-8", "backslashreplace") + b"\n")


def _put(stage: Path, out: Path, failure: str) -> Path:
    """Give the finished folder its name; one that failed gets another, and an error says so."""
    place = out.with_name(out.name + FAILED) if failure else out
    _check_target(place)
    try:
        if place.exists():
            shutil.rmtree(place)
        stage.chmod(0o755)
        stage.replace(place)
    except OSError as error:
        raise OutputError(f"cannot write {place}: {error.strerror}") from error
    if failure:
        raise OutputError(f"the exported graph does not say what the model says: {failure}; kept in {place}")
    return place
