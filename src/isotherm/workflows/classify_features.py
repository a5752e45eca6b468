"""Features of many pictures as one HDF5 file, made in steps that survive an interruption.

============== =========================================================================================
dataset        what
============== =========================================================================================
features       (N D) float32, with checksums
labels         (N) int64, places in ``label_names``
label_names    the categories, sorted
paths          of the pictures, below the folder
digests        sha256 of each file
groups, parts  what else the folder says of each picture; empty where nothing
skipped        pictures that could not be used, as JSON [name, error]
about          JSON: how a picture becomes features, so that what is learnt from them can be used on pictures
============== =========================================================================================

The attributes ``backbone``, ``weights_sha256``, ``maps``, ``pooling`` and ``isotherm`` say the same in short.

While it is made, finished steps lie in the folder ``<file>.part``; the file itself appears whole, at the end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isotherm.anomaly.inputs import InputSpec
from isotherm.classification.features import FeatureSpec
from isotherm.core.config import to_mapping
from isotherm.core.errors import DataError, MissingExtraError, ModelError, OutputError
from isotherm.core.files import make_folder, npz_of, sha256, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.core.scratch import scratch_folder
from isotherm.workflows.classify_data import LabelledFolder, LabelledPicture, Row
from isotherm.workflows.classify_rows import Fixed, LabelledRows, Look, LookSettings, Reading, gathered
from isotherm.workflows.normals import Skipped
from isotherm.workflows.versions import installed

if TYPE_CHECKING:
    import h5py

STEP = 256
"""Pictures of a step; an interruption loses at most so many."""
FORMAT_VERSION = 1
_RUN = "run.json"
_TEXTS = ("paths", "digests", "groups", "parts")
_DATASETS = ("features", "labels", "label_names", *_TEXTS, "skipped", "about")


@dataclass(frozen=True)
class FeatureReport:
    """What came out: the number of pictures, those of an earlier run among them, and those that cannot be used."""

    pictures: int
    resumed: int
    features: int
    categories: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def extract_features(
    folder: LabelledFolder,
    out: Path,
    *,
    settings: LookSettings | None = None,
    reading: Reading | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> FeatureReport:
    """Compute the features of a folder's pictures and write the file.

    A run that was interrupted goes on where it stopped when it is started again with the same pictures and settings.

    Raises
    ------
    DataError
        No picture can be used, or temperatures and plain pictures are mixed against ``show``.
    OutputError
        `out` is there already, its folder of steps is of another run, or it cannot be written.
    ModelError, MissingExtraError
        The weights of the network, or h5py, are not here.
    """
    _h5py()
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; name another file, or replace it with --overwrite")
    reading = reading or Reading()
    run = _Run(folder, out, settings or LookSettings(), reading, progress)
    fixed, resumed = run.begin(overwrite=overwrite)
    for number in range(run.steps):
        run.step(number, fixed)
    report = run.finish(fixed, resumed)
    shutil.rmtree(run.parts, ignore_errors=True)
    return report


@dataclass(frozen=True)
class _Run:
    folder: LabelledFolder
    out: Path
    settings: LookSettings
    reading: Reading
    progress: Progress

    @property
    def parts(self) -> Path:
        """Return the folder of finished steps."""
        return self.out.with_name(self.out.name + ".part")

    @property
    def steps(self) -> int:
        return -(-len(self.folder.pictures) // STEP)

    def begin(self, *, overwrite: bool) -> tuple[Fixed, int]:
        """Return how pictures become features, and how many an earlier run has done."""
        if overwrite:
            shutil.rmtree(self.parts, ignore_errors=True)
        identity = self._identity()
        if (self.parts / _RUN).is_file():
            return self._continued(identity)
        if self.parts.exists() and any(self.parts.iterdir()):
            raise OutputError(f"{self.parts} holds something else than steps of this file; name another file")
        learn = [each for each in self.folder.pictures if each.part != "test"] or self.folder.pictures
        choice = self.reading.features
        choice.chosen((32, 32)).check()
        look = Look(self.settings.image_size, self.settings.show, self.settings.ignore_overlays)
        found = gathered(learn, look, self.reading, self.progress)
        fixed = Fixed(found.inputs, choice.chosen(found.inputs.frame.size), found.as_pictures)
        fixed.network.check()
        about = {"identity": identity, "how": _how(fixed)}
        write_whole(make_folder(self.parts) / _RUN, json.dumps(about).encode())
        return fixed, 0

    def _identity(self) -> str:
        """Return what the result depends on, as a sha256."""
        pictures = [[each.name, each.label, each.group, each.part, *_state(each.path)] for each in self.folder.pictures]
        reading = self.reading
        chosen = reading.features.chosen((32, 32))
        asked = [to_mapping(part) for part in (self.settings, reading.features, reading.edit, reading.hints)]
        return sha256(json.dumps([FORMAT_VERSION, STEP, chosen.digest, asked, pictures]).encode())

    def _continued(self, identity: str) -> tuple[Fixed, int]:
        try:
            about = json.loads((self.parts / _RUN).read_bytes())
            same, fixed = about["identity"] == identity, _fixed(about["how"])
        except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
            raise OutputError(f"{self.parts} is damaged ({error}); start again with --overwrite") from error
        if not same:
            raise OutputError(
                f"{self.parts} holds an interrupted run of other pictures or settings; start again with --overwrite"
            )
        done = [number for number in range(self.steps) if self._path(number).is_file()]
        return fixed, sum(len(self._pictures(number)) for number in done)

    def _path(self, number: int) -> Path:
        return self.parts / f"{number:06d}.npz"

    def _pictures(self, number: int) -> Sequence[LabelledPicture]:
        return self.folder.pictures[number * STEP : (number + 1) * STEP]

    def step(self, number: int, fixed: Fixed) -> None:
        """Compute the features of one step, unless they are there."""
        before = number * STEP
        if self._path(number).is_file():
            return

        def report(done: int, total: int, message: str) -> None:  # noqa: ARG001
            self.progress(before + done, len(self.folder.pictures), message)

        with scratch_folder() as folder:
            rows = fixed.rows(self._pictures(number), self.reading, folder, report)
        known = {"rows": [asdict(row) for row in rows.rows], "skipped": [asdict(each) for each in rows.skipped]}
        arrays = {"features": rows.values, "known": np.frombuffer(json.dumps(known).encode(), np.uint8)}
        write_whole(self._path(number), npz_of(arrays, deflated=False))

    def _done(self) -> Iterator[tuple[np.ndarray, list[Row], list[Skipped]]]:
        for number in range(self.steps):
            try:
                with np.load(self._path(number), allow_pickle=False) as step:
                    known = json.loads(step["known"].tobytes())
                    values = step["features"]
            except (OSError, ValueError, KeyError, EOFError) as error:
                raise OutputError(f"{self._path(number)} is damaged ({error}); delete it and start again") from error
            yield values, [Row(**row) for row in known["rows"]], [Skipped(**each) for each in known["skipped"]]

    def finish(self, fixed: Fixed, resumed: int) -> FeatureReport:
        """Put the steps together."""
        rows, skipped = list[Row](), list[Skipped]()
        for _, more, lost in self._done():
            rows += more
            skipped += lost
        if not rows:
            raise DataError(f"none of {len(skipped)} images can be used; {skipped[0].name}: {skipped[0].error}")
        whole = self.parts / "whole.h5"
        try:
            self._write(whole, fixed, rows, skipped)
            whole.replace(self.out)
        except OSError as error:
            raise OutputError(f"cannot write {self.out}: {error}") from error
        names = tuple(sorted({row.label for row in rows}))
        return FeatureReport(len(rows), resumed, fixed.network.length, names, tuple(skipped))

    def _write(self, path: Path, fixed: Fixed, rows: Sequence[Row], skipped: Sequence[Skipped]) -> None:
        length = fixed.network.length
        with _h5py().File(path, "w") as file:
            file.attrs.update(_attributes(fixed.network))
            chunks = (min(64, len(rows)), length)
            features = file.create_dataset("features", (len(rows), length), np.float32, chunks=chunks, fletcher32=True)
            start = 0
            for vectors, _, _ in self._done():
                features[start : start + len(vectors)] = vectors
                start += len(vectors)
            _write_columns(file, rows, skipped)
            about = {"format_version": FORMAT_VERSION, **_how(fixed), "columns_sha256": _columns_digest(file)}
            file["about"] = json.dumps(about)


def _attributes(spec: FeatureSpec) -> dict[str, str]:
    return {
        "backbone": spec.backbone,
        "weights_sha256": spec.digest,
        "maps": ",".join(map(str, spec.strides)),
        "pooling": spec.pooling,
        "isotherm": installed("isotherm").get("isotherm", ""),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _write_columns(file: h5py.File, rows: Sequence[Row], skipped: Sequence[Skipped]) -> None:
    names = sorted({row.label for row in rows})
    places = {name: place for place, name in enumerate(names)}
    file["labels"] = np.array([places[row.label] for row in rows], np.int64)
    texts: dict[str, list[str]] = {
        "label_names": names,
        "paths": [row.name for row in rows],
        "digests": [row.digest for row in rows],
        "groups": [row.group for row in rows],
        "parts": [row.part for row in rows],
        "skipped": [json.dumps([each.name, each.error]) for each in skipped],
    }
    for name, lines in texts.items():
        file.create_dataset(name, data=lines, dtype=_h5py().string_dtype(), shape=(len(lines),))


def _columns_digest(file: h5py.File) -> str:
    """Return the sha256 of everything but the features, which have checksums of their own."""
    columns = [file["labels"][()].tolist(), *(_texts(file, name) for name in ("label_names", *_TEXTS, "skipped"))]
    return sha256(json.dumps(columns).encode())


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _how(fixed: Fixed) -> dict[str, Any]:
    return {
        "inputs": fixed.inputs.to_mapping(),
        "features": fixed.network.to_mapping(),
        "as_pictures": fixed.as_pictures,
    }


def _fixed(values: Mapping[str, Any]) -> Fixed:
    features = FeatureSpec.from_mapping(values["features"])
    return Fixed(InputSpec.from_mapping(values["inputs"]), features, bool(values["as_pictures"]))


def _h5py() -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("a file of features", "classify") from error
    return h5py


def read_features(path: Path) -> LabelledRows:
    """Return what a file of features holds.

    Raises
    ------
    DataError
        It is no such file, damaged, or of another version.
    MissingExtraError
        h5py is not installed.
    """
    h5py = _h5py()
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            return _read(file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, ModelError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: no file of features, or damaged ({reason}); isotherm features makes one") from error


def _read(file: h5py.File) -> LabelledRows:
    for name in _DATASETS:
        _check_dataset(file, name)
    about = json.loads(file["about"].asstr()[()])
    if about.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"format version {about.get('format_version')!r}; this isotherm reads {FORMAT_VERSION}")
    if about.get("columns_sha256") != _columns_digest(file):
        raise ValueError("labels or names have been altered (their sha256 does not match)")
    fixed = _fixed(about)
    values = file["features"][()]
    names, labels = _texts(file, "label_names"), file["labels"][()]
    columns = [_texts(file, name) for name in _TEXTS]
    if values.shape != (len(labels), fixed.network.length) or values.dtype != np.float32 or labels.ndim != 1:
        raise ValueError(f"features of the shape {values.shape} {values.dtype} for {len(labels)} labels")
    if any(len(column) != len(labels) for column in columns) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError("its columns are not of one length")
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(names)):
        raise ValueError("a label has no name")
    if not np.isfinite(values).all():
        raise ValueError("features that are not finite numbers")
    rows = [
        Row(name=path, label=names[label], digest=digest, group=group, part=part)
        for label, path, digest, group, part in zip(labels.tolist(), *columns, strict=True)
    ]
    skipped = [Skipped(*json.loads(text)) for text in _texts(file, "skipped")]
    return LabelledRows(values, tuple(rows), fixed.inputs, fixed.features, fixed.as_pictures, tuple(skipped))


def _check_dataset(file: h5py.File, name: str) -> None:
    """Raise ValueError where a dataset is missing, or would be read from another file."""
    import h5py

    link = file.get(name, getlink=True) if name in file else None
    if not isinstance(link, h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"no dataset {name!r}")
    if file[name].external or file[name].is_virtual:
        raise ValueError(f"the dataset {name!r} lies in another file")


def _texts(file: h5py.File, name: str) -> list[str]:
    return [str(text) for text in file[name].asstr()[()]]
