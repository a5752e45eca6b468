"""What lies beside pictures: their sidecars, as a listing of a folder or of a bucket has found them.

On a disk whoever reads a picture looks beside it. In a bucket each look is a request, so that what the listing has
found goes with the picture to whoever reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from isotherm.workflows.sidecar import SITE, SUFFIX, is_sidecar, sidecar_path

Beside = tuple[tuple[str, str], ...]
"""Names of files in the folder of a picture, its own where it lies in a bucket too, each with a word that changes with
its content."""


@dataclass(frozen=True)
class Sidecars:
    """Sidecars that are there, each with a word that changes with its content (empty where that is not known).

    Of pictures in buckets ``versions`` has the pictures, too.
    """

    versions: Mapping[Path, str] = field(default_factory=dict)

    def of(self, picture: Path) -> Beside:
        """Return the sidecars that change a picture, that of its folder and its own, and the picture if it is known."""
        wanted = places_beside(picture) if self.versions else ()
        return tuple((path.name, self.versions[path]) for path in wanted if path in self.versions)

    def of_all(self, pictures: Iterable[Path]) -> list[Path]:
        """Return the sidecars that change any of some pictures, in order."""
        files = set(pictures)
        folders = {picture.parent for picture in files}
        return sorted(path for path in self.versions if is_sidecar(path) and _changes_any(path, files, folders))


def _changes_any(sidecar: Path, pictures: Set[Path], folders: Set[Path]) -> bool:
    if sidecar.name == SITE:
        return sidecar.parent in folders
    return sidecar.parent / sidecar.name.removesuffix(SUFFIX) in pictures


def places_beside(picture: Path) -> tuple[Path, Path, Path]:
    """Return where the sidecar of a picture's folder may be, its own, and the picture."""
    return picture.with_name(SITE), sidecar_path(picture), picture


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder or a prefix, and their sidecars."""

    pictures: list[Path]
    sidecars: Sidecars = field(default_factory=Sidecars)
