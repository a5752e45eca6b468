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
    """

    fonts: tuple[Font, ...]
    missing: str

    @property
    def families(self) -> list[str]:
        """The names of the families, each once."""
        return list(dict.fromkeys(family for font in self.fonts for family in font.families))

    @property
    def folders(self) -> list[Path]:
        """The folders in which the fonts lie."""
        return list(dict.fromkeys(font.path.parent for font in self.fonts))


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
    return FontSet(tuple(chosen), "".join(map(chr, sorted(missing))))


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
    from fontTools.ttLib import TTCollection, TTFont, TTLibError  # type: ignore[import-untyped]

    try:
        if path.suffix.lower() in (".ttc", ".otc"):
            with TTCollection(path, lazy=True) as collection:
                faces = [_face(face) for face in collection.fonts]
        else:
            with TTFont(path, lazy=True) as face:
                faces = [_face(face)]
    except (OSError, TTLibError, KeyError, ValueError, AssertionError):
        return None
    families = tuple(dict.fromkeys(family for family, _ in faces if family))
    return Font(path, families, frozenset().union(*(characters for _, characters in faces))) if families else None


def _face(face: object) -> tuple[str, Iterable[int]]:
    family = face["name"].getBestFamilyName()  # type: ignore[index]
    return family or "", face.getBestCmap() or {}  # type: ignore[attr-defined]
