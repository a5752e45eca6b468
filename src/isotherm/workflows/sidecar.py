"""What a user changes about a picture, in a JSON file beside it; the picture's own file is never written.

``IR_1.jpg.isotherm.json`` belongs to ``IR_1.jpg``::

    {"isotherm_sidecar": 1, "image": "IR_1.jpg", "image_sha256": "...",
     "scene": {"emissivity": 0.9}, "sigma": {"emissivity": 0.02}, "material": "copper, oxidised",
     "regions": [{"label": "a", "shape": "box", "x": 1, "y": 2, "width": 30, "height": 40,
                  "scene": {"emissivity": 0.8}}],
     "deltas": ["a.max - ambient"], "isotherms": [">60"]}

Every member but the first may be left out. ``site.isotherm.json`` in a folder holds ``scene`` and ``sigma`` for all
pictures of that folder (source site-profile); a picture's own sidecar wins over it, and the command's flags over both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.files import write_whole
from isotherm.core.scene import EDGE_NAMES, SceneEdit, Source, sigmas_from_edge
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Polygon, Shape, Spot
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.shapes import MOST_CORNERS, MOST_PX, checked_label, kind_of, reaches

SUFFIX = ".isotherm.json"
SITE = "site" + SUFFIX
VERSION = 1
MAX_BYTES = 4_000_000
_MEMBERS = ("isotherm_sidecar", "image", "image_sha256", "scene", "sigma", "material", "regions", "deltas", "isotherms")
_SHAPES: dict[str, type[Shape]] = {"spot": Spot, "box": Box, "ellipse": Ellipse, "line": Line, "polygon": Polygon}


@dataclass(frozen=True)
class Sidecar:
    """The edits of one picture; see the module's text. ``sigma`` has the names and units of flags."""

    edit: SceneEdit = field(default_factory=SceneEdit)
    sigma: Mapping[str, float] = field(default_factory=dict)
    material: str = ""
    regions: tuple[Marked, ...] = ()
    deltas: tuple[str, ...] = ()
    isotherms: tuple[str, ...] = ()
    image: str = ""
    image_sha256: str = ""

    def applied(self, thermogram: Thermogram, source: Source = Source.USER) -> Thermogram:
        """Return a thermogram with these parameters and, after its own, these regions in place of those so called."""
        edited = thermogram.edited(self.edit, source)
        scene = edited.scene.with_sigmas(sigmas_from_edge(self.sigma))
        return replace(edited, scene=scene, regions=in_place(edited.regions, self.regions))

    @property
    def words(self) -> str:
        """What the sidecar holds, in words."""
        parts = [name for name in EDGE_NAMES if getattr(self.edit, name) is not None]
        parts += [f"sigma of {name}" for name in self.sigma]
        parts += [f"material {self.material}"] if self.material else []
        lists = {"region": self.regions, "difference": self.deltas, "isotherm": self.isotherms}
        parts += [f"{len(held)} {name}{'s' * (len(held) > 1)}" for name, held in lists.items() if held]
        return ", ".join(parts) or "no change"

    def doubts(self, size: tuple[int, int]) -> Iterator[str]:
        """Return what does not fit a picture of this height and width, or does nothing."""
        for region in self.regions:
            if not reaches(region.shape, size):
                yield f"region {region.label!r} has no pixel in the picture, which is {size[1]}x{size[0]} px"
        if self.material and self.edit.emissivity is None:
            yield f"material {self.material!r} changes nothing: it only names what 'scene.emissivity' was taken from"


def in_place(before: Sequence[Marked], regions: Sequence[Marked]) -> tuple[Marked, ...]:
    """Return regions after those of `before` that are not called like one of them."""
    labels = {region.label for region in regions}
    return (*(region for region in before if region.label not in labels), *regions)


def is_sidecar(path: Path) -> bool:
    """Say whether a file is a sidecar, by its name; such files are no pictures."""
    return path.name.endswith(SUFFIX)


def sidecar_notes(notes: Sequence[str]) -> list[str]:
    """Return those of a thermogram's notes that say what a sidecar changed."""
    return [note for note in notes if f"{SUFFIX}: " in note]


def sidecar_path(image: Path) -> Path:
    """Return where the sidecar of a picture is."""
    return image.with_name(image.name + SUFFIX)


def with_sidecars(thermogram: Thermogram, image: Path, edit: SceneEdit) -> Thermogram:
    """Return a thermogram as the site's and its own sidecar and then `edit` change it, with a note for each sidecar.

    Raises
    ------
    DataError
        A sidecar is damaged, or belongs to another file: a reading without it would be silently wrong.
    """
    for path, source in ((image.with_name(SITE), Source.SITE_PROFILE), (sidecar_path(image), Source.USER)):
        found = read_sidecar(path)
        if found is None:
            continue
        _check_owner(found, thermogram, path)
        thermogram = found.applied(thermogram, source)
        said = (found.words, *found.doubts(thermogram.size))
        thermogram = replace(thermogram, notes=(*thermogram.notes, *(f"{path.name}: {words}" for words in said)))
    return thermogram.edited(edit)


def _check_owner(sidecar: Sidecar, thermogram: Thermogram, path: Path) -> None:
    if path.name == SITE:
        if sidecar != Sidecar(edit=sidecar.edit, sigma=sidecar.sigma):
            raise DataError(f"{path}: a site's file holds 'scene' and 'sigma' only, because it goes for many pictures")
    elif sidecar.image_sha256 and sidecar.image_sha256 != thermogram.digest:
        raise DataError(
            f"{path}: made for another file (sha256 {sidecar.image_sha256[:12]}..., this one is "
            f"{thermogram.digest[:12]}...); move it away, or take 'image_sha256' out of it if it fits all the same"
        )


def read_sidecar(path: Path) -> Sidecar | None:
    """Return what a sidecar holds, None where there is none; raises DataError for one that is damaged."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: a sidecar has at most {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error
    try:
        return parse_sidecar(text)
    except ConfigError as error:
        raise DataError(f"{path}: {error}") from error


def parse_sidecar(text: str) -> Sidecar:
    """Return what the text of a sidecar says; raises ConfigError that names the member that is wrong."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}") from error
    if not isinstance(values, dict) or values.get("isotherm_sidecar") != VERSION:
        raise ConfigError(f"no sidecar of isotherm: 'isotherm_sidecar' must be {VERSION}")
    _known(values, _MEMBERS, "the sidecar")
    taken: set[str] = set()
    return Sidecar(
        edit=_edit(values.get("scene", {}), "scene"),
        sigma=_sigma(values.get("sigma", {})),
        material=_text(values.get("material", ""), "material"),
        regions=tuple(_region(item, i, taken) for i, item in enumerate(_list(values, "regions"))),
        deltas=tuple(_text(item, f"deltas[{i}]") for i, item in enumerate(_list(values, "deltas"))),
        isotherms=tuple(_text(item, f"isotherms[{i}]") for i, item in enumerate(_list(values, "isotherms"))),
        image=_text(values.get("image", ""), "image"),
        image_sha256=_text(values.get("image_sha256", ""), "image_sha256").lower(),
    )


def _known(values: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(map(repr, unknown))}; known: {', '.join(names)}")


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name, [])
    if not isinstance(found, list) or len(found) > 1000:
        raise ConfigError(f"{name!r} must be a list of at most 1000")
    return found


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ConfigError(f"{where!r} must be a text of at most 1000 characters, not {str(value)[:50]!r}")
    return value


def _edit(value: object, where: str) -> SceneEdit:
    if not isinstance(value, dict):
        raise ConfigError(f"{where!r} must be an object, not {value!r}")
    return scene_edit(value, repr(where))


def scene_edit(values: Mapping[str, Any], where: str) -> SceneEdit:
    """Return changed parameters by flag names; raises ConfigError that begins with `where`."""
    try:
        return from_mapping(SceneEdit, values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).removeprefix('SceneEdit: ')}") from error


def _sigma(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ConfigError(f"'sigma' must be an object, not {value!r}")
    found = {name: _number(number, f"sigma.{name}") for name, number in value.items()}
    sigmas_from_edge(found)
    return found


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST_PX:
        raise ConfigError(f"{where!r} must be a number of at most {MOST_PX}, not {value!r}")
    return value


def _region(value: object, place: int, taken: set[str]) -> Marked:
    where = f"regions[{place}]"
    if not isinstance(value, dict) or value.get("shape") not in _SHAPES:
        raise ConfigError(f"{where}: must be an object with a 'shape' among {', '.join(_SHAPES)}")
    shape = _SHAPES[value["shape"]]
    names = tuple(get_type_hints(shape))
    _known(value, ("label", "shape", "scene", *names), where)
    label = checked_label(_text(value.get("label"), f"{where}.label"), taken)
    taken.add(label)
    edit = _edit(value["scene"], f"{where}.scene") if "scene" in value else None
    return Marked(label, _shape(shape, value, where), edit=edit)


def _shape(shape: type[Shape], value: Mapping[str, Any], where: str) -> Shape:
    if shape is Polygon:
        return Polygon(_corners(value.get("corners"), where))
    found: dict[str, float] = {}
    for name, kind in get_type_hints(shape).items():
        if name == "size_px" and name not in value:
            continue
        number = _number(value.get(name), f"{where}.{name}")
        if kind is int and number != int(number):
            raise ConfigError(f"'{where}.{name}' must be a whole number, not {number}")
        found[name] = int(number) if kind is int else float(number)
    positive = ("width", "height", "radius_x", "radius_y", "size_px")
    if any(found[name] <= 0 for name in positive if name in found) or found.get("size_px", 1) % 2 == 0:
        raise ConfigError(f"{where}: sizes are above 0, and a spot's is odd")
    return shape(**found)  # type: ignore[arg-type]


def _corners(value: object, where: str) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, list) or not 3 <= len(value) <= MOST_CORNERS:
        raise ConfigError(f"'{where}.corners' must be a list of 3 to {MOST_CORNERS} corners [x, y]")
    if not all(isinstance(corner, list) and len(corner) == 2 for corner in value):
        raise ConfigError(f"'{where}.corners': each corner is [x, y]")
    return tuple((float(_number(x, where)), float(_number(y, where))) for x, y in value)


def write_sidecar(image: Path, sidecar: Sidecar) -> Path:
    """Write the sidecar of a picture, whole or not at all, and return its place; raises OutputError."""
    path = sidecar_path(image)
    write_whole(path, to_json(sidecar).encode("utf-8"))
    return path


def to_json(sidecar: Sidecar) -> str:
    """Return the text of a sidecar; what is empty is left out."""
    return json.dumps(plain(sidecar), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(sidecar: Sidecar) -> dict[str, Any]:
    """Return a sidecar as plain values, in its own form; what is empty is left out."""
    values = {
        "image": sidecar.image,
        "image_sha256": sidecar.image_sha256,
        "scene": given(sidecar.edit),
        "sigma": dict(sidecar.sigma),
        "material": sidecar.material,
        "regions": [_plain_region(region) for region in sidecar.regions],
        "deltas": list(sidecar.deltas),
        "isotherms": list(sidecar.isotherms),
    }
    return {"isotherm_sidecar": VERSION} | {name: value for name, value in values.items() if value}


def given(edit: SceneEdit) -> dict[str, Any]:
    """Return what an edit changes, by flag names."""
    return {name: value for name, value in to_mapping(edit).items() if value is not None}


def _plain_region(region: Marked) -> dict[str, Any]:
    shape = region.shape
    values: dict[str, Any] = {"label": region.label, "shape": kind_of(shape)}
    if isinstance(shape, Polygon):
        values["corners"] = [list(corner) for corner in shape.corners]
    else:
        values |= {name: getattr(shape, name) for name in get_type_hints(type(shape))}
    if region.edit is not None:
        values["scene"] = given(region.edit)
    return values


def merged(first: Sidecar, second: Sidecar) -> Sidecar:
    """Return two sidecars as one; where both say something, the second wins, and regions of one label are replaced."""
    return Sidecar(
        edit=from_mapping(SceneEdit, given(first.edit) | given(second.edit)),
        sigma={**first.sigma, **second.sigma},
        material=second.material or ("" if second.edit.emissivity is not None else first.material),
        regions=in_place(first.regions, second.regions),
        deltas=tuple(dict.fromkeys((*first.deltas, *second.deltas))),
        isotherms=tuple(dict.fromkeys((*first.isotherms, *second.isotherms))),
        image=second.image or first.image,
        image_sha256=second.image_sha256 or first.image_sha256,
    )
