"""Drawn pictures of reports, kept beside the run: the same report in another language does not draw them again.

What is kept counts only for the same bytes: of the picture, of the sidecars and photos beside it, and for the same
outlines, drawn by the same version. It may be deleted at any time, and nothing is said where it cannot be written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import isotherm
from isotherm.core.errors import OutputError
from isotherm.core.files import make_folder, sha256, sha256_of, write_whole
from isotherm.core.findings import ImageResult
from isotherm.reports.document.pictures import BOX, QUALITY, Drawn, packed, unpacked
from isotherm.reports.plain import dumps
from isotherm.workflows.photo_names import partners
from isotherm.workflows.run_folder import DRAWN
from isotherm.workflows.sidecar import SITE, sidecar_path

(FOLDER,) = DRAWN
DRAWING = 5
"""Goes up when the same picture is drawn in another way."""
MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class DrawnCache:
    """What was drawn for one report of a run.

    Parameters
    ----------
    folder
        Where it is kept.
    look
        What decides about all pictures alike: palette, size, parameters, as JSON.
    kind
        Names of files begin with it: reports with and without temperatures keep pictures of their own.
    """

    folder: Path
    look: str
    kind: str

    def of(self, result: ImageResult, path: Path) -> KeptDrawing | None:
        """Return where the drawing of a picture is kept; None where the picture cannot be read."""
        name = f"{self.kind}-{sha256(result.image.encode('utf-8', 'surrogatepass'))[:32]}.json"
        try:
            return KeptDrawing(self.folder / name, self._key(result, path))
        except OSError:
            return None

    def _key(self, result: ImageResult, path: Path) -> bytes:
        """Return what a drawing depends on; raises OSError where the picture cannot be read."""
        outlines = [(finding.kind, finding.region.contour, finding.region.peak) for finding in result.findings]
        made_by = (isotherm.__version__, DRAWING, BOX, QUALITY, self.look)
        parts = (*made_by, result.digest, outlines, list(_contents(path)))
        return sha256(dumps(parts).encode("utf-8", "surrogatepass")).encode()


@dataclass(frozen=True)
class KeptDrawing:
    """The file of one drawing.

    Parameters
    ----------
    file
        It need not be there.
    key
        What the drawing depends on, as it was before the picture was read: a change while it is drawn counts.
    """

    file: Path
    key: bytes

    def get(self) -> Drawn | None:
        """Return what was drawn, None where nothing was, or of other bytes."""
        try:
            if not self.file.is_file() or self.file.stat().st_size > MOST_BYTES:
                return None
            key, _, drawn = self.file.read_bytes().partition(b"\n")
            return unpacked(drawn) if key == self.key else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, drawn: Drawn) -> None:
        """Keep what was drawn."""
        with suppress(OSError, OutputError):
            make_folder(self.file.parent)
            write_whole(self.file, self.key + b"\n" + packed(drawn))


def look_of(**chosen: object) -> str:
    """Return choices as a text that is the same for the same ones."""
    return json.dumps(chosen, sort_keys=True, default=str)


def _contents(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and digests of a picture, and of what lies beside it and may change how it is drawn."""
    yield path.name, sha256_of(path)
    for beside in (path.with_name(SITE), sidecar_path(path), *partners(path)):
        with suppress(FileNotFoundError):
            yield beside.name, sha256_of(beside)
