"""The pictures of a report: read again from their files, several at once, and drawn as small as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from isotherm.core.config import from_mapping
from isotherm.core.errors import ForbiddenError, IsothermError, OutputError, UnreachableError, UsageError, one_line
from isotherm.core.findings import ImageResult
from isotherm.core.progress import Progress, silent
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import ReadHints
from isotherm.reports.document.content import FaultPictures, Figure
from isotherm.reports.document.pictures import BOX, Drawn, Pictured, draw, worded
from isotherm.reports.document.wording import Wording, wording
from isotherm.reports.pictures import for_page
from isotherm.workflows.reading import Input, Outcome, read_inputs
from isotherm.workflows.remote_inputs import Folders, is_remote
from isotherm.workflows.report_cache import FOLDER, DrawnCache, KeptDrawing, look_of
from isotherm.workflows.run_place import FolderPlace, RunPlace
from isotherm.workflows.visual import photo_of

FINE_PX, COARSE_PX, MOST_FINE = 640, 320, 40
"""Longest side of the temperatures in a page; the second one where more pictures than the third shall stay mailable."""


@dataclass(frozen=True, eq=False)
class PictureSource:
    """Where the pictures of an inspection are, and how they were read.

    Parameters
    ----------
    settings
        Those of the inspection.
    place
        Where its panels are.
    root
        The folder of the pictures; None where it is not known.
    folders
        What lies beside pictures in a bucket.
    """

    settings: Mapping[str, Any]
    place: RunPlace
    root: Path | None
    folders: Folders = field(default_factory=Folders)

    def read(self, image: str) -> Outcome:
        """Return a picture as the inspection read it, or why that cannot be."""
        edit = from_mapping(SceneEdit, self.settings.get("scene", {}))
        hints = from_mapping(ReadHints, self.settings.get("reading", {}))
        (outcome,) = read_inputs([self.input(image)], edit=edit, hints=hints, jobs=1)
        return outcome

    def input(self, image: str) -> Input:
        """Return where a picture is, or why that is not known."""
        if self.root is None:
            return Input(Path(image), image, "where it lies is not written down; name its folder with --images")
        path = self.root / image
        # Names come from a file that somebody may have changed.
        try:
            if not path.resolve().is_relative_to(self.root.resolve()):
                return Input(path, image, "its name leads out of the folder of the pictures")
            return Input(path, image, beside=self.folders.sidecars(path))
        except UsageError as error:
            # The name is none that a bucket may have, or the bucket has gone.
            return Input(path, image, one_line(error))
        except ValueError:
            # It has a zero byte.
            return Input(path, image, "its name is none that a file can have")

    def cache(self, plane_px: int | None) -> DrawnCache | None:
        """Return where drawn pictures are kept; None for a run in a bucket."""
        if not isinstance(self.place, FolderPlace):
            return None
        read = {name: self.settings.get(name) for name in ("scene", "reading")}
        look = look_of(palette=self.palette, plane_px=plane_px, **read)
        return DrawnCache(self.place.path / FOLDER, look, "pictures" if plane_px is None else f"plane{plane_px}")

    @property
    def palette(self) -> str:
        """The colours of its panels."""
        return str(self.settings.get("pictures", {}).get("palette", "iron"))


def drawn_again(
    source: PictureSource,
    language: str,
    results: Sequence[ImageResult],
    *,
    live: bool,
    jobs: int,
    progress: Progress = silent,
) -> dict[str, FaultPictures]:
    """Return the pictures of faults by their names; the panel of the run where one cannot be read again.

    Parameters
    ----------
    source
        Where they are.
    language
        That of their captions.
    results
        What was found in them; of results of one picture the last counts.
    live
        Whether the temperatures are wanted too.
    jobs
        Threads; each holds one picture at a time. Decoding and shading leave the interpreter to the others.
    progress
        Is told of each picture.
    """
    unique = list({result.image: result for result in results}.values())
    plane_px = (FINE_PX if len(unique) <= MOST_FINE else COARSE_PX) if live else None
    shown = partial(_shown, _Drawing(source, plane_px, source.cache(plane_px)), wording(language))
    found = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="isotherm-report") as pool:
        for result, pictures in zip(unique, pool.map(shown, unique), strict=True):
            found[result.image] = pictures
            progress(len(found), len(unique), "drawing")
    return found


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Draws the pictures of one report, or finds them drawn."""

    source: PictureSource
    plane_px: int | None
    cache: DrawnCache | None

    def drawn(self, result: ImageResult) -> tuple[Drawn | None, str]:
        """Return a picture, or None and why it is not shown."""
        place = self._place(result)
        if place is not None and (kept := place.get()):
            return kept, ""
        outcome = self.source.read(result.image)
        if outcome.thermogram is None:
            return None, outcome.error
        if result.digest and outcome.thermogram.digest != result.digest:
            return None, "the file has changed since the inspection"
        drawn = self._draw(result, outcome.thermogram, outcome.path)
        if place is not None:
            place.put(drawn)
        return drawn, ""

    def _place(self, result: ImageResult) -> KeptDrawing | None:
        """Return where a picture's drawing may be kept; that of a bucket's and of an unknown one is not."""
        item = self.source.input(result.image)
        if self.cache is None or item.error or is_remote(item.path) or not result.digest:
            return None
        return self.cache.of(result, item.path)

    def _draw(self, result: ImageResult, thermogram: Thermogram, path: Path) -> Drawn:
        try:
            photo, _ = photo_of(thermogram, path, least_px=BOX, beside=self.source.folders.pictures(path))
        except (UnreachableError, ForbiddenError):
            raise
        except IsothermError:
            photo = None
        return draw(Pictured(result, thermogram, photo, palette=self.source.palette), plane_px=self.plane_px)


def _shown(drawing: _Drawing, words: Wording, result: ImageResult) -> FaultPictures:
    drawn, why = drawing.drawn(result)
    return _panel(drawing.source.place, words, result, why) if drawn is None else worded(drawn, result, words)


def _panel(place: RunPlace, words: Wording, result: ImageResult, why: str) -> FaultPictures:
    """Return the panel that the inspection has drawn, and why the picture itself is not shown."""
    missing = words("picture_gone", reason=words.phrase(why))
    try:
        if result.panel and not place.keeps(result.panel):
            return FaultPictures(missing=missing)
        panels = for_page(place.read, [result])
    except OutputError as error:
        return FaultPictures(missing=words("picture_gone", reason=one_line(error)))
    if result.image not in panels:
        return FaultPictures(missing=missing)
    alt = words("panel_alt", image=result.image)
    return FaultPictures(Figure(panels[result.image], "jpeg", alt, alt), missing=missing)
