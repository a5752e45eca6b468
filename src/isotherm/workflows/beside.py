"""What lies beside pictures: their sidecars, as a listing of a folder or of a bucket has found them.

On a disk whoever reads a picture looks beside it. In a bucket each look is a request, so that what the listing has
found goes with the picture to whoever reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from isotherm.workflows.sidecar import SITE, sidecar_path

Beside = tuple[tuple[str, str], ...]
"""Names of files beside a picture, each with a word that changes with its content."""


@dataclass(frozen=True)
class Sidecars:
    """Sidecars that are there, each with a word that changes with its content (empty where that is not known)."""

    versions: Mapping[Path, str] = field(default_factory=dict)

    def of(self, picture: Path) -> Beside:
        """Return the sidecars that change a picture: that of its folder, and its own."""
        wanted = (picture.with_name(SITE), sidecar_path(picture)) if self.versions else ()
        return tuple((path.name, self.versions[path]) for path in wanted if path in self.versions)


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder or a prefix, and their sidecars."""

    pictures: list[Path]
    sidecars: Sidecars = field(default_factory=Sidecars)
