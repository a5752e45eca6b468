"""Which files beside a thermal picture are called as its photo would be, by the makers' rules for names."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
LATEST_S = 5
"""Two lenses of one drone save the same shot within this time [s]."""
SETTLED_NS = 2_000_000_000
"""A folder that has not changed for so long is not listed again until it does; what changes twice within one tick of
the file system's clock cannot be told apart."""
# FLIR names a photo by the number after the thermal picture's; some models by the same number.
_FLIR = re.compile(r"IR_(\d+)", re.IGNORECASE)
# DJI: T thermal, W wide, V visual, Z zoom, S the single visual lens; older models R (radiometric) and V.
_LENSES = {"t": "wvsz", "r": "vw"}
_DJI = re.compile(r"(.*)_([TR])", re.IGNORECASE)
_DJI_SHOT = re.compile(r"DJI_(\d{14})_(\d{4,})_([A-Z])", re.IGNORECASE)


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder: their names by the same in small letters, and those of each of DJI's shot numbers."""

    names: Mapping[str, str]
    shots: Mapping[str, list[str]]

    @classmethod
    def among(cls, files: Iterable[Path]) -> Pictures:
        """Return those of the files of a folder that are pictures by their names."""
        names: dict[str, str] = {}
        shots: dict[str, list[str]] = {}
        for file in files:
            if file.suffix.lower() in PICTURES:
                names[file.name.casefold()] = file.name
                if shot := _DJI_SHOT.fullmatch(file.stem):
                    shots.setdefault(shot[2], []).append(file.name)
        return cls(names, shots)


def partners(path: Path, beside: Pictures | None = None) -> list[Path]:
    """Return the files beside a thermal picture that are called as its photo would be, the likeliest first.

    Parameters
    ----------
    beside
        The pictures of its folder, where that is no folder of this machine.
    """
    stem = path.stem
    if not (_FLIR.fullmatch(stem) or _DJI.fullmatch(stem)):
        return []
    there = _there if beside is None else _named
    beside = beside or _pictures(path.parent)
    wanted = [f"{partner}{suffix}".casefold() for partner in _partner_stems(stem) for suffix in PICTURES]
    found = there(path, (beside.names[name] for name in wanted if name in beside.names))
    return found or there(path, _same_shot(stem, beside))


def _there(path: Path, names: Iterable[str]) -> list[Path]:
    return [file for file in _named(path, names) if file.is_file()]


def _named(path: Path, names: Iterable[str]) -> list[Path]:
    return [path.with_name(name) for name in names if name != path.name]


def _pictures(folder: Path) -> Pictures:
    """Return the pictures of a folder; those of one that has settled are not listed for each of them."""
    try:
        changed_ns = folder.stat().st_mtime_ns
        settled = time.time_ns() - changed_ns > SETTLED_NS
        return _kept(folder, changed_ns) if settled else _listed(folder)
    except OSError:
        # A folder that may be entered but not listed has no pairs; the thermal picture itself can be read.
        return Pictures({}, {})


@lru_cache(maxsize=4)
def _kept(folder: Path, changed_ns: int) -> Pictures:  # noqa: ARG001 (another time is another list)
    return _listed(folder)


def _listed(folder: Path) -> Pictures:
    # A folder of the same name, but for small letters, would hide a photo.
    with os.scandir(folder) as entries:
        return Pictures.among(Path(entry.path) for entry in entries if entry.is_file())


def _partner_stems(stem: str) -> Iterator[str]:
    if flir := _FLIR.fullmatch(stem):
        number = flir[1]
        yield from (f"DC_{int(number) + step:0{len(number)}d}" for step in (1, 0))
    elif dji := _DJI.fullmatch(stem):
        yield from (f"{dji[1]}_{lens}" for lens in _LENSES[dji[2].lower()])


def _same_shot(stem: str, beside: Pictures) -> list[str]:
    """Return photos of other lenses with the same shot number, saved within a few seconds."""
    shot = _DJI_SHOT.fullmatch(stem)
    if shot is None:
        return []
    lenses = _LENSES.get(shot[3].lower(), "")
    found = []
    for name in beside.shots.get(shot[2], ()):
        other = _DJI_SHOT.fullmatch(Path(name).stem)
        if other and other[3].lower() in lenses:
            apart = _seconds_between(shot[1], other[1])
            if apart is not None and apart <= LATEST_S:
                found.append((lenses.index(other[3].lower()), apart, name))
    return [name for *_, name in sorted(found)]


def _seconds_between(one: str, other: str) -> float | None:
    try:
        first, second = (datetime.strptime(text, "%Y%m%d%H%M%S") for text in (one, other))
    except ValueError:
        return None
    return abs((first - second).total_seconds())
