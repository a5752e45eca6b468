"""Temperatures to files that other programs read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, PngImagePlugin

from isotherm.core.errors import DataError, OutputError
from isotherm.core.files import make_folder, npz_of
from isotherm.core.thermogram import Thermogram
from isotherm.formats.exif import ORIENTATION, Capture, completed, read_capture
from isotherm.formats.float_tiff import encode_celsius
from isotherm.formats.png16 import DECLARATION
from isotherm.workflows.info import describe
from isotherm.workflows.output_files import write_output
from isotherm.workflows.reading import Outcome

_STEP_K = 0.01
HOTTEST_PNG16_C = 65535 * _STEP_K - 273.15
"""Highest temperature that a 16-bit PNG of 0.01 K steps can hold [°C]."""


@dataclass(frozen=True)
class Conversion:
    """What became of one file: the path written, or the reason why none was."""

    name: str
    target: Path | None
    error: str = ""
    notes: tuple[str, ...] = ()


def to_tiff(thermogram: Thermogram) -> bytes:
    """Return a TIFF of float32 °C (deflate), with the capture's EXIF and GPS; NaN where there is no temperature."""
    _refuse_estimated(thermogram)
    return encode_celsius(thermogram.celsius(), _capture(thermogram))


def _capture(thermogram: Thermogram) -> Capture:
    """Return what is kept of the capture; not the orientation, because the pixels written are the stored ones."""
    found = completed(read_capture(thermogram.exif), thermogram.camera, thermogram.position)
    return replace(found, main={tag: entry for tag, entry in found.main.items() if tag != ORIENTATION})


def to_png16(thermogram: Thermogram) -> bytes:
    """Return a PNG of 16-bit counts of 0.01 K; 0 where there is no temperature.

    The scale is declared in a text chunk as JSON, so that it is read back without a guess; EXIF and GPS are kept.

    Raises
    ------
    DataError
        A temperature is higher than such a count can say.
    """
    _refuse_estimated(thermogram)
    celsius = thermogram.celsius()
    if np.nanmax(celsius, initial=-np.inf) > HOTTEST_PNG16_C:
        hottest = float(np.nanmax(celsius))
        raise DataError(f"{hottest:.1f} °C does not fit into png16 (at most {HOTTEST_PNG16_C:.2f} °C); use tiff")
    counts = np.nan_to_num(np.rint((celsius.astype(np.float64) + 273.15) / _STEP_K), nan=0).astype(np.uint16)
    declaration = PngImagePlugin.PngInfo()
    declaration.add_text(DECLARATION, json.dumps({"scale": _STEP_K, "offset": 0.0, "unit": "k"}))
    stream = BytesIO()
    Image.fromarray(counts).save(stream, "PNG", pnginfo=declaration, exif=_capture(thermogram).block())
    return stream.getvalue()


def to_csv(thermogram: Thermogram) -> bytes:
    """Return °C with four decimals, a comma between numbers, a point as decimal mark, no header; ``nan`` for none."""
    _refuse_estimated(thermogram)
    rows = thermogram.celsius().tolist()
    return "".join(",".join(map("{:.4f}".format, row)) + "\n" for row in rows).encode("ascii")


def _refuse_estimated(thermogram: Thermogram) -> None:
    if thermogram.estimated:
        raise DataError(
            "these temperatures are estimated, not measured, and this kind of file could not say so; convert to npz, "
            "which keeps the mark and the uncertainty"
        )


def to_npz(thermogram: Thermogram) -> bytes:
    """Return ``celsius`` float32 (H W), ``counts`` as recorded (H W), and ``about`` (JSON text) as a NumPy archive.

    Where the temperatures are estimates, ``uncertainty_k`` in ``about`` is their typical standard uncertainty.
    """
    about = describe(Outcome(Path(), "", thermogram))
    about.pop("path")
    if thermogram.estimated:
        sigma = getattr(thermogram.calibration, "typical_sigma_k", math.nan)
        about["uncertainty_k"] = sigma if math.isfinite(sigma) else None
    stated = json.dumps(about, ensure_ascii=False, allow_nan=False)
    return npz_of({"celsius": thermogram.celsius(), "counts": thermogram.counts, "about": np.array(stated)})


TARGETS: dict[str, tuple[str, Callable[[Thermogram], bytes]]] = {
    "tiff": (".tiff", to_tiff),
    "png16": (".png", to_png16),
    "csv": (".csv", to_csv),
    "npz": (".npz", to_npz),
}
"""Name of a target -> (suffix of its files, encoder)."""


def target_names(names: Sequence[str], suffix: str) -> list[str]:
    """Return the output's relative path for each input name: its folder and stem, and the target's suffix.

    Where several inputs share a stem (IMG.jpg, IMG.png) the first keeps it and the others get ``-2``, ``-3`` ...; names
    that differ only in case count as the same, because some file systems think so.
    """
    wanted = [PurePosixPath(name).with_suffix("").as_posix() if PurePosixPath(name).suffix else name for name in names]
    taken = {name.casefold() for name in wanted}
    seen: set[str] = set()
    found = []
    for name in wanted:
        number, candidate = 1, name
        while candidate.casefold() in (seen if number == 1 else taken | seen):
            number += 1
            candidate = f"{name}-{number}"
        seen.add(candidate.casefold())
        found.append(candidate + suffix)
    return found


def convert(
    outcomes: Iterable[Outcome],
    names: Sequence[str],
    folder: Path,
    target: str,
    *,
    inputs: Sequence[Path] = (),
    overwrite: bool = False,
) -> Iterator[Conversion]:
    """Write each readable outcome's temperatures below `folder`; a file that cannot be converted is said, not raised.

    Parameters
    ----------
    outcomes, names
        What was read, and the output's relative path of each (see `target_names`).
    folder
        Where to write; made where it does not exist.
    target
        A key of `TARGETS`.
    inputs
        Files that must not be overwritten.
    overwrite
        Replace files that are there and hold something else.

    Raises
    ------
    OutputError
        The folder cannot be made.
    """
    make_folder(folder)
    protected = {path.resolve() for path in inputs}
    for outcome, name in zip(outcomes, names, strict=True):
        yield _convert_one(outcome, folder / name, target, protected, overwrite=overwrite)


def _convert_one(outcome: Outcome, path: Path, target: str, protected: set[Path], *, overwrite: bool) -> Conversion:
    if outcome.thermogram is None:
        return Conversion(outcome.name, None, outcome.error)
    notes = outcome.thermogram.notes
    try:
        data = TARGETS[target][1](outcome.thermogram)
    except DataError as error:
        return Conversion(outcome.name, None, str(error), notes)
    make_folder(path.parent)
    try:
        write_output(path, data, digest="", inputs=protected, overwrite=overwrite)
    except OutputError as error:
        return Conversion(outcome.name, None, str(error), notes)
    stem = Path(outcome.name).stem
    renamed = () if path.stem == stem else (f"written as {path.name}, because another input is called {stem} too",)
    return Conversion(outcome.name, path, "", (*notes, *renamed))
