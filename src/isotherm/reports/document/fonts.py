"""Fonts of PDF reports: found, asked which characters they have, so that no character becomes an empty box.

Latin, Greek and Cyrillic come with matplotlib (DejaVu Sans). Chinese, Japanese and Korean fonts are large, and no small
one may be passed on; they are looked for where systems keep them, or named by the user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from isotherm.core.errors import ConfigError
from isotherm.reports.document.font_characters import characters_of

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
MAIN = "DejaVu Sans"
_CJK_NAMES = re.compile(
    r"noto(sans|serif)?[-_]?(sans|serif)?(mono)?cjk|sourcehan|wqy|wenquanyi|droidsansfallback|simsun|simhei|msyh|pingfang"
    r"|notosanssc|notosansjp|notosanstc|notosanskr|uming|ukai|lxgw|arialuni|yugoth|msgothic|malgun",
    re.IGNORECASE,
)
_FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts", "/System/Library/Fonts",
    "/Library/Fonts", "~/Library/Fonts", "C:/Windows/Fonts",
)  # fmt: skip
MOST_FILES = 20_000


@dataclass(frozen=True)
class Font:
    """One font file: the families in it, and the characters (code points) that it has."""

    path: Path
    families: tuple[str, ...]
    characters: frozenset[int]


@dataclass(frozen=True)
class FontSet:
    """The fonts of one report, the first that has a character sets it.

    Parameters
    ----------
    fonts
        In their order.
    missing
        Characters of the report that none of them has, in the order of their numbers.
    folders
        Folders that hold some of them, and others of their families.
    """

    fonts: tuple[Font, ...]
    missing: str
    folders: tuple[Path, ...] = ()

    @property
    def families(self) -> list[str]:
        """The names of the families, each once."""
        return list(dict.fromkeys(family for font in self.fonts for family in font.families))

    @property
    def files(self) -> list[Path]:
        """The fonts that lie in no such folder, each with the bold one beside it: a folder may hold gigabytes."""
        alone = [font.path for font in self.fonts if font.path.parent not in self.folders]
        return list(dict.fromkeys(file for path in alone for file in (path, _bold(path)) if file.is_file()))


def _bold(path: Path) -> Path:
    return path.with_name(path.name.replace("Regular", "Bold"))


def fonts_for(text: str, given: Sequence[Path] = ()) -> FontSet:
    """Return fonts that have the characters of a text, as far as there are any.

    Parameters
    ----------
    text
        All that will be set.
    given
        Font files, or folders of them, that the user names; they come first.

    Raises
    ------
    ConfigError
        A path is no font or holds none.
    """
    wanted = {ord(character) for character in text if character.isprintable() and not character.isspace()}
    named = [font for path in given for font in _given(path)]
    chosen = [*named, *_base()]
    missing = wanted.difference(*(font.characters for font in chosen))
    if missing:
        for path in _system_fonts():
            font = read_font(path)
            if font is not None and missing & font.characters:
                chosen.append(font)
                missing -= font.characters
            if not missing:
                break
    folders = [*filter(Path.is_dir, given), *(font.path.parent for font in _base())]
    return FontSet(tuple(chosen), "".join(map(chr, sorted(missing))), tuple(dict.fromkeys(folders)))


def _given(path: Path) -> list[Font]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    fonts = [font for file in files if file.suffix.lower() in SUFFIXES and (font := read_font(file)) is not None]
    if not fonts:
        raise ConfigError(f"{path}: no font (a file {', '.join(SUFFIXES)}, or a folder of them)")
    return fonts


def _base() -> list[Font]:
    spec = find_spec("matplotlib")
    folders = [Path(folder, "mpl-data", "fonts", "ttf") for folder in (spec and spec.submodule_search_locations) or []]
    files = [folder / "DejaVuSans.ttf" for folder in folders]
    return [font for file in files if file.is_file() and (font := read_font(file)) is not None]


@cache
def _system_fonts() -> tuple[Path, ...]:
    """Return the fonts of the system with Chinese, Japanese or Korean characters, by their files' names."""
    found: list[Path] = []
    for folder in _FOLDERS:
        for place, _, names in os.walk(Path(folder).expanduser()):
            found += [Path(place, name) for name in names if _is_cjk(name)]
            if len(found) > MOST_FILES:
                break
    return tuple(sorted(found, key=_preference))


def _is_cjk(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and _CJK_NAMES.search(name.replace(" ", "")) is not None


def _preference(path: Path) -> tuple[bool, bool, str]:
    """Sort upright sans-serif fonts of usual weight first."""
    name = path.name.lower()
    return "regular" not in name, "serif" in name, name


@cache
def read_font(path: Path) -> Font | None:
    """Return what a font file has; None where it is none that can be read."""
    from fontTools.ttLib import TTCollection, TTFont  # type: ignore[import-untyped]

    try:
        # Opened here: fontTools leaves a damaged file open.
        with path.open("rb") as stream:
            collected = path.suffix.lower() in (".ttc", ".otc")
            faces = TTCollection(stream, lazy=True).fonts if collected else [TTFont(stream, lazy=True)]
            found = [_face(face) for face in faces]
    except Exception:  # noqa: BLE001 (fontTools says of damage what it likes, and no font of a system stops a report)
        return None
    families = tuple(dict.fromkeys(family for family, _ in found if family))
    return Font(path, families, frozenset().union(*(characters for _, characters in found))) if families else None


def _face(face: object) -> tuple[str, Iterable[int]]:
    family = face["name"].getBestFamilyName()  # type: ignore[index]
    return family or "", characters_of(face.reader["cmap"])  # type: ignore[attr-defined]
