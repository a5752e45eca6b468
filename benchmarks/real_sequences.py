"""Maps and segmentation of the recordings that others made: three simulated with finite elements, and a real one.

python benchmarks/real_sequences.py [DATA] [-o OUT] [--model NAME_OR_FOLDER ...] [--seeds 5]

DATA is the folder that holds ``sequences/`` (else the environment's ISOTHERM_DATA, else ../shared/data). Pictures of
every recording go into OUT, Markdown tables to standard output: what opening them said, what every method finds in the
recordings as they are stored, and with the heating uneven (0.7 in the corners, the middle 1) and the noise of a camera
(25 and 50 mK a frame and pixel, steps of 10 mK), over the seeds.

The files of pythermondt (Apache-2.0) are simulations with finite elements. ``F1.mat`` is real and has no licence: its
pictures stay where they were made.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from isotherm.core.errors import IsothermError
from isotherm.core.files import make_folder, npz_of, write_whole
from isotherm.core.regions import drop_small, label
from isotherm.datasets.plate_sequence import heating_profile
from isotherm.evaluation.defects import CallRules, PlateTruth
from isotherm.reports.figures_parts import colour_map, figure_png
from isotherm.reports.figures_sequences import maps_sheet
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.maps import MapStack
from isotherm.sequences.segment import SEGMENT_METHODS, Segmentation
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.stored import pictures_in
from isotherm.workflows.sequence_data import LabelledFolder, LabelledRecording
from isotherm.workflows.sequence_evaluate import (
    Contender,
    JudgedPlate,
    judge_contenders,
    method_contender,
    model_contender,
)
from isotherm.workflows.sequence_maps import MapsResult, make_maps
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared

NOISE_MK = (25, 50)
STEP_K = 0.01
EDGE = 0.7
METHODS = ("pct", "ppt", "tsr")
PICTURED = ("pct_1", "pct_2", "ppt_phase_1", "tsr_d1_3", "tsr_d2_2", "tsr_d2_3")
CREDIT = "finite-element simulation of pythermondt (Apache-2.0)"


@dataclass(frozen=True)
class Source:
    """A recording as it is stored.

    Parameters
    ----------
    file
        Below ``sequences/``.
    thickness_mm
        Of the plate.
    diameter_mm, depth_mm
        Of its defect (the circle of the ellipse's area); None without one.
    settings
        What the file cannot say.
    """

    file: str
    thickness_mm: float | None = None
    diameter_mm: float | None = None
    depth_mm: float | None = None
    settings: PrepareSettings = field(default_factory=PrepareSettings)

    @property
    def simulated(self) -> bool:
        """Whether it may be shown, and has a truth."""
        return self.thickness_mm is not None


PIXEL_MM, DIFFUSIVITY_M2_S = 0.2, 4.469e-7
FOLDER = "pythermondt/"
SOURCES = (
    Source(FOLDER + "example-data0.hdf5", 1.3, math.sqrt(5.1 * 17.7), 0.8684),
    Source(FOLDER + "example-data1.hdf5", 4.6),
    Source(FOLDER + "expected1.hdf5", 2.0),
    Source(FOLDER + "source1.mat", 2.0),
    # No times: one frame is one unit of time, which slopes in log-log and relative frequencies do not notice.
    Source("huaiyoubuyi/F1.mat", settings=PrepareSettings(frame_rate_hz=1.0)),
)


# --- truth, and recordings with noise ---------------------------------------------------------------------------------


def truth_of(source: Source, path: Path) -> PlateTruth:
    """Return what is true of a simulated plate: the mask of the file, the size and the depth of its description."""
    mask = pictures_in(path, {"defectmask"})["defectmask"]
    sizes = [np.array([] if value is None else [value]) for value in (source.diameter_mm, source.depth_mm)]
    return PlateTruth((mask > 0).astype(np.uint8), *sizes, pixel_mm=PIXEL_MM)


def as_filmed(path: Path, *, noise_k: float, seed: int) -> bytes:
    """Return an archive of a recording as a camera would have filmed it, heated unevenly.

    The rise above the first frame is scaled, as a linear flow of heat without exchange between bright and dark allows.
    """
    sequence = ThermalSequence.open(path)
    kelvin = sequence.frames().astype(np.float64)
    profile = heating_profile(kelvin.shape[1:], edge=EDGE).astype(np.float64)
    filmed = kelvin[0] + (kelvin - kelvin[0]) * profile
    filmed += np.random.default_rng(seed).normal(0, noise_k, filmed.shape)
    known = {"kelvin": (STEP_K * np.rint(filmed / STEP_K)).astype(np.float32), "times_s": sequence.times_s}
    if sequence.lamp_s is not None:
        after, before = (int(np.searchsorted(sequence.times_s, end)) for end in sequence.lamp_s)
        known["excitation"] = np.zeros(len(kelvin))
        known["excitation"][after + 1 : before] = 1
    return npz_of(known, deflated=False)


def recording_of(source: Source, path: Path, truth: PlateTruth) -> LabelledRecording:
    """Return a recording with its truth; `path` is the file itself or one made from it."""
    return LabelledRecording(
        path,
        specimen=Path(source.file).stem,
        truth=truth,
        pixel_mm=PIXEL_MM,
        diffusivity_m2_s=DIFFUSIVITY_M2_S,
        name=path.name,
    )


def judged(one: LabelledRecording, contenders: Sequence[Contender]) -> dict[str, JudgedPlate]:
    """Return what each contender made of one recording."""
    found = judge_contenders(LabelledFolder((one,)), contenders)
    for verdicts in found.verdicts:
        for lost in verdicts.failed:
            print(f"{verdicts.contender.name} on {lost.name}: {lost.reason}")
    return {verdicts.contender.name: verdicts.plates[0] for verdicts in found.verdicts if verdicts.plates}


def judged_with_noise(
    source: Source, path: Path, contenders: Sequence[Contender], *, noise_mk: int, seeds: int
) -> Iterator[dict[str, JudgedPlate]]:
    """Yield what each contender made of the recording with noise, seed by seed."""
    truth = truth_of(source, path)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            made = Path(folder) / f"{path.stem}-{noise_mk}mK-{seed}.npz"
            write_whole(made, as_filmed(path, noise_k=noise_mk / 1000, seed=seed))
            yield judged(recording_of(source, made, truth), contenders)
            made.unlink()


# --- tables -----------------------------------------------------------------------------------------------------------


def defect_cells(plates: Sequence[JudgedPlate], depth_mm: float) -> list[str]:
    """Return IoU, Dice, how often the defect was found, the depth told and its error, and false calls a plate."""
    iou = np.array([plate.iou for plate in plates])
    dice = 2 * iou / (1 + iou)
    found = sum(bool(plate.judgement.found.all()) for plate in plates)
    told = np.array([depth for plate in plates for depth in plate.judgement.depth_told_mm if np.isfinite(depth)])
    error = (
        f"{np.median(told):.2f} mm ({np.median(told) / depth_mm - 1:+.0%}; n = {told.size})" if told.size else "none"
    )
    return [_spread(iou), _spread(dice), f"{found} of {len(plates)}", error, _calls(plates)]


def _spread(values: np.ndarray) -> str:
    middle = f"{values.mean():.2f}"
    return middle if values.size == 1 else f"{middle} [{values.min():.2f}, {values.max():.2f}]"


def _calls(plates: Sequence[JudgedPlate]) -> str:
    return f"{np.mean([plate.judgement.false_calls for plate in plates]):.2g}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


Runs = Mapping[str, Sequence[Mapping[str, JudgedPlate]]]
"""How the recording was filmed -> one result for each seed: contender -> its judgement."""


def print_results(results: Mapping[Source, Runs]) -> None:
    """Print the tables of the plate with a defect and of the empty ones."""
    for source, runs in results.items():
        names = list(next(iter(runs.values()))[0])
        rows = []
        for name in names:
            for how, seeds in runs.items():
                plates = [found[name] for found in seeds if name in found]
                depth = source.depth_mm
                cells = defect_cells(plates, depth) if depth else [_calls(plates), _called_share(plates)]
                rows.append([f"`{name}`", how, *cells])
        what = f"defect {source.depth_mm:g} mm deep" if source.depth_mm else "no defect"
        print(f"\n{Path(source.file).name}: {CREDIT}, {source.thickness_mm:g} mm, {what}")
        head = ["IoU", "Dice", "found", "depth told", "false calls a plate"] if source.depth_mm else []
        print_table(["method", "filmed", *(head or ["false calls a plate", "part of the plate called"])], rows)


def _called_share(plates: Sequence[JudgedPlate]) -> str:
    judgements = [plate.judgement for plate in plates]
    share = [(one.hits + one.false_alarms) / one.truth.labels.size for one in judgements]
    return f"{np.mean(share):.1%}"


# --- pictures ---------------------------------------------------------------------------------------------------------


def overview(title: str, maps: MapsResult, found: Mapping[str, Segmentation], true: np.ndarray | None) -> bytes:
    """Return one PNG: some maps of a recording, and what each method outlined over its own score."""
    values = {name: stack[name] for stack in maps.stacks for name in stack.names if name in PICTURED}
    columns = max(len(values), len(found))
    height, width = maps.shape[1:]
    figure = Figure(figsize=(2.0 * columns, 4.1 * height / width + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=9)
    panels = figure.subplots(2, columns, squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    for axes, (name, picture) in zip(panels[0], values.items(), strict=False):
        _draw(axes, name, picture, true)
    for axes, (name, one) in zip(panels[1], found.items(), strict=False):
        _draw(axes, f"{name}: {regions_in(one)}", one.score, true)
        _outline(axes, one.mask, "#e0218a", "-")
    return fewer_colours(figure_png(figure, dpi=80))


def fewer_colours(png: bytes) -> bytes:
    """Return a PNG in 128 colours, for small files; those of thin lines among them."""
    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _draw(axes: Axes, title: str, picture: np.ndarray, true: np.ndarray | None) -> None:
    low, high = np.nanpercentile(picture, (0.5, 99.5))
    axes.imshow(picture, cmap=colour_map("clear"), vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
    axes.set_title(title, fontsize=8)
    if true is not None:
        _outline(axes, true, "#ffffff", ":")


def _outline(axes: Axes, mask: np.ndarray, ink: str, style: str) -> None:
    if mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors=ink, linewidths=0.9, linestyles=style)


def called_by(path: Path, settings: PrepareSettings, contenders: Sequence[Contender]) -> dict[str, Segmentation]:
    """Return what each contender calls in a recording; print why one of them cannot."""
    sequence = prepared(open_recording(path, settings), "cooling", settings)
    maps: dict[FeaturesConfig, MapStack] = {}
    found: dict[str, Segmentation] = {}
    for one in contenders:
        try:
            if one.features not in maps:
                maps[one.features] = Features().maps(sequence, one.features)
            found[one.name] = one.segment(maps[one.features].values)
        except IsothermError as error:
            print(f"- `{one.name}`: {error}")
    return found


def draw(
    path: Path, out: Path, contenders: Sequence[Contender], *, source: Source, title: str, true: np.ndarray | None
) -> None:
    """Write the overview of a recording and a sheet for each method of maps; print what opening it said."""
    maps = make_maps(path, METHODS, settings=source.settings)
    found = called_by(path, source.settings, contenders)
    print(f"\n{title}: {maps.shape[0]} frames of {maps.shape[2]} x {maps.shape[1]} px")
    for note in dict.fromkeys((*maps.notes, *(note for stack in maps.stacks for note in stack.notes))):
        print(f"- {note}")
    print(f"- regions called: {', '.join(f'`{name}` {regions_in(one)}' for name, one in found.items())}")
    write_whole(out / f"{path.stem}.png", overview(title, maps, found, true))
    for stack in maps.stacks:
        write_whole(out / f"{path.stem}-{stack.method}.png", maps_sheet(title, stack))


def regions_in(found: Segmentation) -> int:
    """Return how many regions were called."""
    return drop_small(*label(found.mask), CallRules().min_area_px)[1]


def draw_all(source: Source, path: Path, out: Path, contenders: Sequence[Contender]) -> None:
    """Draw a recording as it is stored, and a simulated one as it would have been filmed with 25 mK."""
    if not source.simulated:
        draw(
            path,
            out,
            contenders,
            source=source,
            title=f"{path.name} (real, no licence: not to be passed on)",
            true=None,
        )
        return
    true = truth_of(source, path).labels > 0
    draw(path, out, contenders, source=source, title=f"{path.name} ({CREDIT})", true=true)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{path.stem}-{NOISE_MK[0]}mK.npz"
        write_whole(made, as_filmed(path, noise_k=NOISE_MK[0] / 1000, seed=0))
        title = f"{path.name}, heated unevenly, {NOISE_MK[0]} mK ({CREDIT})"
        draw(made, out, contenders, source=source, title=title, true=true)


# --- all of it --------------------------------------------------------------------------------------------------------


def contenders_of(models: Sequence[str]) -> list[Contender]:
    """Return all methods with their defaults, and the models."""
    methods = [method_contender(name, None, FeaturesConfig()) for name in SEGMENT_METHODS.names()]
    return [*methods, *map(model_contender, models)]


def same_frames(one: Path, other: Path) -> bool:
    """Say whether two files hold the same recording."""
    first, second = ThermalSequence.open(one), ThermalSequence.open(other)
    return first.shape == second.shape and np.array_equal(first.frames(), second.frames())


def results_of(source: Source, path: Path, contenders: Sequence[Contender], seeds: int) -> dict[str, list]:
    """Return what each contender made of a simulated recording: as it is stored, and with noise for each seed."""
    runs = {"as stored": [judged(recording_of(source, path, truth_of(source, path)), contenders)]}
    for noise_mk in NOISE_MK if seeds else ():
        found = judged_with_noise(source, path, contenders, noise_mk=noise_mk, seeds=seeds)
        runs[f"unevenly, {noise_mk} mK"] = list(found)
    return runs


def main() -> None:
    """Draw, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    near = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("data", type=Path, nargs="?", default=Path(os.environ.get("ISOTHERM_DATA", near)))
    parser.add_argument("-o", "--output", type=Path, default=Path("real_sequences"), help="folder for the pictures")
    parser.add_argument("--model", action="append", default=[], help="a taught network: its name or folder; several")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the noise (0: as stored alone)")
    asked = parser.parse_args()
    make_folder(asked.output)
    contenders = contenders_of(asked.model)
    places = {source: asked.data / "sequences" / source.file for source in SOURCES}
    done: list[Path] = []
    results: dict[Source, Runs] = {}
    for source, path in places.items():
        draw_all(source, path, asked.output, contenders)
        twin = next((one for one in done if source.simulated and same_frames(one, path)), None)
        if twin is not None:
            print(f"- the frames are those of {twin.name}, number by number: judged there")
        elif source.simulated:
            results[source] = results_of(source, path, contenders, asked.seeds)
        done.append(path)
    print_results(results)


if __name__ == "__main__":
    main()
